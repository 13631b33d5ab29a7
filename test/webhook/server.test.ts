// The server: what it answers to whom, and what cannot bring it down. Against a stand-in Keystone.

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
import type { Handler } from '../support/stand-in-keystone.ts';
import {
  makeTestFolder,
  makeFakeToken,
  makeTestPki,
  startWebhookProcess,
  makeTokenReview,
} from '../support/webhook-process.ts';
import { makePki } from '../../scripts/lib/pki.ts';

t.setTimeout(pickSize(600_000, 170_000));

const MALFORMED = pickSize(20_000, 2_000);

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

/** Opens a connection and returns its protocol, or why there is none. */
async function shake(port: number, options: ConnectionOptions): Promise<string> {
  return new Promise((done) => {
    const socket: TLSSocket = connect({ port, host: '127.0.0.1', ca: readFileSync(pki.ca), ...options }, () => {
      done(socket.getProtocol() ?? '');
      socket.destroy();
    });
    socket.once('error', (error: Error) => {
      done(`failed: ${error.message}`);
    });
  });
}

void t.test('what there is, and what there is not', async (t) => {
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
    'whatever it is called',
  );
  t.match(await post(`{"x":"${'a'.repeat(1024 * 1024)}"}`), { status: 413, body: { code: 413 } });
  t.match(await post('{}', { 'content-type': 'x;;;' }), { status: 415, body: { kind: 'Status' } });
  t.match(
    await webhook.postReview(makeTokenReview('junk')),
    { body: { status: { authenticated: false } } },
    'and it is still there',
  );
  const { body } = await webhook.sendRequest({ path: '/metrics' });
  t.match(body, /keystone_auth_token_reviews_total\{result="refused",source="shape"\} 1/);
  t.match(body, /keystone_auth_bad_requests_total \d+/);
  t.match(body, /keystone_auth_review_seconds_bucket/);
  t.match(body, /process_resident_memory_bytes/);
});

void t.test(`${MALFORMED} malformed bodies over the wire`, async (t) => {
  const webhook = await startWebhookProcess(t, { keystoneUrl, pki, args: ['--log-level', 'info'] });
  const whole = JSON.stringify(review('v1'));
  const problems: string[] = [];
  const one = async (): Promise<void> => {
    const bytes = Buffer.from(whole);
    for (let change = 0; change < 5; change += 1)
      bytes[Math.floor(Math.random() * bytes.length)] = Math.floor(Math.random() * 256);
    const body = bytes.toString('latin1').slice(0, Math.floor(Math.random() * bytes.length * 1.2));
    const answer = await webhook.postReview(body);
    const allowed = (answer.body as { status?: { allowed?: boolean } }).status?.allowed;
    if (allowed === true || (answer.status !== 400 && answer.status !== 200))
      problems.push(`${answer.status}: ${body}`);
  };
  for (let sent = 0; sent < MALFORMED; sent += 40) await Promise.all(Array.from({ length: 40 }, one));
  t.strictSame(problems, []);
  t.match(await webhook.sendRequest({ path: '/healthz' }), { status: 200 });
});

void t.test('TLS 1.2 and newer', async (t) => {
  const webhook = await startWebhookProcess(t, { keystoneUrl, pki });
  t.equal(await shake(webhook.port, {}), 'TLSv1.3');
  t.equal(await shake(webhook.port, { maxVersion: 'TLSv1.2' }), 'TLSv1.2');
  const old = { minVersion: 'TLSv1.1', maxVersion: 'TLSv1.1', ciphers: 'DEFAULT@SECLEVEL=0' } as const;
  t.match(await shake(webhook.port, old), /^failed/);
});

void t.test('who may ask', async (t) => {
  const args = ['--client-ca-file', pki.ca];
  const webhook = await startWebhookProcess(t, { keystoneUrl, pki, args });
  const certificateOf = ({ cert, key }: { cert: string; key: string }) => ({
    cert: readFileSync(cert),
    key: readFileSync(key),
  });
  t.match(await webhook.postReview(review('v1'), {}), { status: 401, body: { kind: 'Status', code: 401 } }, 'nobody');
  t.match(await webhook.postReview(review('v1'), certificateOf(pki.client)), { status: 200 }, 'one of our authority');
  t.match(
    await webhook.postReview(review('v1'), certificateOf(pki.untrusted.server)),
    { status: 401 },
    'one of another',
  );
  t.match(await webhook.sendRequest({ path: '/healthz', tls: {} }), { status: 200 }, 'health is for everybody');
});

void t.test('certificates are replaced while it runs', async (t) => {
  const folder = makeTestFolder(t);
  const other = await makePki(join(folder, 'other'));
  const files = { cert: join(folder, 'tls.crt'), key: join(folder, 'tls.key') };
  copyFileSync(pki.server.cert, files.cert);
  copyFileSync(pki.server.key, files.key);
  const args = ['--tls-cert-file', files.cert, '--tls-private-key-file', files.key];
  const webhook = await startWebhookProcess(t, { keystoneUrl, pki, args });
  t.equal(await shake(webhook.port, {}), 'TLSv1.3');
  copyFileSync(other.server.cert, files.cert);
  await sleep(1_500);
  t.equal(await shake(webhook.port, {}), 'TLSv1.3', 'a certificate without its key changes nothing');
  t.match(webhook.readOutput(), /"what":"certificates".*reload failed/);
  copyFileSync(other.server.key, files.key);
  const renewed = { ca: readFileSync(other.ca) };
  const startedAt = performance.now();
  while ((await shake(webhook.port, renewed)) !== 'TLSv1.3' && performance.now() - startedAt < 5_000) await sleep(50);
  t.equal(await shake(webhook.port, renewed), 'TLSv1.3');
  t.match(await shake(webhook.port, {}), /^failed/);
});

void t.test('a policy is replaced while it runs, and a bad one is not', async (t) => {
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
  const bad = ['', 'nonsense', '{}', '[{"users":["admin"]}]', POLICY.slice(0, -3), '[{"resource":7}]'];
  for (let round = 0; round < 200; round += 1) await reload(`${bad[round % bad.length] ?? ''}${' '.repeat(round)}`);
  t.ok(await isAllowed(), 'the last good one stays in force');
  const failed = webhook.readOutput().match(/"what":"policy".*reload failed/g)?.length ?? 0;
  t.equal(failed, 200);
  await reload(OTHER_POLICY);
  t.notOk(await isAllowed());
  writeFileSync(file, POLICY);
  const startedAt = performance.now();
  while (!(await isAllowed()) && performance.now() - startedAt < 5_000) await sleep(20);
  t.ok(await isAllowed(), `without a signal after ${Math.round(performance.now() - startedAt)} ms`);
});

void t.test('no opinion, or a denial', async (t) => {
  const file = join(makeTestFolder(t), 'policy.json');
  writeFileSync(file, OTHER_POLICY);
  const policy = ['--keystone-policy-file', file];
  const [modest, strict] = await Promise.all([
    startWebhookProcess(t, { keystoneUrl, pki, env: { KEYSTONE_POLICY_FILE: file } }),
    startWebhookProcess(t, { keystoneUrl, pki, args: [...policy, '--deny-unmatched'] }),
  ]);
  const answerOf = async (webhook: typeof modest, body: unknown) =>
    ((await webhook.postReview(body)).body as { status: unknown }).status;
  t.strictSame(await answerOf(modest, review('v1')), {
    allowed: false,
    reason: 'no entry of the Keystone policy allows it',
  });
  t.strictSame(await answerOf(strict, review('v1')), {
    allowed: false,
    denied: true,
    reason: 'no entry of the Keystone policy allows it',
  });
  const own = {
    ...review('v1'),
    spec: { user: 'system:apiserver', nonResourceAttributes: { path: '/', verb: 'get' } },
  };
  t.strictSame(
    await answerOf(strict, own),
    { allowed: false, reason: 'not a user of Keystone' },
    "the cluster's own accounts",
  );
});

void t.test('500 slow-loris connections disturb nobody', async (t) => {
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
    'and they are cut off',
  );
});

void t.test('it ends when it has answered', async (t) => {
  const webhook = await startWebhookProcess(t, { keystoneUrl, pki });
  const slow: Handler = async (_request, response) => {
    await sleep(1_500);
    response.writeHead(401, { 'content-type': 'application/json' }).end('{"error":{"code":401}}');
  };
  standIn.answerNext(slow, 'GET /v3/auth/tokens');
  const answer = webhook.reviewToken(makeFakeToken(randomBytes));
  await sleep(300);
  const ended = webhook.stop();
  await sleep(300);
  t.match(await webhook.sendRequest({ path: '/readyz' }), { status: 503, body: /shutting down/ });
  t.strictSame(await answer, { authenticated: false });
  t.equal(await ended, 0);
});

void t.test('what it cannot start with', async (t) => {
  const folder = makeTestFolder(t);
  const junk = join(folder, 'junk');
  writeFileSync(junk, 'junk');
  const rows: readonly [args: readonly string[], says: RegExp][] = [
    [['--keystone-policy-file', junk], /junk: it is not JSON/],
    [['--keystone-policy-file', join(folder, 'absent')], /absent cannot be read \(ENOENT\)/],
    [['--keystone-ca-file', junk], /holds no PEM certificate/],
    [['--client-ca-file', junk], /client-ca-file holds no PEM certificate/],
    [['--tls-private-key-file', pki.client.key], /cannot be used together/],
    [['--listen', 'nowhere'], /--listen must be/],
    [['--username-format', 'x'], /must hold %n or %i/],
    [['--group-format', '%n%D'], /of % only/],
    [['--cache-ttl', '31'], /must be 30 at most/],
    [['--keystone-timeout', '5'], /must be 4 at most/],
    [['--keystone-rate', '0'], /from 1 to 9999/],
    [['--compatibility', 'v2-subresources,x'], /knows no "x"/],
    [['--keystone-url', 'http://keystone.example'], /unencrypted/],
    [['--nonsense'], /unknown option --nonsense/],
    [['serve'], /unknown command "serve"/],
    [['--listen'], /--listen needs a value/],
  ];
  for (const [args, says] of rows) {
    await t.rejects(startWebhookProcess(t, { keystoneUrl, pki, args }), { message: says }, args.join(' '));
  }
});
