// `kubeconfig add` for many clusters: from a list, and from Magnum. Runs the built plugin against stand-ins.

import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import type { Test } from 'tap';
import { load } from 'js-yaml';
import { makePki } from '../../scripts/lib/pki.ts';
import { EXIT_STATUS, makeLoginSettings, PASSWORD, startKeystoneForTest } from '../support/check-run.ts';
import { setUp } from '../support/fixture.ts';
import type { Fixture } from '../support/fixture.ts';
import { runBundles } from '../support/run-bundles.ts';
import type { RunResult } from '../support/run-plugin.ts';
import { describeMagnum, startStandInMagnum } from '../support/stand-in-magnum.ts';
import type { MagnumCluster, StandInMagnum } from '../support/stand-in-magnum.ts';
import type { StandInKeystone } from '../support/stand-in-keystone.ts';

const pki = await makePki(t.testdir());
const PEM = readFileSync(pki.ca, 'utf8');

const uuidOf = (digit: number): string => `${String(digit).repeat(8)}-779a-456b-a3e9-c883d734946f`;
const makeCluster = (digit: number, name: string, changes: Partial<MagnumCluster> = {}): MagnumCluster => ({
  uuid: uuidOf(digit),
  name,
  api_address: `https://192.0.2.${digit}:6443`,
  pem: PEM,
  ...changes,
});

interface WrittenKubeconfig {
  readonly clusters: readonly {
    readonly name: string;
    readonly cluster: { readonly server: string; readonly 'certificate-authority-data'?: string };
  }[];
  readonly contexts: readonly { readonly name: string; readonly context: { readonly cluster: string } }[];
  readonly users: readonly { readonly name: string; readonly user: { readonly exec: { readonly args: string[] } } }[];
}

interface Someone {
  readonly keystone: StandInKeystone;
  readonly alice: Fixture;
  readonly file: string;
  readonly add: (...args: readonly string[]) => Promise<RunResult>;
  readonly read: () => WrittenKubeconfig;
}

async function setUpSomeone(t: Test): Promise<Someone> {
  const keystone = await startKeystoneForTest(t);
  const alice = setUp(t, { settings: makeLoginSettings(`${keystone.url}/v3`) });
  const file = join(alice.home.path, 'kubeconfig');
  return {
    keystone,
    alice,
    file,
    add: async (...args) => {
      const result = await alice.run(
        'kubeconfig',
        'add',
        '--kubeconfig',
        file,
        '--command',
        '/bin/client-keystone-auth',
        ...args,
      );
      t.notOk((result.stdout + result.stderr).includes(PASSWORD), 'the password is not shown');
      for (const token of keystone.sessions.keys())
        t.notOk((result.stdout + result.stderr).includes(token), 'no token is shown');
      return result;
    },
    read: () => load(readFileSync(file, 'utf8')) as WrittenKubeconfig,
  };
}

interface WithMagnum extends Someone {
  readonly magnum: StandInMagnum;
}

async function setUpWithMagnum(t: Test, clusters: readonly MagnumCluster[]): Promise<WithMagnum> {
  const someone = await setUpSomeone(t);
  return { ...someone, magnum: await startStandInMagnum(t, someone.keystone, clusters) };
}

void t.test('every Magnum cluster of the project gets a context with its CA, over several pages', async (t) => {
  const { magnum, add, read, file } = await setUpWithMagnum(t, [
    makeCluster(1, 'prod'),
    makeCluster(2, 'stage'),
    makeCluster(3, 'dev'),
  ]);
  magnum.pageSize = 2;
  const preview = await add('--from-magnum', '--dry-run');
  t.match(preview, { status: 0, stdout: /\+- name: prod-keystone/, stderr: '' });
  t.throws(() => readFileSync(file), 'a dry run writes nothing');
  const added = await add('--from-magnum');
  t.match(added, { status: 0, stdout: /Context dev-keystone uses cluster dev\./, stderr: '' });
  const written = read();
  t.strictSame(
    written.clusters.map(({ name, cluster }) => [name, cluster.server, cluster['certificate-authority-data']]),
    ['prod', 'stage', 'dev'].map((name, index) => [
      name,
      `https://192.0.2.${index + 1}:6443`,
      Buffer.from(PEM).toString('base64'),
    ]),
  );
  t.strictSame(
    written.contexts.map(({ name, context }) => [name, context.cluster]),
    ['prod', 'stage', 'dev'].map((name) => [`${name}-keystone`, name]),
  );
  t.match(written.users[2]?.user.exec.args.join(' '), '--project-name=web', 'each logs in with the current login');
  const again = await add('--from-magnum');
  t.match(again, { status: 0, stdout: /Nothing had to be changed/ }, 'a second run changes nothing');
});

void t.test('a bad cluster is reported and does not lose the others', async (t) => {
  const { add, read } = await setUpWithMagnum(t, [
    makeCluster(1, 'young', { api_address: null, status: 'CREATE_IN_PROGRESS' }),
    makeCluster(2, 'plain', { api_address: 'http://192.0.2.2:8080' }),
    makeCluster(3, 'bare', { pem: undefined }),
    makeCluster(4, 'broken', { pem: 'nonsense' }),
    makeCluster(5, 'good'),
  ]);
  const result = await add('--from-magnum', '-o', 'json');
  t.equal(result.status, EXIT_STATUS.protocol);
  t.match(result.stderr, /young was left out: it has no address yet \(CREATE_IN_PROGRESS\); try again later/);
  t.match(result.stderr, /plain was left out: its address must be the https:\/\/ URL/);
  t.match(result.stderr, /bare was left out: Magnum at .* answered 404 instead of the CA/);
  t.match(result.stderr, /broken was left out: its CA is not a PEM certificate/);
  t.match(JSON.parse(result.stdout), {
    contexts: [{ context: 'good-keystone' }],
    leftOutClusters: [{ name: 'young' }, { name: 'plain' }, { name: 'bare' }, { name: 'broken' }],
  });
  t.strictSame(
    read().clusters.map(({ name }) => name),
    ['good'],
  );
});

void t.test(
  'clusters of one name get the start of their UUID, and nothing else in the kubeconfig is replaced',
  async (t) => {
    const { add, read, file } = await setUpWithMagnum(t, [
      makeCluster(1, 'k8s'),
      makeCluster(2, 'k8s'),
      makeCluster(3, 'mine'),
      makeCluster(4, '\u001b[31mred'),
    ]);
    const kubeconfig = {
      apiVersion: 'v1',
      kind: 'Config',
      clusters: [{ name: 'mine', cluster: { server: 'https://other.example.com' } }],
      contexts: [],
      users: [],
    };
    writeFileSync(file, JSON.stringify(kubeconfig), { mode: 0o600 });
    const result = await add('--from-magnum');
    t.equal(result.status, EXIT_STATUS.config);
    t.match(result.stderr, /mine was left out: the kubeconfig has a cluster "mine" with another server/);
    t.strictSame(
      read().clusters.map(({ name, cluster }) => [name, cluster.server]),
      [
        ['mine', 'https://other.example.com'],
        [`k8s-11111111`, 'https://192.0.2.1:6443'],
        [`k8s-22222222`, 'https://192.0.2.2:6443'],
        [uuidOf(4), 'https://192.0.2.4:6443'],
      ],
    );
  },
);

void t.test('the token goes to the address in the catalog only, and only over TLS', async (t) => {
  const someone = await setUpWithMagnum(t, [makeCluster(1, 'prod')]);
  const { keystone, magnum, add } = someone;
  const fail = async (services: typeof keystone.services, status: number, message: RegExp): Promise<void> => {
    keystone.services = services;
    t.match(await add('--from-magnum'), { status, stdout: '', stderr: message });
  };
  await fail([], EXIT_STATUS.config, /no container-infra service/);
  await fail([describeMagnum('http://magnum.example.com:9511/v1')], EXIT_STATUS.protocol, /is not an https:\/\/ URL/);
  await fail([describeMagnum('https://user@magnum.example.com/v1')], EXIT_STATUS.protocol, /is not an https:\/\/ URL/);
  const regions = [describeMagnum(magnum.url, 'One'), describeMagnum('https://192.0.2.9/v1', 'Two')];
  await fail(regions, EXIT_STATUS.config, /Magnum is in several regions; choose one with --region-name: One, Two/);
  t.strictSame(magnum.requests, [], 'no request was sent');
  t.match(await add('--from-magnum', '--region-name', 'Three'), { status: EXIT_STATUS.config, stderr: /One, Two/ });
  t.equal((await add('--from-magnum', '--region-name', 'One')).status, 0, 'the version is added to the address');
  t.strictSame(magnum.requests.slice(0, 2), ['GET /v1/clusters', `GET /v1/clusters/${uuidOf(1)}`]);
});

void t.test('a list of trusted servers holds for Magnum too', async (t) => {
  const { keystone, magnum, alice, file } = await setUpWithMagnum(t, [makeCluster(1, 'prod')]);
  const folder = join(alice.home.path, '.config', 'client-keystone-auth');
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const list = join(folder, 'trusted-origins');
  const add = (): Promise<RunResult> =>
    runBundles(
      { home: alice.home, env: alice.settings, args: ['kubeconfig', 'add', '--from-magnum', '--kubeconfig', file] },
      { accountHome: alice.home.path },
    );
  writeFileSync(list, `${keystone.url}\n`, { mode: 0o600 });
  t.match(await add(), { status: EXIT_STATUS.config, stdout: '', stderr: /trusted-origins/ });
  t.strictSame(magnum.requests, []);
  writeFileSync(list, `${keystone.url}\n${magnum.url}\n`, { mode: 0o600 });
  t.equal((await add()).status, 0);
});

void t.test('a Magnum that fails is reported, and nothing is written', async (t) => {
  const { magnum, add, file } = await setUpWithMagnum(t, []);
  t.match(await add('--from-magnum'), { status: 0, stdout: /The project has no clusters\./ });
  magnum.failWith = 403;
  t.match(await add('--from-magnum'), { status: EXIT_STATUS.refused, stderr: /answered 403 instead of the list/ });
  magnum.failWith = 200;
  t.equal((await add('--from-magnum')).status, 0, 'no list is an empty list');
  t.throws(() => readFileSync(file));
});

void t.test('each cluster of a list gets a context, and no request is sent', async (t) => {
  const { keystone, alice, add, read } = await setUpSomeone(t);
  alice.writeFile('lists/ca.pem', PEM);
  const list = alice.writeFile(
    'lists/clusters.yaml',
    [
      'clusters:',
      '  - { name: prod, server: "https://192.0.2.1:6443", certificate-authority: ca.pem }',
      '  - { server: "https://k8s.example.com" }',
      '  - { name: prod, server: "https://192.0.2.2:6443" }',
      '  - { name: typo, sever: "https://192.0.2.3:6443" }',
      '  - { name: no-ca, server: "https://192.0.2.4:6443", certificate-authority: missing.pem }',
      '  - text',
    ].join('\n'),
  );
  const result = await add('--from-list', list);
  t.equal(result.status, EXIT_STATUS.config);
  t.match(result.stderr, /entry 3 of .* was left out: .* has the name of an earlier one, "prod"/);
  t.match(result.stderr, /entry 4 of .* has the unknown key "sever"/);
  t.match(result.stderr, /entry 5 of .*missing\.pem cannot be read/);
  t.match(result.stderr, /entry 6 of .* is not a mapping/);
  t.strictSame(
    read().clusters.map(({ name, cluster }) => [name, cluster.server, 'certificate-authority-data' in cluster]),
    [
      ['prod', 'https://192.0.2.1:6443', true],
      ['k8s.example.com', 'https://k8s.example.com', false],
    ],
  );
  t.strictSame(keystone.listRequests(), []);
  alice.writeFile('lists/empty.yaml', 'clusters: []\n');
  t.match(await add('--from-list', join(alice.home.path, 'lists/empty.yaml')), {
    status: EXIT_STATUS.config,
    stderr: /lists no clusters/,
  });
});

void t.test('each cluster of a list has its own audience, and its own issuer if it names one', async (t) => {
  const { keystone, alice, add, read } = await setUpSomeone(t);
  alice.writeFile('lists/ca.pem', PEM);
  const list = alice.writeFile(
    'lists/clusters.yaml',
    [
      'clusters:',
      '  - { name: a, server: "https://192.0.2.1:6443", token-exchange-audience: cluster-a }',
      '  - { name: b, server: "https://192.0.2.2:6443", token_exchange_audience: cluster-b,',
      '      token-exchange-url: "https://other.example.com", token-exchange-cacert: ca.pem }',
      '  - { name: c, server: "https://192.0.2.3:6443" }',
      '  - { name: d, server: "https://192.0.2.4:6443", token-exchange-audience: [d] }',
      '  - { name: e, server: "https://192.0.2.5:6443", token-exchange-audience: e,',
      '      token-exchange-url: "http://other.example.com" }',
    ].join('\n'),
  );
  const listArguments = (): unknown =>
    Object.fromEntries(
      read().users.map(({ name, user }) => [
        name,
        user.exec.args.filter((word) => word.startsWith('--token-exchange')),
      ]),
    );
  const expected = {
    'a-keystone': ['--token-exchange-url=https://issuer.example.com', '--token-exchange-audience=cluster-a'],
    'b-keystone': [
      '--token-exchange-url=https://other.example.com',
      '--token-exchange-audience=cluster-b',
      `--token-exchange-cacert=${join(alice.home.path, 'lists/ca.pem')}`,
    ],
  };
  const result = await add('--from-list', list, '--token-exchange-url', 'https://issuer.example.com');
  t.equal(result.status, EXIT_STATUS.config);
  t.match(result.stderr, /c was left out: --token-exchange-url is set, but not OS_TOKEN_EXCHANGE_AUDIENCE/);
  t.match(result.stderr, /entry 4 of .*: token-exchange-audience must be text/);
  t.match(result.stderr, /e was left out: entry 5 of .*: token-exchange-url must begin with https:\/\//);
  t.strictSame(listArguments(), expected, 'no cluster gets the Keystone token that should get a JWT');

  const shell = await alice
    .with({ OS_TOKEN_EXCHANGE_URL: 'https://issuer.example.com', OS_TOKEN_EXCHANGE_AUDIENCE: 'of-the-shell' })
    .run('kubeconfig', 'add', '--from-list', list, '--kubeconfig', join(alice.home.path, 'other'));
  t.match(shell.stderr, /c was left out: a token exchange is for one cluster, but several are added/);
  t.notMatch(readFileSync(join(alice.home.path, 'other'), 'utf8'), 'of-the-shell');

  const without = await add('--from-list', list);
  t.match(
    without.stderr,
    /a was left out: entry 1 of .*: token-exchange-audience is set, but not OS_TOKEN_EXCHANGE_URL/,
  );
  t.match(without.stdout, /Context c-keystone uses cluster c\./);
  t.strictSame(listArguments(), { ...expected, 'c-keystone': [] });
  t.strictSame(keystone.listRequests(), []);
});

void t.test('options for one cluster do not combine with many', async (t) => {
  const { add } = await setUpSomeone(t);
  t.match(await add('--from-magnum', '--name', 'x'), { status: 2, stderr: /--name is for one cluster/ });
  t.match(await add('--from-list', 'x', '--server', 'https://x'), { status: 2, stderr: /--server is for one cluster/ });
  t.match(await add('--from-list', 'x', '--from-magnum'), { status: 2, stderr: /exclude each other/ });
});
