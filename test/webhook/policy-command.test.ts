// `policy test`, `policy lint` and errors of the command line. process.test.ts runs the built program.

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { WEBHOOK_OPTIONS } from '../../src/webhook/cli/options.ts';
import { makeTestFolder } from '../support/webhook-settings.ts';
import { runWebhookCommand } from '../support/webhook.ts';

const folder = makeTestFolder(t);
const file = join(folder, 'policy.json');
const UID = '0123456789abcdef0123456789abcdef';
const clean = join(folder, 'clean.json');
writeFileSync(
  file,
  JSON.stringify([
    { users: { roles: ['x'] }, resource_permissions: { '*/*': ['*'] } },
    {
      users: { projects: ['demo'], roles: ['member'] },
      resource_permissions: { 'web/pods': ['get'], 'web/pods/exec': ['create'] },
    },
    { nonresource: { verbs: ['get'], path: '/healthz*' }, match: [{ type: 'user', values: [UID] }] },
  ]),
);
writeFileSync(
  clean,
  JSON.stringify([{ users: { projects: ['demo'] }, resource_permissions: { '*/configmaps': ['get'] } }]),
);

interface CommandResult {
  readonly status: number | undefined;
  readonly stdout: string;
  readonly stderr: string;
}

async function run(...args: readonly string[]): Promise<CommandResult> {
  const { ended, output } = runWebhookCommand(args);
  return { status: await ended, ...output };
}

const testPolicy = (...args: readonly string[]): ReturnType<typeof run> =>
  run('policy', 'test', '--keystone-policy-file', file, ...args);
const alice = ['--projects', 'p1, demo', '--roles', 'member,reader'];

void t.test('policy test shows the entry that decides', async (t) => {
  t.match(await testPolicy(...alice, '--resource', 'pods', '--namespace', 'web'), {
    status: 0,
    stdout: /^allowed: get pods in web: entry 2 of .*policy\.json:\n\{"users"/,
    stderr: '',
  });
  t.match(await testPolicy(...alice, '--verb', 'create', '--resource', 'pods/exec', '--namespace', 'web'), {
    status: 0,
  });
  t.match(await testPolicy(...alice, '--resource', 'pods.metrics/x', '--namespace', 'web'), {
    status: 1,
    stdout: /^not allowed: get pods\.metrics\/x in web: none of the 3 entries/,
  });
  t.match(await testPolicy(...alice, '--resource', 'pods'), { status: 1 });
  t.match(await testPolicy('--uid', UID, '--path', '/healthz/x'), {
    status: 0,
    stdout: /^allowed: get \/healthz\/x: entry 3/,
  });
  t.match(await testPolicy('--user', 'u2', '--path', '/healthz'), { status: 1 });
});

void t.test('policy test knows the domain of the user', async (t) => {
  const path = join(folder, 'domains.json');
  const users = { projects: ['demo'], domains: ['acme'] };
  writeFileSync(path, JSON.stringify([{ users, resource_permissions: { '*/configmaps': ['get'] } }]));
  const words = ['policy', 'test', '--keystone-policy-file', path, '--projects', 'demo', '--resource', 'configmaps'];
  t.match(await run(...words, '--domains', 'ad46c8976da647fd85585c4db77c8ca0, acme'), { status: 0 });
  t.match(await run(...words, '--domains', 'other'), { status: 1 });
  t.match(await run(...words), { status: 1 });
});

void t.test('policy lint lists the problems of a policy', async (t) => {
  const { status, stdout } = await run('policy', 'lint', '--keystone-policy-file', file);
  t.equal(status, 1);
  t.match(stdout, /entry 1: never: "users" without "projects" matches no user/);
  t.match(stdout, /entry 2: fault: "web\/pods" also granted the subresources .* \[lost-subresources\]\n/);
  t.match(stdout, /3 entries, \d+ findings\n$/);
  t.strictSame(await run('policy', 'lint', '--keystone-policy-file', clean), {
    status: 0,
    stdout: '1 entries, 0 findings\n',
    stderr: '',
  });
});

void t.test(
  'a policy that cannot be read is an error, whose hint is not the command that has just failed',
  async (t) => {
    const broken = join(folder, 'broken.json');
    writeFileSync(broken, '[{]');
    for (const words of [['lint'], ['test', '--verb', 'get', '--path', '/healthz']]) {
      const { status, stdout, stderr } = await run('policy', ...words, '--keystone-policy-file', broken);
      t.match({ status, stdout }, { status: 3, stdout: '' });
      t.match(stderr, /broken\.json: .*line 1.*\n$/);
      t.notMatch(stderr, /policy lint/);
    }
  },
);

/** The resource that `policy test` prints for a request. */
async function printResource(resource: string): Promise<string | undefined> {
  const { stdout } = await testPolicy('--resource', resource, '--namespace', 'web');
  return /^not allowed: get (\S+) in web:/.exec(stdout)?.[1];
}

void t.test('the resource that policy test prints can be given back to it', async (t) => {
  for (const resource of ['pods', 'pods/exec', 'deployments.apps', 'deployments.apps/scale', 'a.b.example.com/x/y']) {
    t.equal(await printResource(resource), resource);
  }
});

const RULES = '[\n  { "users": { "projects": ["demo"] },\n    "resource_permissions": { "*/po*": ["get"] } }\n]\n';
const indent = (text: string): string => text.replaceAll(/^/gm, '    ');

void t.test('a policy with a byte order mark, and one in a ConfigMap, are read', async (t) => {
  const configMap = { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'p' }, data: { policies: RULES } };
  const texts = {
    plain: RULES,
    mark: `\uFEFF${RULES}`,
    yaml: `apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: p\ndata:\n  policies: |\n${indent(RULES)}`,
    json: JSON.stringify(configMap),
    manifestYaml:
      `---\nkind: ServiceAccount\nmetadata: {name: p}\n---\nkind: ConfigMap\ndata: {x: y}\n---\n` +
      `kind: ConfigMap\ndata:\n  policies: |\n${indent(RULES)}`,
    listYaml: `kind: List\nitems:\n- kind: Secret\n- data:\n    policies: ${JSON.stringify(RULES)}\n  kind: ConfigMap\n`,
    listjson: JSON.stringify({ kind: 'ConfigMapList', items: [configMap] }),
    longYaml: `kind: ConfigMap\ndata:\n  policies: |\n${indent(RULES)}${'\n'.repeat(30_000)}`,
    markedYaml: `\uFEFF# pasted\nkind: ConfigMap\ndata:\n  policies: ${JSON.stringify(RULES)}\n`,
  };
  for (const [name, text] of Object.entries(texts)) {
    const path = join(folder, name);
    writeFileSync(path, text);
    const { status, stdout } = await run('policy', 'lint', '--keystone-policy-file', path);
    t.equal(status, 1, name);
    const place = /yaml|json/i.test(name) ? `${path}, data.policies` : path;
    t.equal(
      stdout.split('\n')[0],
      `${place}: line 3, column 31: entry 1: never: "*/po*" is not a key such as "namespace/resource"`,
    );
  }
});

void t.test('what is no policy is refused with its place', async (t) => {
  const path = join(folder, 'wrong');
  for (const [text, message] of [
    ['[\n  {"users": }\n]', /wrong: it is not JSON: a value is expected here \(line 2, column 13\)\n$/],
    ['[{}', /wrong: it is not JSON: "," or "\]" is expected here \(line 1, column 4\)/],
    ['', /wrong: it is not JSON: it ends too early \(line 1, column 1\)/],
    ['[\n1]', /wrong: entry 1: it is not an object \(line 2, column 1\)/],
    ['[{"users": {"projects": "demo"}}]', /wrong: entry 1: "projects" must be a list of strings \(line 1, column 25\)/],
    ['[{"users": {}, "Users": {}}]', /wrong: entry 1: the key "users" occurs twice \(line 1, column 16\)/],
    ['kind: ConfigMap\ndata: {policy: x}', /wrong: the ConfigMap has no key "policies"/],
    [
      'kind: ConfigMap\ndata: {policies: "[]"}\n---\nkind: ConfigMap\ndata: {policies: "[]"}',
      /wrong: several ConfigMaps have a key "policies"/,
    ],
    ['kind: Secret\ndata: {policies: "[]"}\n---\nkind: ConfigMap', /wrong: the ConfigMap has no key "policies"/],
    ['kind: ConfigMap\n data: x: y', /wrong .*YAML/],
    ['kind: ConfigMap\ndata:\n  policies: "[\\n{]"', /wrong, data\.policies: it is not JSON: .* \(line 2, column 2\)/],
  ] as const) {
    writeFileSync(path, text);
    const result = await run('policy', 'lint', '--keystone-policy-file', path);
    t.match(result, { status: 3, stdout: '', stderr: message }, text);
  }
});

void t.test('errors of the command line are one line on stderr', async (t) => {
  const rows: readonly [args: readonly string[], status: number, message: RegExp][] = [
    [['policy'], 2, /policy is not a complete command; use one of: policy test, policy lint/],
    [['policy', 'remove'], 2, /use one of: policy test, policy lint/],
    [['policy', 'tset'], 2, /there is no such command; did you mean "policy test"\?/],
    [['nonsense'], 2, /unexpected argument \(not shown/],
    [['--user', 'x'], 2, /k8s-keystone-auth has no option --user; see "k8s-keystone-auth help"/],
    [['policy', 'lint', '--user', 'x'], 2, /policy lint has no option --user/],
    [['--keystone-rul', 'x'], 2, /unknown option --keystone-rul; did you mean --keystone-url\?/],
    [['--log-level', 'inf'], 3, /did you mean "info"\?/],
    [['help', 'nonsense'], 2, /unexpected argument/],
    [['policy', 'lint'], 2, /--keystone-policy-file is missing; set it/],
    [['policy', 'lint', 'x'], 2, /unexpected argument \(not shown/],
    [['policy', 'lint', '--keystone-policy-file', join(folder, 'absent')], 3, /absent cannot be read \(ENOENT\)/],
    [['policy', 'lint', '--keystone-policy-file', import.meta.filename], 3, /it is not JSON/],
    [['policy', 'lint', '--keystone-policy-file', file, '--compatibility', 'x'], 3, /does not support "x"/],
    [['policy', 'test', '--keystone-policy-file', file], 2, /either --resource or --path/],
    [
      ['policy', 'test', '--keystone-policy-file', file, '--resource', 'a', '--path', 'b'],
      2,
      /either --resource or --path/,
    ],
    [['--nonsense'], 2, /unknown option --nonsense; see --help/],
  ];
  for (const [args, status, message] of rows)
    t.match(await run(...args), { status, stdout: '', stderr: message }, args.join(' '));
});

void t.test('the help and the version go to stdout', async (t) => {
  const first = await run('--help');
  t.match(first, { status: 0, stdout: /--keystone-policy-file/, stderr: '' });
  const lines = first.stdout.split('\n');
  t.ok(lines.length <= 41, `one screen: ${lines.length} lines`);
  t.strictSame(
    lines.filter((line) => line.length > 80),
    [],
  );
  for (const args of [['-h'], ['help']]) t.strictSame(await run(...args), first);
  const options = await run('help', 'options');
  for (const { name, env = [] } of WEBHOOK_OPTIONS) {
    t.match(options.stdout, `--${name}`);
    for (const variable of env) t.match(options.stdout, variable);
  }
  for (const args of [
    ['policy', 'test', '--help'],
    ['help', 'policy', 'test'],
    ['policy', 'test', '-h'],
  ]) {
    t.match(await run(...args), { status: 0, stdout: /--namespace/ });
  }
  t.match(await run('help', 'policy', 'lint'), { status: 0, stdout: /can never match/ });
  t.match(await run('help', 'policy'), { status: 0, stdout: /policy test[^]*policy lint/ });
  for (const args of [['--version'], ['version'], ['policy', '--version']]) {
    t.match(await run(...args), { status: 0, stdout: /^\d+\.\d+\.\d+\n$/ });
  }
});
