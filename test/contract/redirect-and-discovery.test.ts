/** Wherever a server redirects to, the credential is sent only to the origin that the user set. */
import t from 'tap';
import type { Test } from 'tap';
import * as faults from '../support/stand-in-faults.ts';
import { EXIT_STATUS, PASSWORD } from '../support/check-run.ts';
import { checkFailure, checkSuccess, makeLoginSettings, startKeystoneForTest } from '../support/check-run.ts';
import { setUp } from '../support/fixture.ts';
import type { EnvVars } from '../support/home.ts';
import type { RunResult } from '../support/run-plugin.ts';
import type { StandInKeystone } from '../support/stand-in-keystone.ts';
import type { Handler } from '../support/stand-in-keystone/handlers.ts';

// A new object for each test, because tap changes it.
const inParallel = (): { buffered: true; jobs: number } => ({ buffered: true, jobs: 8 });
const LOGIN = 'POST /v3/auth/tokens';
const DISCOVERY = 'GET /';

/** Logs in once, on a new machine. */
function logInAt(t: Test, authUrl: string, changes: EnvVars = {}): Promise<RunResult> {
  return setUp(t, { settings: { ...makeLoginSettings(authUrl), ...changes } }).run();
}

/** Whether any request contained the credential. */
function credentialSeen(standIn: StandInKeystone): boolean {
  return JSON.stringify(standIn.requests).includes(PASSWORD);
}

/** Declares the tests of a group without waiting for each. tap waits for all. */
async function group(name: string, declare: (t: Test) => Promise<unknown>[]): Promise<void> {
  await t.test(name, inParallel(), async (t) => {
    await Promise.all(declare(t));
  });
}

interface Redirected {
  readonly code: 301 | 302 | 303 | 307 | 308;
  /** Makes the target of the redirect for a Keystone. */
  readonly location: (keystone: StandInKeystone, other: StandInKeystone) => string;
}

const elsewhere: Readonly<Record<string, Redirected['location']>> = {
  'another port': (_keystone, other) => `${other.url}/v3/auth/tokens`,
  'another host name': (keystone) => `http://localhost:${String(keystone.port)}/v3/auth/tokens`,
  'a protocol-relative host': (_keystone, other) => `//localhost:${String(other.port)}/v3/auth/tokens`,
};

for (const [what, from, authPath] of [
  ['the login', LOGIN, '/v3'],
  ['the discovery', DISCOVERY, ''],
] as const) {
  await group(`${what} is redirected within the origin only`, (t) =>
    ([301, 302, 303, 307, 308] as const).flatMap((code) => [
      ...Object.entries(elsewhere).map(([target, location]) =>
        t.test(`status ${String(code)} leads to ${target}`, inParallel(), async (t) => {
          const [keystone, other] = [await startKeystoneForTest(t), await startKeystoneForTest(t)];
          const to = location(keystone, other);
          keystone.answerNext(faults.respondRedirect(code, to), from);
          const result = await logInAt(t, keystone.url + authPath);
          const { origin } = new URL(to, keystone.url);
          const says = [`redirects to ${origin}`, 'the credential was not sent there', `set OS_AUTH_URL to ${origin}`];
          checkFailure(t, result, EXIT_STATUS.protocol, { says });
          t.equal(other.requests.length, 0, 'nothing reaches the other origin');
          t.equal(keystone.requests.length, 1, 'nothing reaches the server under its other name');
          t.equal(credentialSeen(keystone), what === 'the login');
        }),
      ),
      t.test(`status ${String(code)} stays within the origin`, inParallel(), async (t) => {
        const keystone = await startKeystoneForTest(t);
        const to = what === 'the login' ? '/v3/auth/tokens/' : '/v3/';
        keystone.answerNext(faults.respondRedirect(code, to), from);
        const result = await logInAt(t, keystone.url + authPath);
        if (code === 303) {
          // This status asks for a GET, which would drop the login.
          checkFailure(t, result, EXIT_STATUS.protocol, { says: ['redirects in a way that would drop the login'] });
          t.equal(keystone.requests.length, 1);
          return;
        }
        checkSuccess(t, result);
        const expected =
          what === 'the login'
            ? ['POST /v3/auth/tokens?nocatalog=true', 'POST /v3/auth/tokens/']
            : ['GET /', 'GET /v3/', 'POST /v3/auth/tokens?nocatalog=true'];
        t.strictSame(keystone.listRequests(), expected);
        t.ok(JSON.stringify(keystone.requests.at(-1)?.body).includes(PASSWORD), 'with its body');
      }),
    ]),
  );
}

await group('an odd redirect is reported', (t) => {
  const fails = (name: string, handler: (standIn: StandInKeystone) => Handler, says: string, requests: number) =>
    t.test(name, inParallel(), async (t) => {
      const keystone = await startKeystoneForTest(t);
      keystone.answerAlways(handler(keystone));
      const result = await logInAt(t, `${keystone.url}/v3`);
      checkFailure(t, result, EXIT_STATUS.protocol, { says: [says] });
      t.equal(keystone.requests.length, requests);
    });
  let count = 0;
  return [
    fails('the redirects do not end', () => faults.respondRedirect(302, '/v3/auth/tokens'), 'redirects without end', 6),
    fails(
      'the redirects do not end, and each leads to another path',
      () => (request, response, exchange) =>
        faults.respondRedirect(307, `/v3/auth/tokens?${String((count += 1))}`)(request, response, exchange),
      'redirects without end',
      6,
    ),
    fails('the redirect leads to nothing', () => faults.respondRedirect(302, ''), 'redirects without end', 6),
    fails('the target is not a URL', () => faults.respondRedirect(302, 'http://'), 'redirects to an unusable URL', 1),
    fails(
      'the target has another scheme',
      () => faults.respondRedirect(302, 'file:///etc/passwd'),
      'redirects to an unusable URL',
      1,
    ),
    fails(
      'the target is https on another host',
      () => faults.respondRedirect(308, 'https://localhost/'),
      'to https://localhost;',
      1,
    ),
    fails('the redirect has no target', () => faults.respondJson(302, {}), 'status 302, which is not Keystone', 1),
    fails('the answer is a list of choices', () => faults.respondJson(300, {}, { location: '/v3' }), 'status 300', 1),
  ];
});

await group('the path of the URL decides whether Keystone is asked for its versions', (t) => {
  const asked = ['GET /', 'POST /v3/auth/tokens?nocatalog=true'];
  const direct = ['POST /v3/auth/tokens?nocatalog=true'];
  const cases: readonly (readonly [string, readonly string[]])[] = [
    ['', asked],
    ['/', asked],
    ['/?region=one#part', asked],
    ['/v3', direct],
    ['/v3/', direct],
    ['/v3//', direct],
    ['/v3?region=one#part', direct],
    ['/v3.14', direct],
    ['/v2.0', direct],
    ['/v2.0/', direct],
    ['/v4', direct],
    ['/elsewhere/../v3', direct],
  ];
  return [
    ...cases.map(([path, expected]) =>
      t.test(`the path is "${path}"`, inParallel(), async (t) => {
        const keystone = await startKeystoneForTest(t);
        checkSuccess(t, await logInAt(t, keystone.url + path));
        t.strictSame(keystone.listRequests(), expected);
        t.notOk(JSON.stringify(keystone.requests[0]).includes(PASSWORD) && expected === asked);
      }),
    ),
    ...['v3password', 'password'].map((type) =>
      t.test(`the auth type is ${type}`, inParallel(), async (t) => {
        const keystone = await startKeystoneForTest(t);
        checkSuccess(t, await logInAt(t, keystone.url, { OS_AUTH_TYPE: type }));
        t.strictSame(keystone.listRequests(), type === 'v3password' ? direct : asked);
      }),
    ),
  ];
});

/** Responds below a path as the stand-in does at its root. */
function below(prefix: string): Handler {
  return (request, response, exchange) => {
    request.path = request.path.slice(prefix.length) || '/';
    return faults.changeResponse((answer) => answer)(request, response, exchange);
  };
}

await group('Keystone can be below a path', (t) =>
  (
    [
      ['/identity', ['GET /', 'POST /v3/auth/tokens?nocatalog=true']],
      ['/identity/v3', ['POST /v3/auth/tokens?nocatalog=true']],
      ['/identity/v2.0', ['POST /v3/auth/tokens?nocatalog=true']],
    ] as const
  ).map(([path, expected]) =>
    t.test(`the URL ends with ${path}`, inParallel(), async (t) => {
      const keystone = await startKeystoneForTest(t);
      const versions = [{ id: 'v3.14', status: 'stable', links: [{ rel: 'self', href: '/identity/v3/' }] }];
      keystone.answerAlways(below('/identity'), 'POST /identity');
      keystone.answerAlways((request, response, exchange) => {
        request.path = request.path.slice('/identity'.length) || '/';
        return faults.respondJson(300, { versions: { values: versions } })(request, response, exchange);
      }, 'GET /identity');
      checkSuccess(t, await logInAt(t, keystone.url + path));
      t.strictSame(keystone.listRequests(), expected);
    }),
  ),
);

interface Discovered {
  readonly keystone: StandInKeystone;
  readonly other: StandInKeystone;
  readonly result: RunResult;
}

async function discover(
  t: Test,
  answer: (keystone: StandInKeystone, other: StandInKeystone) => Handler,
): Promise<Discovered> {
  const [keystone, other] = [await startKeystoneForTest(t), await startKeystoneForTest(t)];
  keystone.answerAlways(answer(keystone, other), DISCOVERY);
  return { keystone, other, result: await logInAt(t, keystone.url) };
}

const version = (id: string, status: string, href: string): object => ({ id, status, links: [{ rel: 'self', href }] });

await group('a link of Keystone changes the path, but never the origin', (t) => {
  const hrefs: Readonly<Record<string, (keystone: StandInKeystone, other: StandInKeystone) => string>> = {
    'its own address': (keystone) => `${keystone.url}/v3/`,
    'another port': (_, other) => `${other.url}/v3/`,
    'https on the same port': (keystone) => `https://127.0.0.1:${String(keystone.port)}/v3`,
    'an internal name': () => 'http://controller.internal:5000/v3/',
    'a path': () => '/v3/',
    'a relative path': () => 'v3/',
    'a protocol-relative host': (_, other) => `//127.0.0.1:${String(other.port)}/v3/`,
    'a protocol-relative host with backslashes': (_, other) => `\\\\127.0.0.1:${String(other.port)}\\v3`,
    'a URL with query and fragment': (_, other) => `${other.url}/v3/?x=1#y`,
    'a URL with user information': (_, other) => `http://127.0.0.1@127.0.0.1:${String(other.port)}/v3`,
    'a path that turns the origin into a user name': (_, other) => `x:@127.0.0.1:${String(other.port)}/v3`,
    'a path that extends the host name': () => 'x:.evil.example/v3',
    'an invalid URL': () => 'http://[/v3',
    nothing: () => '',
  };
  return Object.entries(hrefs).map(([name, href]) =>
    t.test(`the link is ${name}`, inParallel(), async (t) => {
      const { keystone, other, result } = await discover(t, (...both) =>
        faults.respondJson(300, { versions: { values: [version('v3.14', 'stable', href(...both))] } }),
      );
      t.equal(other.requests.length, 0, 'nothing reaches the other origin');
      t.equal(keystone.countLogins() + Number(name === 'nothing'), 1, keystone.listRequests().join());
      // An empty link is the root, which does not accept logins.
      if (name === 'nothing') checkFailure(t, result, EXIT_STATUS.protocol, { says: ['no Keystone v3'] });
      else checkSuccess(t, result);
    }),
  );
});

await group('v3 is chosen among the versions that Keystone offers', (t) => {
  const stable = (id: string, href = '/v3/'): object => version(id, 'stable', href);
  const usable: Readonly<Record<string, Handler>> = {
    'a list with 300': faults.respondJson(300, { versions: { values: [stable('v3.14')] } }),
    'a list with 200': faults.respondJson(200, { versions: { values: [stable('v3.14')] } }),
    'a plain list': faults.respondJson(200, { versions: [stable('v3.14')] }),
    'one version': faults.respondJson(200, { version: stable('v3.14') }),
    'the oldest name': faults.respondJson(200, { version: version('v3', 'CURRENT', '/v3/') }),
    'v4 beside v3': faults.respondJson(200, { versions: { values: [stable('v4.0', '/v4'), stable('v3.14')] } }),
    'v2.0 beside v3': faults.respondJson(300, {
      versions: { values: [version('v2.0', 'deprecated', '/v2.0'), version('v3.0', 'supported', '/v3')] },
    }),
    'the highest of several': faults.respondJson(300, {
      versions: { values: [stable('v3.9', '/old'), stable('v3.14'), version('v3.20', 'experimental', '/new')] },
    }),
    'no links': faults.respondJson(300, { versions: { values: [{ id: 'v3.14', status: 'stable' }] } }),
    'odd links': faults.respondJson(300, {
      versions: { values: [{ id: 'v3.14', status: 'stable', links: [null, 1, [], { rel: 'self', href: 1 }] }] },
    }),
    // Then the usual path is tried.
    '403': faults.respondKeystoneError(403, 'No.'),
    '404': faults.respondHtml(404),
    HTML: faults.respondHtml(200),
    '500': faults.respondHtml(500),
    'broken JSON': faults.respondJson(200, '{"versions": {"values": [{'),
    'a list': faults.respondJson(200, []),
    'nothing of interest': faults.respondJson(200, { versions: { values: [null, 1, 'v3', []] }, version: 3 }),
  };
  const unusable: Readonly<Record<string, readonly [Handler, string]>> = {
    'only v4.0': [
      faults.respondJson(200, { versions: { values: [stable('v4.0', '/v4/')] } }),
      'offers v4.0, but not v3',
    ],
    'only v2.0': [faults.respondJson(300, { versions: { values: [stable('v2.0')] } }), 'offers v2.0, but not v3'],
    'a long text': [
      faults.respondJson(300, { versions: [{ id: '\x1b[31m'.repeat(10_000) }] }),
      'offers \\u{1b}[31m\\u{1b}[31m',
    ],
  };
  return [
    ...Object.entries(usable).map(([name, handler]) =>
      t.test(`the login works with this answer: ${name}`, inParallel(), async (t) => {
        const { keystone, result } = await discover(t, () => handler);
        checkSuccess(t, result);
        t.strictSame(keystone.listRequests(), ['GET /', 'POST /v3/auth/tokens?nocatalog=true']);
      }),
    ),
    t.test('a deprecated v3 causes a warning', inParallel(), async (t) => {
      const old = faults.respondJson(300, { versions: [version('v3.14', 'deprecated', '/v3'), stable('v4.0', '/v4')] });
      const { keystone, result } = await discover(t, () => old);
      checkSuccess(t, result, [/marks v3 as deprecated/]);
      t.strictSame(keystone.listRequests(), ['GET /', 'POST /v3/auth/tokens?nocatalog=true']);
    }),
    ...Object.entries(unusable).map(([name, [handler, says]]) =>
      t.test(`the login fails with this answer: ${name}`, inParallel(), async (t) => {
        const { keystone, result } = await discover(t, () => handler);
        checkFailure(t, result, EXIT_STATUS.protocol, { says: [says, 'OS_AUTH_URL'] });
        t.ok(result.stderr.length < 3500, 'the message is short');
        t.strictSame(keystone.listRequests(), ['GET /']);
      }),
    ),
  ];
});
