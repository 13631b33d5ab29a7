// Which clients may send reviews to the webhook and read its metrics.

import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { request } from 'node:https';
import { text } from 'node:stream/consumers';
import { promisify } from 'node:util';
import t from 'tap';
import type { Test } from 'tap';
import { makePki } from '../../scripts/lib/pki.ts';
import { SYSTEM_CLOCK } from '../../src/shared/base/clock.ts';
import { Secret } from '../../src/shared/base/secret.ts';
import { EMPTY_POLICY } from '../../src/webhook/authz/policy/policy.ts';
import { openLog } from '../../src/webhook/observability/log.ts';
import { makeMetrics } from '../../src/webhook/observability/metrics.ts';
import { makeRoutes } from '../../src/webhook/server/routes.ts';
import type { RouteSettings } from '../../src/webhook/server/routes.ts';
import { makeRequestLog } from '../../src/webhook/server/request-log.ts';
import { startServer } from '../../src/webhook/server/server.ts';
import { WEBHOOK_PATH } from '../support/built-programs.ts';
import { makeTestFolder } from '../support/webhook-settings.ts';

const pki = await makePki(makeTestFolder(t));

type Access = Pick<RouteSettings, 'allowedClientNames' | 'metricsAccess'>;

async function start(t: Test, access: Access): Promise<number> {
  const certificates = {
    cert: readFileSync(pki.server.cert, 'utf8'),
    key: new Secret(readFileSync(pki.server.key, 'utf8')),
    clientCa: readFileSync(pki.ca, 'utf8'),
    expiresAt: 0,
  };
  const log = openLog('silent', () => undefined);
  const answerRequest = makeRoutes({
    ...access,
    certificates,
    authenticate: async () => ({
      verdict: { kind: 'refused', cause: 'unrecognized', reason: 'test' },
      source: 'shape',
    }),
    authorize: () => ({ allowed: false, denied: false, reason: 'test' }),
    policy: () => EMPTY_POLICY,
    metrics: makeMetrics({}),
    log,
    requestLog: makeRequestLog(log, SYSTEM_CLOCK),
    getUnreadyReason: () => undefined,
  });
  const server = await startServer(
    { certificates, answerRequest, answerTimeoutMs: 5_000, log, clock: SYSTEM_CLOCK },
    { host: '127.0.0.1', port: 0 },
  );
  t.teardown(() => server.close());
  return server.port;
}

interface Answer {
  readonly status: number | undefined;
  readonly body: string;
}

/** Sends a request, with the certificate of alice or without one. */
async function send(port: number, path: string, client: 'alice' | 'nobody', body?: object): Promise<Answer> {
  const certificate =
    client === 'alice' ? { cert: readFileSync(pki.client.cert), key: readFileSync(pki.client.key) } : {};
  return new Promise((resolve, reject) => {
    const sent = request(
      {
        host: '127.0.0.1',
        port,
        path,
        method: body === undefined ? 'GET' : 'POST',
        agent: false,
        ca: readFileSync(pki.ca),
        ...certificate,
      },
      (response) => {
        text(response).then((content) => {
          resolve({ status: response.statusCode, body: content });
        }, reject);
      },
    );
    sent.on('error', reject).end(body === undefined ? undefined : JSON.stringify(body));
  });
}

const REVIEW = { apiVersion: 'authentication.k8s.io/v1', kind: 'TokenReview', spec: { token: 'x' } };

void t.test('with --allowed-client-names, a review needs a certificate with one of the names', async (t) => {
  const pinned = await start(t, { allowedClientNames: ['kube-apiserver'], metricsAccess: 'everyone' });
  t.match(await send(pinned, '/webhook', 'alice', REVIEW), { status: 401, body: /not among --allowed-client-names/ });
  t.match(await send(pinned, '/webhook', 'nobody', REVIEW), { status: 401, body: /certificate signed by the CA/ });
  const named = await start(t, { allowedClientNames: ['kube-apiserver', 'alice'], metricsAccess: 'everyone' });
  t.match(await send(named, '/webhook', 'alice', REVIEW), { status: 200, body: /"authenticated":false/ });
  const any = await start(t, { allowedClientNames: [], metricsAccess: 'everyone' });
  t.match(await send(any, '/webhook', 'alice', REVIEW), { status: 200 }, 'without names, the CA decides');
  for (const name of ['alic', 'alice2', 'Alice', 'acme', 'O=acme']) {
    const port = await start(t, { allowedClientNames: [name], metricsAccess: 'everyone' });
    t.match(await send(port, '/webhook', 'alice', REVIEW), { status: 401 }, name);
  }
});

void t.test('--metrics decides who reads the metrics, and probes need no certificate', async (t) => {
  const cases = [
    { access: 'everyone', names: [], alice: 200, nobody: 200 },
    { access: 'clients', names: [], alice: 200, nobody: 401 },
    { access: 'clients', names: ['prometheus'], alice: 401, nobody: 401 },
    { access: 'off', names: [], alice: 404, nobody: 404 },
  ] as const;
  for (const { access, names, alice, nobody } of cases) {
    const port = await start(t, { allowedClientNames: names, metricsAccess: access });
    const title = `${access} ${names.join()}`;
    t.match(await send(port, '/metrics', 'alice'), { status: alice }, `${title}: with a certificate`);
    t.match(await send(port, '/metrics', 'nobody'), { status: nobody }, `${title}: without one`);
    t.match(await send(port, '/healthz', 'nobody'), { status: 200 }, `${title}: /healthz`);
    t.match(await send(port, '/readyz', 'nobody'), { status: 200 }, `${title}: /readyz`);
  }
});

async function runWebhook(...args: readonly string[]): Promise<{ code: unknown; stdout: string; stderr: string }> {
  const required = ['--tls-cert-file', pki.server.cert, '--tls-private-key-file', pki.server.key];
  const words = [WEBHOOK_PATH, ...required, '--keystone-url', 'http://127.0.0.1:1/v3', ...args];
  return promisify(execFile)(process.execPath, words, { env: {} }).then(
    ({ stdout, stderr }) => ({ code: 0, stdout, stderr }),
    (error: unknown) => error as { code: unknown; stdout: string; stderr: string },
  );
}

void t.test('a restriction that cannot work, or a name that must not be allowed, stops the start', async (t) => {
  const cases: readonly (readonly [args: readonly string[], message: RegExp])[] = [
    [['--metrics', 'clients'], /--metrics needs the CA of the client certificates.*--client-ca-file/s],
    [['--allowed-client-names', 'kube-apiserver'], /--allowed-client-names needs the CA/],
    [['--allowed-client-names', ' , ', '--client-ca-file', pki.ca], /--allowed-client-names contains no name/],
    [['--metrics', 'maybe'], /--metrics/],
    [['--allowed-colon-names', 'kubeadm:cluster-admins'], /must not contain "kubeadm:cluster-admins"/],
    [['--allowed-colon-names', '*'], /--allowed-colon-names must contain names with a colon/],
    [['--username-format', '%D%n'], /--username-format must have a separator between its placeholders/],
    // A group has no name of a domain, so the format of the hint must do without it.
    [['--group-format', '%d%n'], /--group-format must have a separator.*such as %d:%n/],
    [['--group-format', 'all'], /--group-format must contain %n or %i.*such as %d:%n/],
  ];
  for (const [args, message] of cases) {
    const { code, stdout, stderr } = await runWebhook(...args);
    t.not(code, 0, args.join(' '));
    t.match(stderr, message, args.join(' '));
    t.equal(stdout, '', 'stdout is empty');
  }
});
