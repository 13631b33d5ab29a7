// Which requests to Keystone share a connection, and what a server or proxy that mixes up its responses can make of that:
// nobody is taken for somebody else, and nobody gets the groups of others. Runs against a stand-in.

import { copyFileSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { TLSSocket } from 'node:tls';
import t from 'tap';
import type { Test } from 'tap';
import type { StandInKeystone } from '../support/stand-in-keystone.ts';
import type { Handler } from '../support/stand-in-keystone/handlers.ts';
import { makeJsonResponse, sendResponse } from '../support/stand-in-keystone/responses.ts';
import type { StandInResponse } from '../support/stand-in-keystone/responses.ts';
import { findRecordedUser } from '../support/stand-in-keystone/users.ts';
import { waitUntil } from '../support/wait-until.ts';
import { issueToken, startTestKeystone } from '../support/webhook-keystone.ts';
import { makeTestFolder, shareTestPki } from '../support/webhook-settings.ts';
import { startWebhook } from '../support/webhook.ts';
import type { TestWebhook } from '../support/webhook.ts';

const pki = await shareTestPki();
const [alice, bob] = [findRecordedUser('alice'), findRecordedUser('bob')];

const VALIDATION = 'GET /v3/auth/tokens';
const GROUPS = 'GET /v3/users/';

const ALICE = { authenticated: true, user: { username: 'alice' } };
const MIXED_UP = { authenticated: false, error: /sent the response to another request/ };

/** A request with a token, and how it came. */
interface Arrival {
  /** Counts the connections with tokens from 1. */
  readonly connection: number;
  readonly request: string;
  readonly token: string;
  readonly isResumed: boolean;
}

interface Fixture {
  readonly keystone: StandInKeystone;
  readonly webhook: TestWebhook;
  readonly arrivals: readonly Arrival[];
  /** Has the next request that starts so handled. */
  readonly answerNext: (only: string, handler: Handler) => void;
}

async function setUp(t: Test, { usesTls = false, args = [] as readonly string[] } = {}): Promise<Fixture> {
  const keystone = await startTestKeystone(t, usesTls ? { tls: pki.server } : {});
  const connections: unknown[] = [];
  const arrivals: Arrival[] = [];
  const answerNormally: Handler = (_request, response, { makeDefaultResponse }) => {
    sendResponse(response, makeDefaultResponse());
  };
  const next = new Map<string, Handler>();
  for (const only of [VALIDATION, GROUPS]) {
    keystone.answerAlways((request, response, tools) => {
      const { socket } = response;
      if (!connections.includes(socket)) connections.push(socket);
      arrivals.push({
        connection: connections.indexOf(socket) + 1,
        request: only,
        token: String(request.headers['x-auth-token']),
        isResumed: socket instanceof TLSSocket && socket.isSessionReused(),
      });
      const handler = next.get(only) ?? answerNormally;
      next.delete(only);
      return handler(request, response, tools);
    }, only);
  }
  const webhook = await startWebhook(t, { keystone, args });
  return { keystone, webhook, arrivals, answerNext: (only, handler) => next.set(only, handler) };
}

/** Renders a response as the bytes of HTTP/1.1. */
function renderResponse({ status, headers, body }: StandInResponse): string {
  const text = JSON.stringify(body);
  const lines = Object.entries({ ...headers, 'content-length': String(Buffer.byteLength(text)) });
  return `HTTP/1.1 ${status} OK\r\n${lines.map(([name, value]) => `${name}: ${value}\r\n`).join('')}\r\n${text}`;
}

function makeGroupsResponse(userId: string, name: string): StandInResponse {
  const links = { next: null, previous: null, self: `http://127.0.0.1/v3/users/${userId}/groups` };
  return makeJsonResponse(200, { groups: [{ id: 'f'.repeat(32), name, domain_id: 'default' }], links });
}

/** The response that Keystone gives about a token of somebody else. */
function makeValidationOf(keystone: StandInKeystone, token: string): StandInResponse {
  const user = { id: bob.id, name: bob.name, domain: bob.domain };
  const project = { id: 'e'.repeat(32), name: 'ops', domain: bob.domain };
  const described = {
    ...{ methods: ['password'], user, project, roles: [{ id: 'r', name: 'admin' }], audit_ids: ['x'] },
    ...{ issued_at: new Date().toISOString(), expires_at: keystone.formatExpiry(new Date(Date.now() + 3_600_000)) },
  };
  return makeJsonResponse(200, { token: described }, { 'x-subject-token': token });
}

for (const usesTls of [false, true]) {
  void t.test(`the requests about a token share a connection, ${usesTls ? 'with' : 'without'} TLS`, async (t) => {
    const { keystone, webhook, arrivals } = await setUp(t, { usesTls });
    const tokens = [issueToken(keystone), issueToken(keystone, bob), issueToken(keystone)];
    for (const token of tokens) t.match(await webhook.reviewToken(token), { authenticated: true });
    await Promise.all(
      tokens.map(async (token) => {
        keystone.revoke(token);
        await webhook.reviewToken(token);
      }),
    );
    t.strictSame(
      arrivals.map(({ connection, request, token }) => ({ connection, request, token })),
      tokens.flatMap((token, index) =>
        [VALIDATION, GROUPS].map((request) => ({ connection: index + 1, request, token })),
      ),
      'and those about two tokens never do',
    );
    t.strictSame(
      arrivals.map(({ isResumed }) => isResumed),
      [false, false, usesTls, usesTls, usesTls, usesTls],
      'a TLS session is resumed, so that the certificate is checked once',
    );
  });
}

void t.test('a TLS session of other authorities is not resumed', async (t) => {
  const file = join(makeTestFolder(t), 'ca.pem');
  copyFileSync(pki.ca, file);
  const { keystone, webhook, arrivals } = await setUp(t, { usesTls: true, args: ['--keystone-ca-file', file] });
  t.match(await webhook.reviewToken(issueToken(keystone)), ALICE);
  writeFileSync(file, readFileSync(pki.untrusted.ca, 'utf8'));
  await webhook.clock.advance(1_000);
  await waitUntil('the file is read', () => /"what":"keystone-ca"[^\n]*"reloaded/.test(webhook.readOutput()));
  t.match(await webhook.reviewToken(issueToken(keystone)), {
    authenticated: false,
    error: /certificate is not trusted/,
  });
  t.equal(arrivals.length, 2);
});

/** When a response arrives that nobody asked for, on the connection on which alice's token was validated. */
const MOMENTS: Readonly<Record<string, (fixture: Fixture, extra: string) => void>> = {
  'with the response before': ({ answerNext }, extra) => {
    answerNext(VALIDATION, (_request, response, { makeDefaultResponse }) => {
      const { socket } = response;
      socket?.cork();
      response.once('finish', () => {
        socket?.write(extra);
        socket?.uncork();
      });
      sendResponse(response, makeDefaultResponse());
    });
  },
  'right after the response before': ({ answerNext }, extra) => {
    answerNext(VALIDATION, (_request, response, { makeDefaultResponse }) => {
      const { socket } = response;
      response.once('finish', () => setImmediate(() => socket?.write(extra)));
      sendResponse(response, makeDefaultResponse());
    });
  },
  'before the response to the next request': ({ answerNext }, extra) => {
    answerNext(GROUPS, (_request, response, { makeDefaultResponse }) => {
      response.socket?.write(extra);
      sendResponse(response, makeDefaultResponse());
    });
  },
};

/** Responses to somebody else's requests. */
const EXTRAS: Readonly<Record<string, (keystone: StandInKeystone) => StandInResponse>> = {
  "the validation of bob's token": (keystone) => makeValidationOf(keystone, issueToken(keystone, bob)),
  "bob's groups": () => makeGroupsResponse(bob.id, 'ops'),
};

for (const [moment, send] of Object.entries(MOMENTS)) {
  for (const [what, make] of Object.entries(EXTRAS)) {
    void t.test(`${what} ${moment}: alice is alice, without bob's groups, or nobody`, async (t) => {
      const fixture = await setUp(t);
      const { keystone, webhook } = fixture;
      const token = issueToken(keystone, alice);
      send(fixture, renderResponse(make(keystone)));
      const status = await webhook.reviewToken(token);
      // Node closes a connection on which it sees the extra response early enough. Then the next request has a new one.
      if (status['authenticated'] === true) t.match(status, ALICE);
      else t.match(status, MIXED_UP);
      t.notMatch(JSON.stringify(status), /ops|bob/);
      t.match(await webhook.reviewToken(token), ALICE, 'nothing of it is remembered');
      t.match(
        await webhook.reviewToken(issueToken(keystone, bob)),
        { user: { username: 'bob' } },
        'nor sent to others',
      );
    });
  }
}

void t.test('a validation of another token says nothing about this one', async (t) => {
  const { keystone, webhook, answerNext } = await setUp(t);
  const [token, token2] = [issueToken(keystone), issueToken(keystone, bob)];
  answerNext(VALIDATION, (_request, response) => {
    sendResponse(response, makeValidationOf(keystone, token2));
  });
  t.match(await webhook.reviewToken(token), MIXED_UP);
  t.match(await webhook.reviewToken(token), ALICE);
  answerNext(VALIDATION, (_request, response) => {
    const { status, body } = makeValidationOf(keystone, token2);
    sendResponse(response, makeJsonResponse(status, body));
  });
  const unnamed = issueToken(keystone);
  t.match(await webhook.reviewToken(unnamed), { user: { username: 'bob' } }, 'Rust Keystone does not name the token');
});

void t.test('groups of another user are not given to this one', async (t) => {
  const { keystone, webhook, answerNext } = await setUp(t);
  const token = issueToken(keystone);
  answerNext(GROUPS, (_request, response) => {
    sendResponse(response, makeGroupsResponse(bob.id, 'ops'));
  });
  t.match(await webhook.reviewToken(token), MIXED_UP);
  answerNext(GROUPS, (_request, response) => {
    sendResponse(response, makeGroupsResponse(alice.id, 'devs'));
  });
  const { user } = await webhook.reviewToken(token);
  t.ok((user as { groups: string[] }).groups.includes('devs'));
});

const CLOSINGS: Readonly<Record<string, Handler>> = {
  'while the next request is on its way': (_request, response) => {
    response.socket?.destroy();
  },
  'with a reset': (_request, _response, { resetConnection }) => {
    resetConnection();
  },
  'in the middle of a response': (_request, response, { makeDefaultResponse }) => {
    const text = renderResponse(makeDefaultResponse());
    response.socket?.write(text.slice(0, -5), () => response.socket?.destroy());
  },
};

for (const [moment, close] of Object.entries(CLOSINGS)) {
  for (const usesTls of [false, true]) {
    const how = `${moment}, ${usesTls ? 'with' : 'without'} TLS`;
    void t.test(`a request is sent again on a new connection if the server closes it ${how}`, async (t) => {
      const { keystone, webhook, arrivals, answerNext } = await setUp(t, { usesTls });
      answerNext(GROUPS, close);
      t.match(await webhook.reviewToken(issueToken(keystone)), ALICE);
      t.strictSame(
        arrivals.map(({ connection, request }) => [connection, request]),
        [
          [1, VALIDATION],
          [1, GROUPS],
          [2, GROUPS],
        ],
      );
    });
  }
}

void t.test('a refusal is not asked for again, and ends its connection', async (t) => {
  const { keystone, webhook, arrivals } = await setUp(t);
  const token = issueToken(keystone);
  keystone.revoke(token);
  t.strictSame(await webhook.reviewToken(token), { authenticated: false });
  t.match(await webhook.reviewToken(issueToken(keystone)), ALICE);
  t.strictSame(
    arrivals.map(({ connection }) => connection),
    [1, 2, 2],
  );
});

void t.test('groups that are requested beside a validation are given up when it is refused', async (t) => {
  const { keystone, webhook, arrivals, answerNext } = await setUp(t, { args: ['--cache-ttl', '1'] });
  const token = issueToken(keystone);
  t.match(await webhook.reviewToken(token), ALICE);
  await webhook.clock.advance(1_000);
  keystone.revoke(token);
  let refuse = (): void => undefined;
  let isClosed = false;
  answerNext(VALIDATION, (_request, response, { makeDefaultResponse }) => {
    refuse = () => {
      sendResponse(response, makeDefaultResponse());
    };
  });
  answerNext(GROUPS, (_request, response) => {
    response.socket?.once('close', () => (isClosed = true));
  });
  const second = webhook.reviewToken(token);
  await waitUntil('Keystone has the request', () => arrivals.length === 3);
  await webhook.clock.advance(250);
  await waitUntil('Keystone has the other one', () => arrivals.length === 4);
  refuse();
  t.strictSame(await second, { authenticated: false });
  await waitUntil('its connection is closed', () => isClosed);
  t.match(await webhook.reviewToken(issueToken(keystone)), ALICE);
  t.strictSame(
    arrivals.slice(2).map(({ connection, request }) => [connection, request]),
    [
      [2, VALIDATION],
      [3, GROUPS],
      [4, VALIDATION],
      [4, GROUPS],
    ],
  );
});

void t.test('a response that comes after the timeout reaches nobody', async (t) => {
  const { keystone, webhook, arrivals, answerNext } = await setUp(t);
  let answerLate = (): void => undefined;
  let isClosed = false;
  answerNext(VALIDATION, (_request, response) => {
    response.socket?.once('close', () => (isClosed = true));
    answerLate = () => {
      response.socket?.write(renderResponse(makeValidationOf(keystone, issueToken(keystone, bob))));
    };
  });
  const late = webhook.reviewToken(issueToken(keystone));
  await waitUntil('Keystone has the request', () => arrivals.length === 1);
  await webhook.clock.advance(30_000);
  t.match(await late, { authenticated: false, error: /./ });
  answerLate();
  t.match(await webhook.reviewToken(issueToken(keystone)), ALICE);
  await waitUntil('the connection is closed', () => isClosed);
  t.ok(arrivals.slice(1).every(({ connection }) => connection === 2));
});
