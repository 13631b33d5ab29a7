// From an openrc to `kubectl get pods` with a kubeconfig that the plugin writes: a real kubectl, the built plugin and a
// real Keystone.

import { mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { IncomingMessage, RequestListener } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import { join } from 'node:path';
import type { Test } from 'tap';
import { GET_PODS_ARGS, POD_LINE } from '../support/kubectl-fixture.ts';
import { makeAliceSettings, setUpKubectl, testWithKubectl } from '../support/kubectl-fixture.ts';
import type { KubectlFixture } from '../support/kubectl-fixture.ts';
import { PLUGIN_PATH, runPlugin } from '../support/run-plugin.ts';
import type { RunResult } from '../support/run-plugin.ts';
import type { EnvVars } from '../support/home.ts';
import { magnumUser } from '../support/kubeconfig-samples.ts';
import { listSecrets } from '../support/login-settings.ts';
import { validateToken } from '../support/tenancy.ts';
import type { TestEnvironment } from '../support/test-environment.ts';
import { listenForTest } from '../support/listen-for-test.ts';

const CANARY = 'canary-static-token-of-the-service';

/** A user with the plugin on the PATH of kubectl. */
interface KubeconfigFixture {
  readonly kubectlFixture: KubectlFixture;
  readonly file: string;
  readonly ca: string;
  readonly settings: Record<string, string>;
  readonly kubeconfig: (env: EnvVars, ...args: readonly string[]) => Promise<RunResult>;
}

async function setUpKubeconfig(t: Test, environment: TestEnvironment, program: string): Promise<KubeconfigFixture> {
  const kubectlFixture = await setUpKubectl(t, environment, { program });
  const search = join(kubectlFixture.home.path, 'search');
  mkdirSync(search);
  symlinkSync(PLUGIN_PATH, join(search, 'client-keystone-auth'));
  const file = join(kubectlFixture.home.path, 'kubeconfig');
  return {
    kubectlFixture,
    file,
    ca: environment.pki.ca,
    settings: makeAliceSettings(environment, kubectlFixture),
    kubeconfig: async (env, ...args) => {
      const path = `${search}:${process.env['PATH'] ?? ''}`;
      const result = await runPlugin({
        home: kubectlFixture.home,
        args: ['kubeconfig', ...args, '--kubeconfig', file],
        env: { ...env, PATH: path },
      });
      for (const secret of [...listSecrets(environment.tenancy), CANARY]) {
        t.notOk((result.stdout + result.stderr).includes(secret), 'no secret is shown');
      }
      return result;
    },
  };
}

/** Writes a kubeconfig as the operator of a cluster provides it. */
function writeCluster({ file, kubectlFixture, ca }: KubeconfigFixture, users = ''): void {
  const authority = readFileSync(ca, 'base64');
  writeFileSync(
    file,
    `# from our operator\napiVersion: v1\nkind: Config\nclusters:\n- name: demo # the one\n  cluster:\n    server: ${kubectlFixture.api.url}\n    certificate-authority-data: ${authority}\n${users}`,
  );
}

testWithKubectl('a new user adds a login to a kubeconfig that has a cluster', async (t, environment, program) => {
  const fixture = await setUpKubeconfig(t, environment, program);
  const { kubectlFixture, file, settings, kubeconfig } = fixture;
  writeCluster(fixture);
  const added = await kubeconfig(settings, 'add');
  t.match(added, { status: 0, stderr: '', stdout: /It is the current context: kubectl get pods/ });
  t.match(readFileSync(file, 'utf8'), /^# from our operator\n[^]*- name: demo # the one\n/);

  const { OS_PASSWORD: password } = settings;
  t.match(await kubectlFixture.kubectl(GET_PODS_ARGS, { env: { OS_PASSWORD: password } }), {
    status: 0,
    stdout: POD_LINE,
    stderr: '',
  });
  t.match(kubectlFixture.admittedTokens, [{ user: { name: 'alice' }, project: { name: 'demo' } }]);
  // The variables of another openrc change nothing.
  const stray = { OS_PASSWORD: password, OS_USERNAME: 'bob', OS_PROJECT_ID: 'other', OS_TOKEN: 'x' };
  t.match(await kubectlFixture.kubectl(GET_PODS_ARGS, { env: stray }), { status: 0, stdout: POD_LINE, stderr: '' });
  t.equal(kubectlFixture.countLogins(), 1, 'later commands use the token of the first command');

  t.match(await kubeconfig(settings, 'add', '--with-secrets'), { status: 0 });
  t.match(
    await kubectlFixture.kubectl(GET_PODS_ARGS),
    { status: 0, stdout: POD_LINE, stderr: '' },
    'no variable is set',
  );
  t.match(await kubeconfig({}, 'show'), { status: 0, stdout: /password +\[redacted\] +\(OS_PASSWORD\)/ });
  t.match(await kubeconfig({}, 'remove'), { status: 0 });
  t.not((await kubectlFixture.kubectl(GET_PODS_ARGS)).status, 0);
});

testWithKubectl('a new user makes a kubeconfig with only a URL and a certificate', async (t, environment, program) => {
  const { kubectlFixture, ca, settings, kubeconfig } = await setUpKubeconfig(t, environment, program);
  const cluster = ['--cluster', 'demo', '--server', kubectlFixture.api.url, '--certificate-authority', ca];
  t.match(await kubeconfig(settings, 'add', ...cluster), { status: 0, stderr: '' });
  const { OS_PASSWORD: password } = settings;
  t.match(await kubectlFixture.kubectl(GET_PODS_ARGS, { env: { OS_PASSWORD: password } }), {
    status: 0,
    stdout: POD_LINE,
  });
});

testWithKubectl('kubeconfig add uses a cloud of clouds.yaml', async (t, environment, program) => {
  const fixture = await setUpKubeconfig(t, environment, program);
  const { kubectlFixture, file, settings, kubeconfig } = fixture;
  writeCluster(fixture);
  const keys = Object.entries(settings).map(([name, value]) => [name.replace(/^OS_/, '').toLowerCase(), value]);
  const clouds = { prod: { auth: Object.fromEntries(keys) as unknown }, other: {} };
  mkdirSync(join(kubectlFixture.home.path, '.config', 'openstack'), { recursive: true });
  writeFileSync(join(kubectlFixture.home.path, '.config', 'openstack', 'clouds.yaml'), JSON.stringify({ clouds }), {
    mode: 0o600,
  });
  t.match(await kubeconfig({}, 'add'), { status: 3, stderr: /the URL of Keystone is not set/ });
  t.match(await kubeconfig({}, 'add', '--os-cloud', 'prod'), { status: 0, stderr: '' });
  t.match(readFileSync(file, 'utf8'), /args:\n {6}- get-token\n {6}- --os-cloud=prod\n {6}interactiveMode/);
  t.match(await kubectlFixture.kubectl(GET_PODS_ARGS), { status: 0, stdout: POD_LINE, stderr: '' });
});

testWithKubectl('logins that kubectl no longer supports are converted', async (t, environment, program) => {
  const fixture = await setUpKubeconfig(t, environment, program);
  const { kubectlFixture, settings, kubeconfig } = fixture;
  const { OS_PASSWORD: password } = settings;
  const quoteSetting = (name: string, flag = ''): string => JSON.stringify(flag + (settings[name] ?? ''));
  writeCluster(
    fixture,
    `users:
- name: provider # of 2018
  user:
    auth-provider:
      name: openstack
      config:
        identityEndpoint: ${quoteSetting('OS_AUTH_URL')}
        username: ${quoteSetting('OS_USERNAME')}
        password: ${quoteSetting('OS_PASSWORD')}
        name: ${quoteSetting('OS_USER_DOMAIN_NAME')}
        tenantName: ${quoteSetting('OS_PROJECT_NAME')}
- name: go
  user:
    exec:
      apiVersion: client.authentication.k8s.io/v1alpha1
      command: client-keystone-auth
      args:
      - ${quoteSetting('OS_AUTH_URL', '--keystone-url=')}
      - ${quoteSetting('OS_USER_DOMAIN_NAME', '--domain-name=')}
      - --user-name
      - ${quoteSetting('OS_USERNAME')}
      - ${quoteSetting('OS_PROJECT_NAME', '--project-name=')}
      - ${quoteSetting('OS_PASSWORD', '--password=')}
${magnumUser('magnum', 'v1alpha1')}contexts:
- {name: provider, context: {cluster: demo, user: provider}}
- {name: go, context: {cluster: demo, user: go}}
- {name: magnum, context: {cluster: demo, user: magnum}}
`,
  );
  for (const context of ['provider', 'go', 'magnum']) {
    const before = await kubectlFixture.kubectl(['--context', context, ...GET_PODS_ARGS]);
    t.not(before.status, 0, `${context}: ${before.stdout}`);
  }
  t.equal(kubectlFixture.countLogins(), 0);
  const converted = await kubeconfig({}, 'convert', 'provider', 'go', 'magnum');
  t.match(converted, { status: 0, stdout: /Converted: provider, go, magnum\.\nSecrets were left out: OS_PASSWORD\./ });
  for (const context of ['provider', 'go']) {
    const after = await kubectlFixture.kubectl(['--context', context, ...GET_PODS_ARGS], {
      env: { OS_PASSWORD: password },
    });
    t.match(after, { status: 0, stdout: POD_LINE, stderr: '' }, context);
  }
  const magnum = await kubectlFixture.kubectl(['--context=magnum', ...GET_PODS_ARGS], { env: settings });
  t.match(magnum, { status: 0, stdout: POD_LINE, stderr: '' }, 'a stanza of Magnum uses the variables of the shell');
  t.match(kubectlFixture.admittedTokens, [{ user: { name: 'alice' }, project: { name: 'demo' } }]);
});

/** Starts a service that sends kubeconfigs. */
async function startService(
  t: Test,
  listener: RequestListener,
  tls?: { cert: string; key: string },
): Promise<{ url: string; requests: IncomingMessage[] }> {
  const requests: IncomingMessage[] = [];
  const handle: RequestListener = (request, response) => {
    requests.push(request);
    listener(request, response);
  };
  const server =
    tls === undefined
      ? createServer(handle)
      : createTlsServer({ cert: readFileSync(tls.cert), key: readFileSync(tls.key) }, handle);
  const port = await listenForTest(t, server);
  return { url: `${tls === undefined ? 'http' : 'https'}://127.0.0.1:${port}`, requests };
}

/** Renders a response of the IAM Kubeconfig Service of Kyma, with changes to the cluster. */
function renderServedKubeconfig(
  { kubectlFixture, ca }: KubeconfigFixture,
  changes: Readonly<Record<string, unknown>> = {},
): string {
  const cluster = {
    'certificate-authority-data': readFileSync(ca, 'base64'),
    server: kubectlFixture.api.url,
    ...changes,
  };
  return `
---
apiVersion: v1
kind: Config
clusters:
- name: garden-kyma--prod-external
  cluster: ${JSON.stringify(cluster)}
contexts:
- name: garden-kyma--prod-external
  context:
    cluster: garden-kyma--prod-external
    user: OIDCUser
    namespace: default
current-context: garden-kyma--prod-external
users:
- name: OIDCUser
  user:
    token: ${CANARY}
    exec: {apiVersion: client.authentication.k8s.io/v1, command: /bin/evil}
`;
}

testWithKubectl('kubeconfig fetch gets a kubeconfig from a service', async (t, environment, program) => {
  const fixture = await setUpKubeconfig(t, environment, program);
  const { kubectlFixture, file, ca, settings, kubeconfig } = fixture;
  writeFileSync(file, '# mine\n');
  const service = await startService(
    t,
    (request, response) => {
      const token = /^Bearer (.+)$/.exec(request.headers.authorization ?? '')?.[1] ?? '';
      void validateToken(environment.http, token).then((facts) => {
        response.writeHead(facts === undefined ? 401 : 200, { 'content-type': 'application/yaml' });
        response.end(
          facts === undefined ? CANARY : renderServedKubeconfig(fixture, { 'proxy-url': 'http://evil.test' }),
        );
      });
    },
    environment.pki.server,
  );
  const fetch = ['fetch', `${service.url}/kube-config`];
  const untrusted = await kubeconfig(settings, ...fetch);
  t.match(untrusted, { status: 6, stdout: '', stderr: /the service at https:/ }, 'its certificate must be valid');
  t.equal(service.requests.length, 0);

  const fetched = await kubeconfig(settings, ...fetch, '--certificate-authority', ca);
  t.match(fetched, {
    status: 0,
    stderr: /warning: these settings of the cluster that the service sent were left out: proxy-url\n$/,
  });
  const written = readFileSync(file, 'utf8');
  t.notMatch(written, new RegExp(`${CANARY}|evil|OIDCUser`), 'the user entry of the service is not used');
  t.match(written, /^# mine\n/);
  const env = { OS_PASSWORD: settings['OS_PASSWORD'] };
  t.match(await kubectlFixture.kubectl(GET_PODS_ARGS, { env }), { status: 0, stdout: POD_LINE, stderr: '' });
  t.match(kubectlFixture.admittedTokens, [{ user: { name: 'alice' } }]);
  t.equal(kubectlFixture.countLogins(), 1, 'with the token that the service received');

  const again = await kubeconfig(settings, ...fetch, '--certificate-authority', ca);
  t.match(again, { status: 0, stdout: /Nothing had to be changed/ });
  t.equal(readFileSync(file, 'utf8'), written);
});

testWithKubectl(
  'kubeconfig fetch rejects an invalid response of a service, and changes nothing',
  async (t, environment, program) => {
    const fixture = await setUpKubeconfig(t, environment, program);
    const { file, settings, kubeconfig } = fixture;
    writeCluster(fixture);
    const before = readFileSync(file, 'utf8');
    const elsewhere = await startService(t, (_, response) => response.end(renderServedKubeconfig(fixture)));
    const reply =
      (body: string | Buffer, status = 200, headers = {}): RequestListener =>
      (_, response) => {
        response.writeHead(status, headers).end(body);
      };
    const replies: Readonly<Record<string, readonly [RequestListener, number, RegExp]>> = {
      '401': [reply(CANARY, 401), 5, /answered 401 instead of a kubeconfig; check user, project and roles/],
      '404': [reply(CANARY, 404), 7, /answered 404 instead of a kubeconfig; check the URL/],
      'a redirect': [reply('', 302, { location: `${elsewhere.url}/kube-config` }), 7, /redirects/],
      '2 MiB': [reply(`# ${'x'.repeat(2 * 1024 * 1024)}\n`), 7, /larger than 1 MiB/],
      'no YAML': [reply(`users: {${CANARY}`), 7, /is not valid YAML: line 1/],
      HTML: [reply('<html>\u001b]52;c;x\u0007</html>'), 7, /is not a kubeconfig|is not valid YAML/],
      nothing: [reply(''), 7, /has no current context with a cluster/],
      'an insecure cluster': [
        reply(renderServedKubeconfig(fixture, { 'insecure-skip-tls-verify': true })),
        7,
        /turns off the verification of the certificate/,
      ],
      'a cluster without encryption': [
        reply(renderServedKubeconfig(fixture, { server: 'http://10.0.0.1' })),
        3,
        /must be the https:/,
      ],
      'an authority that is not a certificate': [
        reply(renderServedKubeconfig(fixture, { 'certificate-authority-data': 'eA==' })),
        7,
        /is not a PEM certificate/,
      ],
      'a name with controls': [
        reply(renderServedKubeconfig(fixture).replaceAll('garden-kyma--prod-external', '"a\\eb"')),
        7,
        /has no valid name for the context/,
      ],
      'a cluster that exists with another server': [
        reply(
          renderServedKubeconfig(fixture, { server: 'https://evil.test' }).replaceAll(
            'garden-kyma--prod-external',
            'demo',
          ),
        ),
        3,
        /has a cluster "demo" with another server; give other names/,
      ],
    };
    for (const [name, [listener, status, message]] of Object.entries(replies)) {
      const service = await startService(t, listener);
      const result = await kubeconfig(settings, 'fetch', `${service.url}/kube-config?key=${CANARY}`);
      t.match(result, { status, stdout: '', stderr: message }, `${name}: ${result.stderr}`);
      t.match(result.stderr, /^client-keystone-auth: [^\n]*\n$/, `${name}: one line`);
      t.notMatch(result.stderr, /[^\P{C}\n]/u, `${name}: no control characters`);
      t.equal(service.requests.length, 1, name);
      t.equal(readFileSync(file, 'utf8'), before, `${name}: nothing is changed`);
    }
    t.equal(elsewhere.requests.length, 0, 'the token is not sent anywhere else');
    for (const url of ['http://kubeconfigs.test/', 'ftp://x.test/', 'https://u:p@x.test/', 'x']) {
      t.match(
        await kubeconfig(settings, 'fetch', url),
        { status: 2, stdout: '', stderr: /URL (?:must be|is http)/ },
        url,
      );
    }
  },
  ['new'],
);
