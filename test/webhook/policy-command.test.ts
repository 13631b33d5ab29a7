// `policy test`, `policy lint` and errors of the command line. process.test.ts runs the built program.

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { makeTestFolder } from '../support/webhook-settings.ts';
import { runWebhookCommand } from '../support/webhook.ts';

const folder = makeTestFolder(t);
const file = join(folder, 'policy.json');
const clean = join(folder, 'clean.json');
writeFileSync(
  file,
  JSON.stringify([
    { users: { roles: ['x'] }, resource_permissions: { '*/*': ['*'] } },
    {
      users: { projects: ['demo'], roles: ['member'] },
      resource_permissions: { 'web/pods': ['get'], 'web/pods/exec': ['create'] },
    },
    { nonresource: { verbs: ['get'], path: '/healthz*' }, match: [{ type: 'user', values: ['u1'] }] },
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
    stdout: /^not allowed: get pods\/x\.metrics in web: none of the 3 entries/,
  });
  t.match(await testPolicy(...alice, '--resource', 'pods'), { status: 1 });
  t.match(await testPolicy('--uid', 'u1', '--path', '/healthz/x'), {
    status: 0,
    stdout: /^allowed: get \/healthz\/x: entry 3/,
  });
  t.match(await testPolicy('--user', 'u2', '--path', '/healthz'), { status: 1 });
});

void t.test('policy lint lists the problems of a policy', async (t) => {
  const { status, stdout } = await run('policy', 'lint', '--keystone-policy-file', file);
  t.equal(status, 1);
  t.match(stdout, /entry 1: never: "users" without "projects" matches no user/);
  t.match(stdout, /entry 2: fault: "web\/pods" granted the subresources/);
  t.match(stdout, /3 entries, \d findings\n$/);
  t.strictSame(await run('policy', 'lint', '--keystone-policy-file', clean), {
    status: 0,
    stdout: '1 entries, 0 findings\n',
    stderr: '',
  });
});

void t.test('errors of the command line are one line on stderr', async (t) => {
  const rows: readonly [args: readonly string[], status: number, message: RegExp][] = [
    [['policy'], 2, /needs a subcommand: test or lint/],
    [['policy', 'eat'], 2, /test or lint/],
    [['policy', 'lint'], 2, /--keystone-policy-file is missing/],
    [['policy', 'lint', 'x'], 2, /unexpected argument "x"/],
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

void t.test('--help and --version go to stdout', async (t) => {
  t.match(await run('--help'), { status: 0, stdout: /--keystone-policy-file[^]*KEYSTONE_POLICY_FILE/, stderr: '' });
  t.match(await run('policy', 'test', '--help'), { status: 0, stdout: /--namespace/ });
  t.match(await run('policy', 'lint', '--help'), { status: 0, stdout: /can never match/ });
  t.match(await run('--version'), { status: 0, stdout: /^\d+\.\d+\.\d+\n$/ });
});
