import t from 'tap';
import { parseApiVersion, parseExecInfo, renderExecCredential } from '../../src/plugin/exec/exec-credential.ts';

const info = (fields: object): string =>
  JSON.stringify({ apiVersion: 'client.authentication.k8s.io/v1', kind: 'ExecCredential', ...fields });

void t.test('one document, one line, whole seconds rounded down', async (t) => {
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

void t.test('what kubectl says', async (t) => {
  t.equal(parseExecInfo(undefined), undefined);
  t.equal(parseExecInfo(''), undefined);
  t.same(parseExecInfo(info({ spec: { interactive: true } })), {
    apiVersion: 'client.authentication.k8s.io/v1',
    interactive: true,
    server: undefined,
    cluster: '',
  });
  const cluster = { server: 'https://k8s.test:6443', 'certificate-authority-data': 'eA==' };
  const parsed = parseExecInfo(info({ spec: { interactive: false, cluster } }));
  t.equal(parsed?.clusterServer, 'https://k8s.test:6443');
  t.equal(parsed?.clusterJson, JSON.stringify(cluster));
  t.equal(parseExecInfo(info({}))?.isInteractive, false, 'silence is no permission');
});

void t.test('other versions are refused by name', async (t) => {
  const ask = (apiVersion: string) => () => parseExecInfo(info({ apiVersion, spec: {} }));
  t.throws(ask('client.authentication.k8s.io/v1alpha1'), {
    code: 'config-invalid',
    message: /v1alpha1/,
    hint: /v1beta1/,
  });
  t.throws(ask('v2'), { code: 'config-invalid' });
  t.throws(() => parseExecInfo('not json'), { code: 'config-invalid', message: /KUBERNETES_EXEC_INFO/ });
  t.throws(() => parseExecInfo('{"kind":"Pod","apiVersion":"v1"}'), { code: 'config-invalid' });
  t.throws(() => parseExecInfo('[]'), { code: 'config-invalid' });
});

void t.test('a version may be short', async (t) => {
  t.equal(parseApiVersion('v1beta1', '--api-version'), 'client.authentication.k8s.io/v1beta1');
  t.equal(parseApiVersion('client.authentication.k8s.io/v1', '--api-version'), 'client.authentication.k8s.io/v1');
  t.throws(() => parseApiVersion('v3', '--api-version'), { message: /--api-version.*"v3"/ });
});
