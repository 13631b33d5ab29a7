// The webhook under load: many users at a time, floods of invalid tokens, a large policy. Nobody gets the identity of
// another user, and nobody is turned away. Time is virtual; `npm run bench:webhook` measures the speed.

import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import type { Test } from 'tap';
import { generateLoad } from '../support/load-generator.ts';
import type { LoadClient } from '../support/load-generator.ts';
import type { StandInKeystone } from '../support/stand-in-keystone.ts';
import { findRecordedUser } from '../support/stand-in-keystone/users.ts';
import type { StandInUser } from '../support/stand-in-keystone/users.ts';
import { pickSize } from '../support/stress.ts';
import { waitForEvents, waitUntil } from '../support/wait-until.ts';
import { makeAccessReview, makeFakeToken, makeTokenReview } from '../support/webhook-client.ts';
import { countValidations, countValidTokens, issueToken, startTestKeystone } from '../support/webhook-keystone.ts';
import { makeTestFolder, shareTestPki } from '../support/webhook-settings.ts';
import { startWebhook } from '../support/webhook.ts';
import type { TestWebhook } from '../support/webhook.ts';

const CONNECTIONS = 64;

/** 15 unknown tokens per second are validated. */
const MS_PER_TURN = 1_000 / 15 + 1;

const ca = readFileSync((await shareTestPki()).ca);
const USERS: readonly StandInUser[] = Array.from({ length: CONNECTIONS }, (_, number) => ({
  ...findRecordedUser('alice'),
  id: number.toString(16).padStart(32, '0'),
  name: `user-${number}`,
}));

interface WebhookWithUsers {
  readonly keystone: StandInKeystone;
  readonly webhook: TestWebhook;
  /** One for each of the users. */
  readonly tokens: readonly string[];
}

async function setUp(t: Test, args: readonly string[] = []): Promise<WebhookWithUsers> {
  const keystone = await startTestKeystone(t, { users: USERS });
  const webhook = await startWebhook(t, { keystone, args: ['--log-level', 'info', ...args] });
  return { keystone, webhook, tokens: USERS.map((user) => issueToken(keystone, user)) };
}

const makeBody = (token: string): string => JSON.stringify(makeTokenReview(token));

/** One connection for each user, or one for all. */
const CLIENTS: readonly LoadClient[] = ['http/1.1', 'h2'];

/** Sends `count` requests for each of the connections, one after the other. */
async function sendOnAll(
  { port }: TestWebhook,
  client: LoadClient,
  count: number,
  chooseBody: (connection: number, number: number) => string,
  onResponse: (body: string, requestBody: string) => void,
): Promise<void> {
  const sent = Array.from({ length: CONNECTIONS }, () => 0);
  const nextBody = (connection: number): string | undefined => {
    const number = sent[connection] ?? 0;
    sent[connection] = number + 1;
    return number < count ? chooseBody(connection, number) : undefined;
  };
  const { responseCount } = await generateLoad({
    port,
    ca,
    client,
    connections: CONNECTIONS,
    nextBody,
    onResponse,
  });
  if (responseCount !== CONNECTIONS * count) throw new Error(`only ${responseCount} requests were answered`);
}

for (const client of CLIENTS) {
  void t.test(`64 users get their own identities from the cache, for minutes (${client})`, async (t) => {
    const { keystone, webhook, tokens } = await setUp(t);
    const bodies = tokens.map(makeBody);
    let [wrong, denials] = [0, 0];
    const rounds = pickSize(60, 4);
    for (let round = 0; round < rounds; round += 1) {
      await sendOnAll(
        webhook,
        client,
        pickSize(400, 10),
        (connection) => bodies[connection] ?? '',
        (body, sent) => {
          if (!body.includes('"authenticated":true')) denials += 1;
          else if (!body.includes(`"username":"user-${bodies.indexOf(sent)}"`)) wrong += 1;
        },
      );
      // Every 20 s the tokens are validated in the background. The clock must not pass the deadlines of that.
      const expected = CONNECTIONS * (1 + Math.floor(round / 2));
      await waitUntil('the tokens are validated', async () => (await countValidTokens(webhook)) === expected);
      await webhook.clock.advance(10_000);
    }
    t.equal(wrong, 0, 'each user gets their own identity');
    t.equal(denials, 0, 'no user is rejected');
    t.equal(countValidations(keystone), (CONNECTIONS * rounds) / 2, 'each token is validated every 20 s');
  });
}

for (const client of CLIENTS) {
  void t.test(`SubjectAccessReviews are decided with 1,000 policy entries (${client})`, async (t) => {
    const policy = join(makeTestFolder(t), 'policy.json');
    const entries = Array.from({ length: 1_000 }, (_, number) => ({
      users: { projects: ['demo'], roles: ['member'] },
      resource_permissions: { [`web-${number}/['pods', 'services']`]: ['get', 'list'] },
    }));
    writeFileSync(policy, JSON.stringify(entries));
    const { webhook } = await setUp(t, ['--keystone-policy-file', policy]);
    const allowed = JSON.stringify(makeAccessReview({ namespace: 'web-999', roles: ['member'] }));
    const notAllowed = JSON.stringify(makeAccessReview({ namespace: 'web-1000', roles: ['member'] }));
    let wrong = 0;
    await sendOnAll(
      webhook,
      client,
      pickSize(2_000, 20),
      (_connection, number) => (number % 2 === 0 ? allowed : notAllowed),
      (response, sent) => {
        const expected = sent === allowed ? '"allowed":true,"reason":"entry 1000 ' : '"allowed":false';
        if (!response.includes(expected)) wrong += 1;
      },
    );
    t.equal(wrong, 0);
  });
}

void t.test('500 unique invalid tokens per second do not affect users', async (t) => {
  const { keystone, webhook, tokens } = await setUp(t);
  const users = tokens.slice(0, 16);
  for (const token of users) t.match(await webhook.reviewToken(token), { authenticated: true });
  let [admitted, answered, denials] = [0, 0, 0];
  const flood: Promise<void>[] = [];
  const sendInvalidTokens = (count: number): void => {
    for (let number = 0; number < count; number += 1) {
      const reviewing = webhook.reviewToken(makeFakeToken()).then(({ authenticated }) => {
        answered += 1;
        if (authenticated === true) admitted += 1;
      });
      flood.push(reviewing);
    }
  };
  const [seconds, rounds] = [pickSize(120, 2), 10];
  for (let round = 0; round < seconds * rounds; round += 1) {
    sendInvalidTokens(500 / rounds);
    const token = users[round % users.length] ?? '';
    // On a new connection: those that the flood shares are busy.
    const { body } = await webhook.postReview(makeTokenReview(token), {});
    if (!(body as { status: { authenticated: boolean } }).status.authenticated) denials += 1;
    await webhook.clock.advance(1_000 / rounds);
  }
  let isOver = false;
  void Promise.all(flood).then(() => (isOver = true));
  await waitUntil('all are answered', async () => {
    await webhook.clock.advance(100);
    return isOver;
  });
  t.equal(denials, 0, 'no user is rejected');
  t.equal(admitted, 0, 'no invalid token is accepted');
  t.equal(answered, 500 * seconds);
  const invalid = countValidations(keystone) - users.length * (1 + Math.floor(webhook.clock.monotonicMs() / 20_000));
  // A burst of 100, and then 15 per second. keystone-authenticator.test.ts looks at each second.
  const limit = 101 + (15 * webhook.clock.monotonicMs()) / 1_000;
  t.ok(invalid <= limit, `${invalid} requests to Keystone, of which ${limit} are allowed`);
});

for (const client of CLIENTS) {
  void t.test(`64 users are identified correctly among a tenth of invalid tokens (${client})`, async (t) => {
    const { webhook, tokens } = await setUp(t);
    const bodies = tokens.map(makeBody);
    for (const token of tokens) t.match(await webhook.reviewToken(token), { authenticated: true });
    // Each connection waits for one answer. It is here while that is about an invalid token.
    const waiting = new Set<number>();
    const owners = new Map<string, number>();
    const isDone = new Set<number>();
    let answered = 0;
    const count = pickSize(10_000, 60);
    let [wrong, denials, admitted] = [0, 0, 0];
    const sending = sendOnAll(
      webhook,
      client,
      count,
      (connection, number) => {
        if (number === count - 1) isDone.add(connection);
        if (number % 10 !== 5) return bodies[connection] ?? '';
        const body = makeBody(makeFakeToken());
        owners.set(body, connection);
        waiting.add(connection);
        return body;
      },
      (body, sent) => {
        const user = bodies.indexOf(sent);
        const owner = owners.get(sent);
        if (owner !== undefined) {
          answered += 1;
          owners.delete(sent);
          waiting.delete(owner);
        }
        const authenticated = body.includes('"authenticated":true');
        if (user >= 0 && !authenticated) denials += 1;
        if (user < 0 && authenticated) admitted += 1;
        if (authenticated && !body.includes(`"username":"user-${user}"`)) wrong += 1;
      },
    );
    let isAnswered = false;
    void sending.finally(() => (isAnswered = true));
    const isOver = (): boolean => isAnswered;
    // Invalid tokens wait for their turn at Keystone. Time passes only if everybody waits for that, and by one turn.
    const allWait = (): boolean => waiting.size > 0 && waiting.size + isDone.size >= CONNECTIONS;
    while (!isOver()) {
      await waitForEvents('the others to wait as well', () => isOver() || allWait());
      const before = answered;
      await webhook.clock.advance(MS_PER_TURN);
      await waitForEvents('the answer of this turn', () => isOver() || answered > before);
    }
    await sending;
    t.equal(wrong, 0, 'wrong identities');
    t.equal(admitted, 0, 'invalid tokens that are accepted');
    t.equal(denials, 0, 'false denials');
  });
}
