// The server: its routes, TLS, reloads and settings, and its resistance to malformed requests. Runs against a stand-in
// Keystone.

import { randomBytes } from 'node:crypto';
import { copyFileSync, readFileSync, writeFileSync } from 'node:fs';
import { connect as connectTcp } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { connect } from 'node:tls';
import type { ConnectionOptions, TLSSocket } from 'node:tls';
import t from 'tap';
import { pickSize } from '../support/stress.ts';
import { startStandInKeystone } from '../support/stand-in-keystone.ts';
import type { Handler } from '../support/stand-in-keystone/handlers.ts';
import { makeFakeToken, makeTestFolder, makeTestPki, makeTokenReview } from '../support/webhook-process.ts';
import { startWebhookProcess } from '../support/webhook-process.ts';
import { makePki } from '../../scripts/lib/pki.ts';

t.setTimeout(pickSize(600_000, 170_000));

const BODY_COUNT = pickSize(20_000, 2_000);

const pki = await makeTestPki(t);
const standIn = await startStandInKeystone();
t.teardown(() => standIn.close());
const keystoneUrl = `${standIn.url}/v3`;

const review = (version: string): object => ({
  kind: 'SubjectAccessReview',
  apiVersion: `authorization.k8s.io/${version}`,
  spec: {
    user: 'alice',
    extra: { 'alpha.kubernetes.io/identity/project/name': ['demo'], 'alpha.kubernetes.io/identity/roles': ['member'] },
    resourceAttributes: { verb: 'get', resource: 'pods', namespace: 'web' },
  },
});

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

void t.test('routes, and requests that are not reviews', async (t) => {
  const webhook = await startWebhookProcess(t, { keystoneUrl, pki });
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
    await post(JSON.stringify(review('v1')), { 'content-type': 'text/plain' }),
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

void t.test(`${BODY_COUNT} malformed bodies`, async (t) => {
  const webhook = await startWebhookProcess(t, { keystoneUrl, pki, args: ['--log-level', 'info'] });
  const validBody = JSON.stringify(review('v1'));
  const problems: string[] = [];
  const sendMalformed = async (): Promise<void> => {
    const bytes = Buffer.from(validBody);
    for (let change = 0; change < 5; change += 1)
      bytes[Math.floor(Math.random() * bytes.length)] = Math.floor(Math.random() * 256);
    const body = bytes.toString('latin1').slice(0, Math.floor(Math.random() * bytes.length * 1.2));
    const response = await webhook.postReview(body);
    const allowed = (response.body as { status?: { allowed?: boolean } }).status?.allowed;
    if (allowed === true || (response.status !== 400 && response.status !== 200))
      problems.push(`${response.status}: ${body}`);
  };
  for (let sent = 0; sent < BODY_COUNT; sent += 40) await Promise.all(Array.from({ length: 40 }, sendMalformed));
  t.strictSame(problems, []);
  t.match(await webhook.sendRequest({ path: '/healthz' }), { status: 200 });
});

void t.test('TLS 1.2 and newer', async (t) => {
  const webhook = await startWebhookProcess(t, { keystoneUrl, pki });
  t.equal(await shakeHands(webhook.port, {}), 'TLSv1.3');
  t.equal(await shakeHands(webhook.port, { maxVersion: 'TLSv1.2' }), 'TLSv1.2');
  const tls11 = { minVersion: 'TLSv1.1', maxVersion: 'TLSv1.1', ciphers: 'DEFAULT@SECLEVEL=0' } as const;
  t.match(await shakeHands(webhook.port, tls11), /^failed/);
});

void t.test('client certificates', async (t) => {
  const args = ['--client-ca-file', pki.ca];
  const webhook = await startWebhookProcess(t, { keystoneUrl, pki, args });
  const certificateOf = ({ cert, key }: { cert: string; key: string }) => ({
    cert: readFileSync(cert),
    key: readFileSync(key),
  });
  t.match(
    await webhook.postReview(review('v1'), {}),
    { status: 401, body: { kind: 'Status', code: 401 } },
    'no certificate',
  );
  t.match(
    await webhook.postReview(review('v1'), certificateOf(pki.client)),
    { status: 200 },
    'a certificate of the CA',
  );
  t.match(
    await webhook.postReview(review('v1'), certificateOf(pki.untrusted.server)),
    { status: 401 },
    'a certificate of another CA',
  );
  t.match(await webhook.sendRequest({ path: '/healthz', tls: {} }), { status: 200 }, '/healthz needs no certificate');
});

void t.test('certificates are replaced while it runs', async (t) => {
  const folder = makeTestFolder(t);
  const other = await makePki(join(folder, 'other'));
  const files = { cert: join(folder, 'tls.crt'), key: join(folder, 'tls.key') };
  copyFileSync(pki.server.cert, files.cert);
  copyFileSync(pki.server.key, files.key);
  const args = ['--tls-cert-file', files.cert, '--tls-private-key-file', files.key];
  const webhook = await startWebhookProcess(t, { keystoneUrl, pki, args });
  t.equal(await shakeHands(webhook.port, {}), 'TLSv1.3');
  copyFileSync(other.server.cert, files.cert);
  await sleep(1_500);
  t.equal(await shakeHands(webhook.port, {}), 'TLSv1.3', 'a certificate that does not match its key changes nothing');
  t.match(webhook.readOutput(), /"what":"certificates".*reload failed/);
  copyFileSync(other.server.key, files.key);
  const renewed = { ca: readFileSync(other.ca) };
  const startedAt = performance.now();
  while ((await shakeHands(webhook.port, renewed)) !== 'TLSv1.3' && performance.now() - startedAt < 5_000)
    await sleep(50);
  t.equal(await shakeHands(webhook.port, renewed), 'TLSv1.3');
  t.match(await shakeHands(webhook.port, {}), /^failed/);
});

void t.test('a policy is replaced while it runs, unless the new one is invalid', async (t) => {
  const file = join(makeTestFolder(t), 'policy.json');
  writeFileSync(file, POLICY);
  const args = ['--keystone-policy-file', file];
  const webhook = await startWebhookProcess(t, { keystoneUrl, pki, args });
  const isAllowed = async (): Promise<boolean> => {
    const { body } = await webhook.postReview(review('v1'));
    return (body as { status: { allowed: boolean } }).status.allowed;
  };
  const reload = async (text: string): Promise<void> => {
    const count = (): number => webhook.readOutput().match(/"what":"policy"/g)?.length ?? 0;
    const before = count();
    writeFileSync(file, text);
    process.kill(webhook.pid, 'SIGHUP');
    for (let tries = 0; count() === before && tries < 300; tries += 1) await sleep(10);
  };
  t.match(await webhook.postReview(review('v1')), {
    body: {
      apiVersion: 'authorization.k8s.io/v1',
      status: { allowed: true, reason: 'entry 1 of the Keystone policy' },
    },
  });
  t.match(await webhook.postReview(review('v1beta1')), {
    body: { apiVersion: 'authorization.k8s.io/v1beta1', status: { allowed: true } },
  });
  const invalid = ['', 'nonsense', '{}', '[{"users":["admin"]}]', POLICY.slice(0, -3), '[{"resource":7}]'];
  for (let round = 0; round < 200; round += 1)
    await reload(`${invalid[round % invalid.length] ?? ''}${' '.repeat(round)}`);
  t.ok(await isAllowed(), 'the last valid policy stays in force');
  const failureCount = webhook.readOutput().match(/"what":"policy".*reload failed/g)?.length ?? 0;
  t.equal(failureCount, 200);
  await reload(OTHER_POLICY);
  t.notOk(await isAllowed());
  writeFileSync(file, POLICY);
  const startedAt = performance.now();
  while (!(await isAllowed()) && performance.now() - startedAt < 5_000) await sleep(20);
  t.ok(await isAllowed(), `reloaded without a signal after ${Math.round(performance.now() - startedAt)} ms`);
});

void t.test('a request that no entry allows gets no opinion, or a denial', async (t) => {
  const file = join(makeTestFolder(t), 'policy.json');
  writeFileSync(file, OTHER_POLICY);
  const policy = ['--keystone-policy-file', file];
  const [lenient, strict] = await Promise.all([
    startWebhookProcess(t, { keystoneUrl, pki, env: { KEYSTONE_POLICY_FILE: file } }),
    startWebhookProcess(t, { keystoneUrl, pki, args: [...policy, '--deny-unmatched'] }),
  ]);
  const getStatus = async (webhook: typeof lenient, body: unknown) =>
    ((await webhook.postReview(body)).body as { status: unknown }).status;
  t.strictSame(await getStatus(lenient, review('v1')), {
    allowed: false,
    reason: 'no entry of the Keystone policy allows it',
  });
  t.strictSame(await getStatus(strict, review('v1')), {
    allowed: false,
    denied: true,
    reason: 'no entry of the Keystone policy allows it',
  });
  const clusterReview = {
    ...review('v1'),
    spec: { user: 'system:apiserver', nonResourceAttributes: { path: '/', verb: 'get' } },
  };
  t.strictSame(
    await getStatus(strict, clusterReview),
    { allowed: false, reason: 'not a user of Keystone' },
    'accounts of the cluster itself',
  );
});

void t.test('500 slow-loris connections do not delay other requests', async (t) => {
  const webhook = await startWebhookProcess(t, { keystoneUrl, pki, args: ['--log-level', 'info'] });
  const sockets = Array.from({ length: 500 }, () => {
    const socket = connectTcp(webhook.port, '127.0.0.1');
    socket.on('error', () => undefined);
    return socket;
  });
  t.teardown(() => {
    for (const socket of sockets) socket.destroy();
  });
  await sleep(1_000);
  const times: number[] = [];
  for (let round = 0; round < 300; round += 1) times.push((await webhook.postReview(review('v1'))).ms);
  const p99 = times.sort((one, other) => one - other)[296] ?? Infinity;
  t.ok(p99 < 100, `p99 ${p99.toFixed(1)} ms`);
  const startedAt = performance.now();
  while (sockets.some((socket) => !socket.destroyed) && performance.now() - startedAt < 15_000) await sleep(100);
  t.ok(
    sockets.every((socket) => socket.destroyed),
    'they are disconnected',
  );
});

void t.test('a shutdown completes the running requests', async (t) => {
  const webhook = await startWebhookProcess(t, { keystoneUrl, pki });
  const slow: Handler = async (_request, response) => {
    await sleep(1_500);
    response.writeHead(401, { 'content-type': 'application/json' }).end('{"error":{"code":401}}');
  };
  standIn.answerNext(slow, 'GET /v3/auth/tokens');
  const status = webhook.reviewToken(makeFakeToken(randomBytes));
  await sleep(300);
  const exitStatus = webhook.stop();
  await sleep(300);
  t.match(await webhook.sendRequest({ path: '/readyz' }), { status: 503, body: /shutting down/ });
  t.strictSame(await status, { authenticated: false });
  t.equal(await exitStatus, 0);
});

void t.test('invalid settings', async (t) => {
  const folder = makeTestFolder(t);
  const junk = join(folder, 'junk');
  writeFileSync(junk, 'junk');
  const rows: readonly [args: readonly string[], message: RegExp][] = [
    [['--keystone-policy-file', junk], /junk: it is not JSON/],
    [['--keystone-policy-file', join(folder, 'absent')], /absent cannot be read \(ENOENT\)/],
    [['--keystone-ca-file', junk], /contains no PEM certificate/],
    [['--client-ca-file', junk], /client-ca-file contains no PEM certificate/],
    [['--tls-private-key-file', pki.client.key], /do not match or are not PEM/],
    [['--listen', 'nowhere'], /--listen must be/],
    [['--username-format', 'x'], /must contain %n or %i/],
    [['--group-format', '%n%D'], /no placeholders except/],
    [['--cache-ttl', '31'], /must be 30 at most/],
    [['--keystone-timeout', '5'], /must be 4 at most/],
    [['--keystone-rate', '0'], /from 1 to 9999/],
    [['--compatibility', 'v2-subresources,x'], /does not support "x"/],
    [['--keystone-url', 'http://keystone.example'], /unencrypted/],
    [['--nonsense'], /unknown option --nonsense/],
    [['serve'], /unknown command "serve"/],
    [['--listen'], /--listen needs a value/],
  ];
  for (const [args, message] of rows) {
    await t.rejects(startWebhookProcess(t, { keystoneUrl, pki, args }), { message }, args.join(' '));
  }
});
