import t from 'tap';
import { parseApiVersion, parseExecInfo, renderExecCredential } from '../../src/plugin/exec/exec-credential.ts';

const info = (fields: object): string =>
  JSON.stringify({ apiVersion: 'client.authentication.k8s.io/v1', kind: 'ExecCredential', ...fields });

void t.test('the ExecCredential is one line, and its expiry is rounded down to seconds', async (t) => {
  const document = renderExecCredential(
    'client.authentication.k8s.io/v1beta1',
    'a"b',
    Date.UTC(2026, 10, 21, 12, 0, 0, 999),
  );
  t.match(document, /^[^\n]+\n$/);
  t.same(JSON.parse(document), {
    apiVersion: 'client.authentication.k8s.io/v1beta1',
    kind: 'ExecCredential',
    status: { token: 'a"b', expirationTimestamp: '2026-11-21T12:00:00Z' },
  });
});

void t.test('the input from kubectl is parsed', async (t) => {
  t.equal(parseExecInfo(undefined), undefined);
  t.equal(parseExecInfo(''), undefined);
  t.same(parseExecInfo(info({ spec: { interactive: true } })), {
    apiVersion: 'client.authentication.k8s.io/v1',
    isInteractive: true,
    clusterServer: undefined,
    clusterJson: '',
  });
  const cluster = { server: 'https://k8s.test:6443', 'certificate-authority-data': 'eA==' };
  const parsed = parseExecInfo(info({ spec: { interactive: false, cluster } }));
  t.equal(parsed?.clusterServer, 'https://k8s.test:6443');
  t.equal(parsed?.clusterJson, JSON.stringify(cluster));
  t.equal(parseExecInfo(info({}))?.isInteractive, false, 'without a value, the plugin must not use the terminal');
  t.equal(parseExecInfo(info({ spec: {} }))?.isInteractive, false, 'every kubectl with v1 says it');
  t.equal(parseExecInfo(info({ spec: { interactive: null } }))?.isInteractive, false);
});

void t.test('kubectl 1.20 does not say whether the plugin may use the terminal, so it may', async (t) => {
  const apiVersion = 'client.authentication.k8s.io/v1beta1';
  // What kubectl 1.20.2 passes on with provideClusterInfo.
  const cluster = { server: 'https://127.0.0.1:9', 'insecure-skip-tls-verify': true, config: null };
  t.match(parseExecInfo(info({ apiVersion, spec: { cluster } })), { apiVersion, isInteractive: true });
  t.match(parseExecInfo(info({ apiVersion, spec: {} })), { isInteractive: true });
  t.match(parseExecInfo(info({ apiVersion, spec: { interactive: false } })), { isInteractive: false });
  t.match(parseExecInfo(info({ apiVersion, spec: { interactive: 'yes' } })), { isInteractive: false });
  t.match(parseExecInfo(info({ apiVersion })), { isInteractive: false }, 'every kubectl passes a spec on');
});

void t.test('the error for another version names that version', async (t) => {
  const parseWithVersion = (apiVersion: string) => () => parseExecInfo(info({ apiVersion, spec: {} }));
  t.throws(parseWithVersion('client.authentication.k8s.io/v1alpha1'), {
    code: 'config-invalid',
    message: /v1alpha1/,
    hint: /v1beta1/,
  });
  t.throws(parseWithVersion('v2'), { code: 'config-invalid' });
  t.throws(() => parseExecInfo('not json'), { code: 'config-invalid', message: /KUBERNETES_EXEC_INFO/ });
  const ofNoKind = '{"kind":null,"apiVersion":"client.authentication.k8s.io/v1","spec":{"interactive":true}}';
  t.match(parseExecInfo(ofNoKind), { isInteractive: true });
  t.throws(() => parseExecInfo('{"kind":"Pod","apiVersion":"v1"}'), { code: 'config-invalid' });
  t.throws(() => parseExecInfo('[]'), { code: 'config-invalid' });
});

void t.test('an API version can omit its group', async (t) => {
  t.equal(parseApiVersion('v1beta1', '--api-version'), 'client.authentication.k8s.io/v1beta1');
  t.equal(parseApiVersion('client.authentication.k8s.io/v1', '--api-version'), 'client.authentication.k8s.io/v1');
  t.throws(() => parseApiVersion('v3', '--api-version'), { message: /--api-version.*"v3"/ });
});
