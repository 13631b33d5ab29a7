// Tests of the test tools: a tool that does not work makes other tests meaningless.

import { execFile } from 'node:child_process';
import { chmod, mkdir, readFile, writeFile } from 'node:fs/promises';
import { request as requestHttp } from 'node:http';
import type { IncomingHttpHeaders } from 'node:http';
import { request as requestHttps } from 'node:https';
import { connect } from 'node:net';
import type { Socket } from 'node:net';
import { join } from 'node:path';
import { connect as connectTls } from 'node:tls';
import { promisify } from 'node:util';
import { gunzipSync } from 'node:zlib';
import t from 'tap';
import type { Test } from 'tap';
import { requireKubectl } from '../support/missing-tools.ts';
import { makePki } from '../../scripts/lib/pki.ts';
import { startStandInApiServer, writeKubeconfig } from '../support/stand-in-api-server.ts';
import { startStandInCluster } from '../support/stand-in-cluster.ts';
import * as faults from '../support/stand-in-faults.ts';
import { startConnectProxy, startCountingProxy } from '../support/proxy.ts';
import { startStandInKeystone } from '../support/stand-in-keystone.ts';
import { recordedApplicationCredentials } from '../support/stand-in-keystone/users.ts';
import type { StandInKeystone } from '../support/stand-in-keystone.ts';
import { openTerminal, runWithStty } from '../support/terminal.ts';
import { waitUntil } from '../support/wait-until.ts';

const run = promisify(execFile);
const directory = t.testdir();
const pki = await makePki(join(directory, 'pki'));
const ca = await readFile(pki.ca);

interface Reply {
  status: number;
  statusText: string | undefined;
  headers: IncomingHttpHeaders;
  text: string;
}

interface Call {
  method?: string;
  headers?: Record<string, string>;
  body?: unknown;
}

// got and fetch would change or reject an unusual response.
function call(url: string, { method = 'GET', headers = {}, body }: Call = {}): Promise<Reply> {
  return new Promise((resolve, reject) => {
    const options = { method, headers, ca, agent: false };
    const request = url.startsWith('https:') ? requestHttps(url, options) : requestHttp(url, options);
    request.on('error', reject);
    request.on('response', (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.on('error', reject);
      response.on('end', () =>
        resolve({
          status: response.statusCode ?? 0,
          statusText: response.statusMessage,
          headers: response.headers,
          text: Buffer.concat(chunks).toString('utf8'),
        }),
      );
    });
    request.end(body === undefined ? undefined : typeof body === 'string' ? body : JSON.stringify(body));
  });
}

// The part of a login response that these tests read.
interface Body {
  token: { expires_at: string; issued_at: string };
  error: { code: number; message: string };
}

function parse({ text }: Reply): Body {
  return JSON.parse(text) as Body;
}

/** The stand-in's times have whole seconds. */
function isBetween(ms: number, from: number, to: number): boolean {
  return Math.floor(from / 1000) * 1000 <= ms && ms <= Math.ceil(to / 1000) * 1000;
}

function login(standIn: { url: string }, identity: object, more: object = {}, headers = {}): Promise<Reply> {
  const body = { auth: { identity, ...more } };
  return call(`${standIn.url}/v3/auth/tokens`, { method: 'POST', body, headers });
}

const acme = { name: 'acme' };
const aliceByPassword = {
  methods: ['password'],
  password: { user: { name: 'alice', domain: acme, password: 's3cret' } },
};
const onWeb = { scope: { project: { name: 'web', domain: acme } } };

async function startForTest(
  test: Test,
  options?: Parameters<typeof startStandInKeystone>[0],
): Promise<StandInKeystone> {
  const standIn = await startStandInKeystone(options);
  test.teardown(() => standIn.close());
  return standIn;
}

await t.test('the terminal works', async (t) => {
  await t.test('it shows output and sends input', async (t) => {
    const script = 'printf "Name: "; read name; printf "\\033[1mhello\\033[0m %s\\n" "$name"; exit 3';
    const terminal = openTerminal({ file: '/bin/sh', args: ['-c', script] });
    await terminal.waitFor('Name: ');
    terminal.type('alice\r');
    t.equal(await terminal.waitFor(/hello \w+/), 'hello alice');
    t.strictSame(await terminal.ended, { exitCode: 3, signal: undefined });
    t.equal(terminal.screen(), 'Name: alice\nhello alice\n');
    t.match(terminal.raw(), '\x1b[1m');
    await t.rejects(terminal.waitFor('more'), /more not shown at the end/);
  });

  await t.test('it reports a signal, and leaves no process', async (t) => {
    const terminal = openTerminal({ file: '/bin/sh', args: ['-c', 'echo ready; exec sleep 60'] });
    await terminal.waitFor('ready');
    terminal.signal('SIGTERM');
    t.strictSame(await terminal.ended, { exitCode: 0, signal: 'SIGTERM' });

    const stubborn = openTerminal({ file: '/bin/sh', args: ['-c', "trap '' HUP TERM; echo ready; sleep 60"] });
    await stubborn.waitFor('ready');
    await stubborn.close();
    t.throws(() => process.kill(stubborn.pid, 0), { code: 'ESRCH' });
  });

  await t.test('it reads the settings before and after a program', async (t) => {
    const rawMode = `
      process.stdin.setRawMode(true);
      process.on('SIGTSTP', () => { process.stdin.setRawMode(false); process.kill(process.pid, 'SIGSTOP'); });
      process.on('SIGCONT', () => { process.stdin.setRawMode(true); console.log('again'); });
      process.stdin.once('data', (key) => {
        if (key.toString() === 'q') process.exit(4);
        process.kill(process.pid, 'SIGKILL');
      });
      console.log('ready');
    `;
    const command = { file: process.execPath, args: ['-e', rawMode] };
    const tidy = await runWithStty(command, async (terminal) => {
      await terminal.waitFor('ready');
      t.match(await terminal.settings(), '-icanon');
      terminal.signal('SIGTSTP');
      await terminal.waitFor('again');
      terminal.type('q');
    });
    t.equal(tidy.exitCode, 4);
    t.equal(tidy.after, tidy.before);
    t.strictSame(tidy.whileStopped, [tidy.before]);

    const untidy = await runWithStty(command, async (terminal) => {
      await terminal.waitFor('ready');
      terminal.type('k');
    });
    t.equal(untidy.exitCode, 128 + 9);
    t.not(untidy.after, untidy.before);
  });
});

await t.test('the stand-in Keystone works', async (t) => {
  await t.test('it lists its versions', async (t) => {
    const standIn = await startForTest(t);
    const root = await call(standIn.url);
    t.equal(root.status, 300);
    t.equal(root.statusText, 'MULTIPLE CHOICES');
    t.equal(root.headers.location, `${standIn.url}/v3/`);
    t.match(parse(root), { versions: { values: [{ id: 'v3.14', status: 'stable' }] } });
    for (const path of ['/v3', '/v3/']) {
      const reply = await call(standIn.url + path);
      t.equal(reply.status, 200);
      t.match(parse(reply), { version: { id: 'v3.14', links: [{ href: `${standIn.url}/v3/` }] } });
    }
    const lost = await call(`${standIn.url}/v2.0`);
    t.equal(lost.status, 404);
    t.match(lost.headers['content-type'], 'text/html');
    t.equal((await call(`${standIn.url}/v3/auth/tokens`, { method: 'PUT' })).status, 405);
  });

  await t.test('it issues a token for each scope', async (t) => {
    const standIn = await startForTest(t);
    const scopes: [object, number, object][] = [
      [onWeb, 183, { project: { name: 'web', domain: acme }, roles: [{ name: 'reader' }, { name: 'member' }] }],
      [{ scope: { domain: acme } }, 183, { domain: acme, roles: [{ name: 'reader' }] }],
      [{ scope: { system: { all: true } } }, 162, { system: { all: true } }],
      [{ scope: 'unscoped' }, 162, { project: undefined, roles: undefined }],
      [{}, 162, { project: undefined, catalog: undefined }],
    ];
    for (const [scope, length, expected] of scopes) {
      const reply = await login(standIn, aliceByPassword, scope);
      t.equal(reply.status, 201);
      t.equal(String(reply.headers['x-subject-token']).length, length);
      const { token } = parse(reply);
      t.match(token, { methods: ['password'], user: { name: 'alice', domain: acme }, ...expected });
      t.match(token.expires_at, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.000000Z$/);
      t.equal(Date.parse(token.expires_at) - Date.parse(token.issued_at), 3_600_000);
    }
    t.equal(standIn.countLogins(), scopes.length);
    t.match(standIn.requests[0], { method: 'POST', path: '/v3/auth/tokens', body: { auth: onWeb } });
  });

  await t.test('it rejects requests with the messages of Keystone', async (t) => {
    const standIn = await startForTest(t);
    const generic = 'The request you have made requires authentication.';
    const malformed =
      'The server could not comply with the request since it is either malformed or otherwise incorrect.';
    const byPassword = (user: object): object => ({ methods: ['password'], password: { user } });
    const byCredential = (credential: object): object => ({
      methods: ['application_credential'],
      application_credential: credential,
    });
    const id = recordedApplicationCredentials[0]?.id;
    const secret = recordedApplicationCredentials[0]?.secret;
    const unknown = '00000000000000000000000000000000';
    const refusals: [object, object, number, string][] = [
      [byPassword({ name: 'alice', domain: acme, password: 'wrong' }), {}, 401, generic],
      [byPassword({ name: 'ghost', domain: acme, password: 'x' }), {}, 401, generic],
      [byPassword({ name: 'dave', domain: acme, password: 's3cret' }), {}, 401, generic],
      [byPassword({ name: 'frank', domain: acme, password: 's3cret' }), onWeb, 401, generic],
      [aliceByPassword, { scope: { project: { id: unknown } } }, 401, generic],
      [
        byPassword({ name: 'carol', domain: acme, password: 's3cret' }),
        {},
        401,
        'The password is expired and needs to',
      ],
      [byPassword({ name: 'alice', password: 's3cret' }), {}, 400, `Expecting to find domain in user. ${malformed}`],
      [{ methods: ['frobnicate'], frobnicate: {} }, {}, 401, 'Attempted to authenticate with an unsupported method.'],
      [byCredential({ id: unknown, secret: 'x' }), {}, 404, `Could not find Application Credential: ${unknown}.`],
      [byCredential({ id, secret: 'x' }), {}, 401, generic],
      [byCredential({ id, secret }), onWeb, 401, 'Error authenticating with application credential: Application cred'],
      [{ methods: ['token'], token: { id: 'gAAAAABnonsense' } }, onWeb, 404, 'Could not recognize Fernet token'],
    ];
    for (const [identity, more, status, message] of refusals) {
      const reply = await login(standIn, identity, more);
      t.equal(reply.status, status, message);
      const { error } = parse(reply);
      t.equal(error.code, status);
      t.ok(error.message.startsWith(message), error.message);
      t.equal(reply.headers['www-authenticate'], status === 401 ? `Keystone uri="${standIn.url}/v3"` : undefined);
    }
    const post = { method: 'POST' };
    const broken = await call(`${standIn.url}/v3/auth/tokens`, { ...post, body: '{"auth":' });
    t.match(broken.text, 'Expecting to find valid JSON in request body.');
    const empty = await call(`${standIn.url}/v3/auth/tokens`, { ...post, body: {} });
    t.match(empty.text, 'Expecting to find auth in request body.');
  });

  await t.test('it knows application credentials, tokens and receipts', async (t) => {
    const standIn = await startForTest(t, { tls: pki.server });
    const secret = recordedApplicationCredentials[0]?.secret;
    const byName = { name: 'k8s', secret, user: { name: 'alice', domain: acme } };
    const credential = await login(standIn, {
      methods: ['application_credential'],
      application_credential: byName,
    });
    t.equal(credential.status, 201);
    t.match(parse(credential).token, { project: { name: 'web' }, application_credential: { name: 'k8s' } });
    const delegated = { methods: ['token'], token: { id: String(credential.headers['x-subject-token']) } };
    t.equal((await login(standIn, delegated, onWeb)).status, 403);

    const unscoped = await login(standIn, aliceByPassword);
    const token = String(unscoped.headers['x-subject-token']);
    const mine = { 'x-auth-token': token, 'x-subject-token': token };
    const rescoped = await login(standIn, { methods: ['token'], token: { id: token } }, onWeb);
    t.match(parse(rescoped).token, {
      methods: ['password', 'token'],
      expires_at: parse(unscoped).token.expires_at,
    });
    const tokens = `${standIn.url}/v3/auth/tokens`;
    t.equal((await call(tokens, { headers: mine })).text, unscoped.text);
    t.equal((await call(tokens, { method: 'HEAD', headers: mine })).status, 200);
    t.match((await call(`${standIn.url}/v3/auth/projects`, { headers: mine })).text, '"name":"db"');
    t.equal((await call(tokens, { method: 'DELETE', headers: mine })).status, 204);
    t.equal((await call(tokens, { headers: mine })).status, 401);

    const userOf = { name: 'bob', domain: acme };
    const first = await login(standIn, {
      methods: ['password'],
      password: { user: { ...userOf, password: 's3cret' } },
    });
    t.equal(first.status, 401);
    t.match(parse(first), {
      receipt: { methods: ['password'] },
      required_auth_methods: [['password', 'totp']],
    });
    const byTotp = { methods: ['totp'], totp: { user: { ...userOf, passcode: '716788' } } };
    const receipt = { 'openstack-auth-receipt': String(first.headers['openstack-auth-receipt']) };
    t.match(parse(await login(standIn, byTotp, onWeb, receipt)).token, { methods: ['password', 'totp'] });
    const bogus = await login(standIn, byTotp, onWeb, { 'openstack-auth-receipt': 'bogus' });
    t.match(bogus.text, 'Could not find auth receipt: bogus.');
  });

  await t.test('it asks handlers first, in their order', async (t) => {
    const standIn = await startForTest(t);
    standIn.answerAlways(faults.respondHtml(503), 'POST');
    standIn.answerNext(faults.respondHtml(502), 'POST /v3/auth/tokens');
    t.equal((await call(`${standIn.url}/v3`)).status, 200);
    t.equal((await login(standIn, aliceByPassword)).status, 502);
    t.equal((await login(standIn, aliceByPassword)).status, 503);
    standIn.removeHandlers();
    t.equal((await login(standIn, aliceByPassword)).status, 201);
  });
});

await t.test('the faults work', async (t) => {
  await t.test('headers and bodies can be wrong', async (t) => {
    const standIn = await startForTest(t);
    const ask = (handler: Parameters<StandInKeystone['answerNext']>[0]): Promise<Reply> => {
      standIn.answerNext(handler);
      return login(standIn, aliceByPassword);
    };
    t.match(await ask(faults.respondRedirect(307, '/elsewhere')), { status: 307, headers: { location: '/elsewhere' } });
    t.match(await ask(faults.malformedJson()), { status: 201, text: '{"token": {"methods": ["password"], ' });
    const bare = await ask(faults.withoutToken());
    t.equal(bare.status, 201);
    t.equal(bare.headers['x-subject-token'], undefined);
    t.equal((await ask(faults.withContentType('text/html'))).headers['content-type'], 'text/html');
    t.equal((await ask(faults.retryAfter(429, 7))).headers['retry-after'], '7');
    t.match((await ask(faults.retryAfter(503, new Date(0)))).headers['retry-after'], 'Thu, 01 Jan 1970');
    const before = Date.now();
    const early = Date.parse(String((await ask(faults.withDate(-600))).headers.date)) + 600_000;
    t.ok(isBetween(early, before, Date.now()));
    t.equal((await ask(faults.withDate(undefined))).headers.date, undefined);
    t.equal((await ask(faults.withToken('gAAAA\xe9'))).headers['x-subject-token'], 'gAAAA\xe9');
    t.equal((await ask(faults.withToken('gAAAA\r\nX-Injected: yes'))).headers['x-injected'], 'yes');
    await t.rejects(ask(faults.withToken('gAAAA\0')), { code: 'HPE_INVALID_HEADER_TOKEN' });
    await t.rejects(ask(faults.withToken(String(faults.hostileTokens['of 40 KiB']))), { code: 'HPE_HEADER_OVERFLOW' });
    t.match((await ask(faults.hugeBody(100_000))).text, /^\{"token":\{"junk":"a{131072}"\}\}$/);
  });

  await t.test('expiry and clock can be wrong', async (t) => {
    const standIn = await startForTest(t, { lifetimeSeconds: 90 });
    for (const [name, spell] of Object.entries(faults.expiryFormats)) {
      standIn.formatExpiry = spell;
      const before = Date.now();
      const expiry = parse(await login(standIn, aliceByPassword)).token.expires_at;
      const zoned = /Z$|[+-]\d\d:\d\d$/.test(expiry) ? expiry : `${expiry}Z`;
      t.ok(isBetween(Date.parse(zoned) - 90_000, before, Date.now()), `${name}: ${expiry}`);
    }
    standIn.formatExpiry = faults.formatLeapSecond;
    standIn.clockAheadSeconds = 600;
    const before = Date.now();
    const ahead = await login(standIn, aliceByPassword);
    t.match(parse(ahead).token.expires_at, /T\d\d:\d\d:60\.000000Z$/);
    t.ok(isBetween(Date.parse(String(ahead.headers.date)) - 600_000, before, Date.now()));
  });

  await t.test('responses can have no end', async (t) => {
    // With TLS, a reset must happen on the socket below.
    const standIn = await startForTest(t, { tls: pki.server });
    const firstBytes = (handler: Parameters<StandInKeystone['answerNext']>[0], count: number): Promise<Buffer> => {
      standIn.answerNext(handler);
      return new Promise((resolve, reject) => {
        const request = requestHttps(`${standIn.url}/v3/auth/tokens`, { method: 'POST', ca, agent: false });
        request.on('error', reject);
        request.on('response', (response) => {
          const chunks: Buffer[] = [];
          response.on('error', reject);
          response.on('data', (chunk: Buffer) => {
            chunks.push(chunk);
            if (chunks.reduce((sum, { length }) => sum + length, 0) < count) return;
            resolve(Buffer.concat(chunks));
            request.destroy();
          });
        });
        request.end(JSON.stringify({ auth: { identity: aliceByPassword } }));
      });
    };
    t.ok((await firstBytes(faults.neverEndingBody(), 5_000_000)).length >= 5_000_000);
    t.ok((await firstBytes(faults.hugeBody(), 5_000_000)).length >= 5_000_000);
    const zipped = await firstBytes(faults.gzipBomb(), 40_000);
    t.ok(gunzipSync(zipped, { finishFlush: 2, maxOutputLength: 100_000_000 }).length >= 16 * 1024 * 1024);
    t.equal((await firstBytes(faults.slowBody(50), 5)).length, 5);
    await t.rejects(firstBytes(faults.resetMidBody(), 5000), { code: 'ECONNRESET' });
    await t.rejects(firstBytes(faults.resetImmediately(), 1), { code: 'ECONNRESET' });
    await t.rejects(firstBytes(faults.cutMidBody(), 5000), { code: 'ECONNRESET' });
    const countBefore = standIn.requests.length;
    let outcome = 'nothing';
    const silent = firstBytes(faults.silence(), 1).then(
      () => (outcome = 'an answer'),
      () => (outcome = 'closed'),
    );
    await waitUntil('the silent request has arrived', () => standIn.requests.length > countBefore || undefined);
    t.equal((await call(`${standIn.url}/v3`)).status, 200, 'a later request is answered');
    t.equal(outcome, 'nothing');
    await standIn.close();
    t.equal(await silent, 'closed');
  });
});

await t.test('the stand-in cluster goes on after a client that goes in the middle of a request', async (t) => {
  const cluster = await startStandInCluster(t);
  const socket = connect(Number(new URL(cluster.url).port), '127.0.0.1');
  const authorization = 'authorization: Bearer cluster-token';
  socket.write(`POST /api/v1/namespaces HTTP/1.1\r\nhost: x\r\n${authorization}\r\ncontent-length: 100\r\n\r\n{`);
  await waitUntil('the request arrives', () => cluster.requests.length === 1);
  socket.destroy();
  const headers = { authorization: 'Bearer cluster-token' };
  const body = { metadata: { name: 'web' } };
  t.equal((await call(`${cluster.url}/api/v1/namespaces`, { method: 'POST', headers, body })).status, 201);
  t.strictSame([...cluster.namespaces.keys()], ['web']);
});

await t.test('the CONNECT proxy logs tunnels and unencrypted requests', async (t) => {
  const standIn = await startForTest(t, { tls: pki.server });
  const credentials = { user: 'u', password: 'p' };
  const proxy = await startConnectProxy({ credentials, loopbackNames: ['keystone.example.test'] });
  t.teardown(() => proxy.close());
  const tunnel = (target: string, password: string): Promise<{ status: number; socket: Socket }> =>
    new Promise((resolve, reject) => {
      const authorization = `Basic ${Buffer.from(`u:${password}`).toString('base64')}`;
      const options = { method: 'CONNECT', path: target, headers: { 'proxy-authorization': authorization } };
      requestHttp(proxy.url, options)
        .on('error', reject)
        .on('connect', (response, socket) => resolve({ status: response.statusCode ?? 0, socket }))
        .end();
    });
  const target = `127.0.0.1:${standIn.port}`;
  t.equal((await tunnel(target, 'wrong')).status, 407);
  t.equal((await tunnel('example.org:443', 'p')).status, 403);
  t.equal((await tunnel(`keystone.example.test:${standIn.port}`, 'p')).status, 200);

  const good = await tunnel(target, 'p');
  const tls = connectTls({ socket: good.socket, ca, host: '127.0.0.1' });
  tls.write('GET /v3 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n');
  let text = '';
  for await (const chunk of tls) text += String(chunk);
  t.match(text, /^HTTP\/1.1 200 OK/);
  const last = proxy.tunnels.at(-1);
  t.match(last, { target, status: 200, plaintext: '' });
  t.ok(last !== undefined && last.bytesFromClient > 100);

  const bad = await tunnel(target, 'p');
  await new Promise((resolve) => bad.socket.write('POST /v3 HTTP/1.1\r\n\r\n', resolve));
  await new Promise((resolve) => bad.socket.once('close', resolve).resume());
  t.match(proxy.tunnels.at(-1)?.plaintext, 'POST /v3');
  t.equal(proxy.log.at(-1), `CONNECT ${target}`);
  t.strictSame(proxy.plainRequests, []);
  await call(proxy.url, { headers: { host: 'keystone' } });
  t.match(proxy.plainRequests, [{ method: 'GET', headers: { host: 'keystone' } }]);
});

await t.test('the counting proxy counts the requests', async (t) => {
  for (const options of [{}, { tls: pki.server }]) {
    const standIn = await startForTest(t, options);
    const proxy = await startCountingProxy({ target: standIn.url, ...pki.server, targetCa: pki.ca });
    t.teardown(() => proxy.close());
    t.equal((await call(proxy.url)).status, 300);
    const reply = await login(proxy, aliceByPassword, onWeb);
    t.equal(String(reply.headers['x-subject-token']).length, 183);
    t.equal((await login(proxy, { methods: ['password'], password: { user: { name: 'alice' } } })).status, 400);
    t.equal(proxy.countLogins(), 2);
    t.equal(proxy.countLogins(201), 1);
    t.match(proxy.requests, [{ method: 'GET', path: '/', status: 300 }, { status: 201 }, { status: 400 }]);
    await standIn.close();
    t.equal((await call(proxy.url)).status, 502);
    proxy.reset();
    t.equal(proxy.countLogins(), 0);
  }
});

for (const which of ['new', 'old'] as const) {
  const kubectl = await requireKubectl(which);
  const skip = 'missing' in kubectl ? kubectl.missing : false;
  await t.test(`the ${which} kubectl works with the stand-in API server`, { skip }, async (t) => {
    if ('missing' in kubectl) return;
    const users = new Map([['good-token', 'alice']]);
    const authenticate = (token: string): Promise<string | undefined> => Promise.resolve(users.get(token));
    const server = await startStandInApiServer({ ...pki.server, authenticate });
    t.teardown(() => server.close());
    const home = join(directory, which);
    await mkdir(home);
    const plugin = join(home, 'plugin');
    await writeFile(
      plugin,
      `#!/bin/sh
echo run >>"$HOME/runs"
printf '{"apiVersion":"client.authentication.k8s.io/%s","kind":"ExecCredential","status":{"token":"%s"}}' "$1" "$TOKEN"
`,
    );
    await chmod(plugin, 0o700);
    const kubeconfig = (token: string, version = 'v1'): Promise<void> =>
      writeKubeconfig({
        path: join(home, 'kubeconfig'),
        server: server.url,
        ca: pki.ca,
        command: plugin,
        args: [version],
        env: { TOKEN: token },
        apiVersion: `client.authentication.k8s.io/${version}`,
        provideClusterInfo: true,
      });
    const ask = async (command: string, input = ''): Promise<string> => {
      const args = ['--kubeconfig', join(home, 'kubeconfig'), ...command.split(' ')];
      const running = run(kubectl.path, args, { env: { HOME: home, PATH: process.env['PATH'] } });
      running.child.stdin?.end(input);
      return (await running).stdout;
    };
    const countRuns = async (): Promise<number> => (await readFile(join(home, 'runs'), 'utf8')).split('\n').length - 1;

    await kubeconfig('good-token');
    t.match(await ask('get pods'), /^NAME +READY +STATUS +RESTARTS +AGE\nweb-0 +1\/1 +Running/);
    t.equal(await countRuns(), 1);
    t.match(await ask('version'), 'Server Version: v1.33.0');
    t.match(await ask('get --raw /version'), 'v1.33.0');
    t.match(await ask('auth whoami'), /Username +alice/);
    const manifest = '{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"m"},"data":{"a":"1"}}';
    t.match(await ask('apply --validate=false -f -', manifest), 'configmap/m created');
    t.match(await ask('apply --validate=false -f -', manifest.replace('"1"', '"2"')), 'configmap/m configured');
    t.ok(server.requests.every(({ user, status, tokenSha256 }) => user === 'alice' && status < 500 && tokenSha256));
    t.notMatch(JSON.stringify(server.requests), 'good-token');

    await kubeconfig('good-token', 'v1beta1');
    t.match(await ask('get pods'), 'web-0');

    await kubeconfig('bad-token');
    const before = server.requests.length;
    await t.rejects(ask('get pods'), /You must be logged in to the server|Unauthorized/);
    t.ok(server.requests.slice(before).every(({ status }) => status === 401));
  });
}
