// The server: its routes, TLS, reloads, shutdown and settings. Runs against a stand-in Keystone.

import { once } from 'node:events';
import { copyFileSync, readFileSync, writeFileSync } from 'node:fs';
import { connect as connectTcp } from 'node:net';
import { join } from 'node:path';
import { connect } from 'node:tls';
import type { ConnectionOptions, TLSSocket } from 'node:tls';
import t from 'tap';
import { makePki } from '../../scripts/lib/pki.ts';
import type { Handler } from '../support/stand-in-keystone/handlers.ts';
import { sendResponse } from '../support/stand-in-keystone/responses.ts';
import { waitUntil } from '../support/wait-until.ts';
import { makeAccessReview, makeFakeToken, makeTokenReview } from '../support/webhook-client.ts';
import { countValidations, startTestKeystone, VALIDATION } from '../support/webhook-keystone.ts';
import { makeTestFolder, makeWebhookCommandLine, shareTestPki } from '../support/webhook-settings.ts';
import { failToStart, runWebhookCommand, startWebhook } from '../support/webhook.ts';

const pki = await shareTestPki();

/** How often files are checked. */
const CHECK_MS = 1_000;

const ALICE = makeAccessReview({ roles: ['member'] });
const POLICY = JSON.stringify([{ users: { projects: ['demo'] }, resource_permissions: { 'web/pods': ['get'] } }]);
const OTHER_POLICY = JSON.stringify([{ users: { projects: ['demo'] }, resource_permissions: { 'db/pods': ['get'] } }]);

/** Opens a connection and returns its protocol, or the error. */
async function shakeHands(port: number, options: ConnectionOptions): Promise<string> {
  return new Promise((resolve) => {
    const socket: TLSSocket = connect({ port, host: '127.0.0.1', ca: readFileSync(pki.ca), ...options }, () => {
      resolve(socket.getProtocol() ?? '');
      socket.destroy();
    });
    socket.once('error', (error: Error) => {
      resolve(`failed: ${error.message}`);
    });
  });
}

const countMatches = (text: string, pattern: RegExp): number => text.match(pattern)?.length ?? 0;

void t.test('each path answers, and what is not a review is refused with a status', async (t) => {
  const webhook = await startWebhook(t);
  t.match(await webhook.sendRequest({ path: '/healthz' }), { status: 200, body: /^ok/ });
  t.match(await webhook.sendRequest({ path: '/readyz' }), { status: 200, body: /^ok/ });
  t.match(await webhook.sendRequest({ path: '/nowhere' }), { status: 404, body: { kind: 'Status', code: 404 } });
  t.match(await webhook.sendRequest({ path: '/webhook' }), { status: 405, body: { kind: 'Status', code: 405 } });
  t.match(await webhook.sendRequest({ path: '/webhook', method: 'PUT' }), { status: 405 });
  const post = (body: string, headers = {}) => webhook.sendRequest({ method: 'POST', path: '/webhook', body, headers });
  for (const body of ['', 'nonsense', '[]', '{}', '{"kind":"TokenReview"}', '['.repeat(500_000), '"\ud800"']) {
    t.match(
      await post(body),
      { status: 400, body: { kind: 'Status', status: 'Failure', code: 400 } },
      body.slice(0, 20),
    );
  }
  t.match(
    await post(JSON.stringify(ALICE), { 'content-type': 'text/plain' }),
    { status: 200 },
    'any content type is accepted',
  );
  t.match(await post(`{"x":"${'a'.repeat(1024 * 1024)}"}`), { status: 413, body: { code: 413 } });
  t.match(await post('{}', { 'content-type': 'x;;;' }), { status: 415, body: { kind: 'Status' } });
  t.match(
    await webhook.postReview(makeTokenReview('junk')),
    { body: { status: { authenticated: false } } },
    'the server still runs',
  );
  const { body } = await webhook.sendRequest({ path: '/metrics' });
  t.match(body, /keystone_auth_token_reviews_total\{result="refused",source="shape"\} 1/);
  t.match(body, /keystone_auth_bad_requests_total \d+/);
  t.match(body, /keystone_auth_review_seconds_bucket/);
  t.match(body, /process_resident_memory_bytes/);
});

void t.test('a connection stays open after a request without a body, and closes after an unread one', async (t) => {
  const webhook = await startWebhook(t);
  const socket = connect({ port: webhook.port, host: '127.0.0.1', ca: readFileSync(pki.ca) });
  t.teardown(() => socket.destroy());
  let received = '';
  let isClosed = false;
  socket.setEncoding('utf8').on('data', (text: string) => (received += text));
  socket.once('close', () => (isClosed = true));
  const ask = async (request: string, answer: RegExp): Promise<void> => {
    received = '';
    socket.write(request);
    await waitUntil(`an answer to ${request}`, () => answer.test(received) || isClosed);
    t.match(received, answer, request);
  };
  const host = 'HTTP/1.1\r\nhost: x\r\n';
  await ask(`GET /healthz ${host}\r\n`, /^HTTP\/1\.1 200 [^]*ok\n$/);
  await ask(`GET /webhook ${host}content-length: 0\r\n\r\n`, /^HTTP\/1\.1 405 [^]*\}$/);
  await ask(`HEAD /readyz ${host}\r\n`, /^HTTP\/1\.1 200 [^]*\r\n\r\n$/);
  t.notMatch(received, /connection: close/i);
  // What follows the headers belongs to this request, or somebody could pass it off as the next one.
  const hidden = `GET /readyz ${host}\r\n`;
  await ask(`PUT /webhook ${host}content-length: ${hidden.length}\r\n\r\n${hidden}`, /^HTTP\/1\.1 405 [^]*\}$/);
  await waitUntil('the connection is closed', () => isClosed);
  t.notMatch(received, /200/, 'the body is not answered');
});

void t.test('the server accepts TLS 1.2 and newer', async (t) => {
  const webhook = await startWebhook(t);
  t.equal(await shakeHands(webhook.port, {}), 'TLSv1.3');
  t.equal(await shakeHands(webhook.port, { maxVersion: 'TLSv1.2' }), 'TLSv1.2');
  const tls11 = { minVersion: 'TLSv1.1', maxVersion: 'TLSv1.1', ciphers: 'DEFAULT@SECLEVEL=0' } as const;
  t.match(await shakeHands(webhook.port, tls11), /^failed/);
});

void t.test('reviews need a client certificate of the CA, if one is set', async (t) => {
  const webhook = await startWebhook(t, { args: ['--client-ca-file', pki.ca] });
  const certificateOf = ({ cert, key }: { cert: string; key: string }) => ({
    cert: readFileSync(cert),
    key: readFileSync(key),
  });
  t.match(await webhook.postReview(ALICE, {}), { status: 401, body: { kind: 'Status', code: 401 } }, 'no certificate');
  t.match(await webhook.postReview(ALICE, certificateOf(pki.client)), { status: 200 }, 'a certificate of the CA');
  t.match(
    await webhook.postReview(ALICE, certificateOf(pki.untrusted.server)),
    { status: 401 },
    'a certificate of another CA',
  );
  t.match(await webhook.sendRequest({ path: '/healthz', tls: {} }), { status: 200 }, '/healthz needs no certificate');
});

void t.test('certificates are replaced while the webhook runs', async (t) => {
  const folder = makeTestFolder(t);
  const other = await makePki(join(folder, 'other'));
  const files = { cert: join(folder, 'tls.crt'), key: join(folder, 'tls.key') };
  copyFileSync(pki.server.cert, files.cert);
  copyFileSync(pki.server.key, files.key);
  const webhook = await startWebhook(t, { args: ['--tls-cert-file', files.cert, '--tls-private-key-file', files.key] });
  const waitForReload = (outcome: string): Promise<true> =>
    waitUntil(`certificates: ${outcome}`, async () => {
      await webhook.clock.advance(CHECK_MS);
      return new RegExp(`"what":"certificates".*${outcome}`).test(webhook.readOutput());
    });
  t.equal(await shakeHands(webhook.port, {}), 'TLSv1.3');
  copyFileSync(other.server.cert, files.cert);
  await waitForReload('reload failed');
  t.equal(await shakeHands(webhook.port, {}), 'TLSv1.3', 'a certificate that does not match its key changes nothing');
  copyFileSync(other.server.key, files.key);
  await waitForReload('"reloaded"');
  t.equal(await shakeHands(webhook.port, { ca: readFileSync(other.ca) }), 'TLSv1.3');
  t.match(await shakeHands(webhook.port, {}), /^failed/);
});

void t.test('a policy is replaced while the webhook runs, unless the new one is invalid', async (t) => {
  const file = join(makeTestFolder(t), 'policy.json');
  writeFileSync(file, POLICY);
  const webhook = await startWebhook(t, { args: ['--keystone-policy-file', file] });
  const countReloads = (): number => countMatches(webhook.readOutput(), /"what":"policy"/g);
  const reload = async (text: string): Promise<void> => {
    const before = countReloads();
    writeFileSync(file, text);
    webhook.signal('SIGHUP');
    await waitUntil('the policy is read again', () => countReloads() > before);
  };
  t.match(await webhook.postReview(ALICE), {
    body: {
      apiVersion: 'authorization.k8s.io/v1',
      status: { allowed: true, reason: 'entry 1 of the Keystone policy' },
    },
  });
  t.match(await webhook.postReview(makeAccessReview({ version: 'v1beta1' })), {
    body: { apiVersion: 'authorization.k8s.io/v1beta1', status: { allowed: true } },
  });
  const invalid = ['', 'nonsense', '{}', '[{"users":["admin"]}]', POLICY.slice(0, -3), '[{"resource":7}]'];
  for (let round = 0; round < 200; round += 1)
    await reload(`${invalid[round % invalid.length] ?? ''}${' '.repeat(round)}`);
  t.ok(await webhook.isAllowed(ALICE), 'the last valid policy stays in force');
  t.equal(countMatches(webhook.readOutput(), /"what":"policy".*reload failed/g), 200);
  await reload(OTHER_POLICY);
  t.notOk(await webhook.isAllowed(ALICE));
  writeFileSync(file, POLICY);
  await webhook.clock.advance(CHECK_MS);
  await waitUntil('the policy is read again without a signal', () => webhook.isAllowed(ALICE));
  t.equal(webhook.clock.monotonicMs(), CHECK_MS, 'within a second');
});

void t.test('a policy with very many findings does not fill the log', async (t) => {
  const file = join(makeTestFolder(t), 'policy.json');
  const entries = Array.from({ length: 250 }, () => ({ users: { projects: ['demo'] }, comment: 'x', resource: null }));
  writeFileSync(file, JSON.stringify(entries));
  const webhook = await startWebhook(t, { args: ['--keystone-policy-file', file] });
  const log = webhook.readOutput();
  t.equal(countMatches(log, /"entry":\d+.*"msg":"policy: /g), 100);
  t.match(log, /"leftOut":400,"msg":"policy: there are more findings/);
});

void t.test('a request that no entry allows gets no opinion, or a denial', async (t) => {
  const file = join(makeTestFolder(t), 'policy.json');
  writeFileSync(file, OTHER_POLICY);
  const lenient = await startWebhook(t, { env: { KEYSTONE_POLICY_FILE: file } });
  const strict = await startWebhook(t, { args: ['--keystone-policy-file', file, '--deny-unmatched'] });
  const getStatus = async (webhook: typeof lenient, body: unknown) =>
    ((await webhook.postReview(body)).body as { status: unknown }).status;
  const reason = 'no entry of the Keystone policy allows it';
  t.strictSame(await getStatus(lenient, ALICE), { allowed: false, reason });
  t.strictSame(await getStatus(strict, ALICE), { allowed: false, denied: true, reason });
  const clusterReview = {
    ...ALICE,
    spec: { user: 'system:apiserver', nonResourceAttributes: { path: '/', verb: 'get' } },
  };
  t.strictSame(
    await getStatus(strict, clusterReview),
    { allowed: false, reason: 'not a user of Keystone' },
    'accounts of the cluster itself',
  );
});

void t.test('a signal during the start is neither lost nor deadly', async (t) => {
  const { args, env } = await makeWebhookCommandLine(t, {});
  const { clock, output, signal, ended } = runWebhookCommand(args, env);
  signal('SIGHUP');
  signal('SIGTERM');
  await waitUntil('the webhook shuts down', () => output.stdout.includes('"shutting down"'));
  await clock.advance(1_000);
  t.equal(await ended, 0);
  t.match(output, { stdout: /"listening"/, stderr: '' });
});

void t.test('a shutdown fails /readyz for the grace time, and completes the running requests', async (t) => {
  const keystone = await startTestKeystone(t);
  const webhook = await startWebhook(t, { keystone, args: ['--shutdown-grace', '2'] });
  let answerKeystone: () => void = () => undefined;
  const answerLater: Handler = (_request, response) => {
    answerKeystone = () => {
      sendResponse(response, { status: 401, headers: {}, body: { error: { code: 401 } } });
    };
  };
  keystone.answerNext(answerLater, VALIDATION);
  const reviewing = webhook.reviewToken(makeFakeToken());
  await waitUntil('Keystone has the request', () => countValidations(keystone) === 1);

  webhook.signal('SIGTERM');
  t.match(await webhook.sendRequest({ path: '/readyz' }), { status: 503, body: /shutting down/ });
  t.match(await webhook.reviewToken('junk'), { authenticated: false }, 'reviews are still answered');
  t.match(await shakeHands(webhook.port, {}), /^TLS/, 'new connections are still accepted');
  await webhook.clock.advance(1_999);
  t.match(await shakeHands(webhook.port, {}), /^TLS/);
  await webhook.clock.advance(1);
  await waitUntil('no new connections are accepted', async () =>
    (await shakeHands(webhook.port, {})).startsWith('failed'),
  );
  answerKeystone();
  t.strictSame(await reviewing, { authenticated: false }, 'the running request is completed');
  t.equal(await webhook.ended, 0);
});

void t.test('a shutdown does not wait for a client that never finishes its request', async (t) => {
  const webhook = await startWebhook(t);
  const socket: TLSSocket = connect({ port: webhook.port, host: '127.0.0.1', ca: readFileSync(pki.ca) });
  let isClosed = false;
  socket.on('error', () => undefined).once('close', () => (isClosed = true));
  await new Promise((resolve) => socket.once('secureConnect', resolve));
  socket.write('POST /webhook HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\ncontent-length: 10\r\n\r\nx');
  const [interim] = (await once(socket, 'data')) as [Buffer];
  t.match(interim.toString(), /^HTTP\/1\.1 100 /, 'the server has the request');
  webhook.signal('SIGTERM');
  await webhook.clock.advance(1_000);
  await waitUntil('the server no longer listens', async () => (await tryConnect(webhook.port)) !== undefined);
  await webhook.clock.advance(5_999);
  t.notOk(isClosed, 'it has six seconds');
  await waitUntil('the connection is closed', async () => {
    await webhook.clock.advance(1);
    return isClosed;
  });
  t.equal(await webhook.ended, 0);
});

/** Opens a TCP connection, and returns the code of an error. */
async function tryConnect(port: number): Promise<string | undefined> {
  return new Promise((resolve) => {
    const socket = connectTcp(port, '127.0.0.1', () => {
      socket.destroy();
      resolve(undefined);
    });
    socket.once('error', (error: NodeJS.ErrnoException) => {
      resolve(error.code ?? error.message);
    });
  });
}

void t.test('invalid settings end the start with one line, and nothing on stdout', async (t) => {
  const folder = makeTestFolder(t);
  const junk = join(folder, 'junk');
  writeFileSync(junk, 'junk');
  const rows: readonly [args: readonly string[], status: number, message: RegExp][] = [
    [['--keystone-policy-file', junk], 3, /junk: it is not JSON/],
    [['--keystone-policy-file', join(folder, 'absent')], 3, /absent cannot be read \(ENOENT\)/],
    [['--keystone-ca-file', junk], 3, /contains no PEM certificate/],
    [['--client-ca-file', junk], 3, /client-ca-file contains no PEM certificate/],
    [['--tls-private-key-file', pki.client.key], 3, /do not match or are not PEM/],
    [['--listen', 'nowhere'], 3, /--listen must be/],
    [['--username-format', 'x'], 3, /must contain %n or %i/],
    [['--group-format', '%n%D'], 3, /no placeholders except/],
    [['--cache-ttl', '31'], 3, /must be 30 at most/],
    [['--keystone-timeout', '31'], 3, /must be 30 at most/],
    [['--review-timeout', '31'], 3, /must be 30 at most/],
    [['--keystone-rate', '0'], 3, /from 1 to 9999/],
    [['--compatibility', 'v2-subresources,x'], 3, /does not support "x"/],
    [['--keystone-url', 'http://keystone.example'], 3, /unencrypted/],
    [['--nonsense'], 2, /unknown option --nonsense/],
    [['serve'], 2, /it is not a command of this program/],
    [['--listen'], 2, /--listen needs a value/],
  ];
  for (const [args, status, message] of rows) {
    t.match(await failToStart(t, { args }), { status, stdout: '', stderr: message }, args.join(' '));
  }
});
