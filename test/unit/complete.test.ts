/** What the completion scripts get as answers. test/e2e/completion.test.ts asks with real shells. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { listMethodNames, METHODS, OPTIONS } from '../../src/plugin/auth-methods/registry.ts';
import { ALL_COMMANDS } from '../../src/plugin/commands/registry.ts';
import { listFlagNames } from '../../src/shared/options/flags.ts';
import { runInProcess } from '../support/run-in-process.ts';

const home = t.testdir({});
mkdirSync(join(home, '.config', 'openstack'), { recursive: true });
const clouds = { production: {}, 'two words': {}, 'line\nfeed': {} };
writeFileSync(join(home, '.config', 'openstack', 'clouds.yaml'), JSON.stringify({ clouds }), { mode: 0o600 });
const kubeconfig = join(home, 'kubeconfig');
const contexts = ['blue', 'green'].map((name) => ({ name, context: { cluster: 'c', user: 'u' } }));
const clusters = [{ name: 'harbour', cluster: {} }];
writeFileSync(kubeconfig, JSON.stringify({ apiVersion: 'v1', kind: 'Config', contexts, clusters, users: [] }));

async function ask(...argv: readonly string[]): Promise<string> {
  const parts = { home: () => home, cwd: home, uid: process.getuid?.(), env: { KUBECONFIG: kubeconfig } };
  const { status, stdout, stderr } = await runInProcess({ ...parts, argv: ['complete', ...argv] });
  t.same({ status, stderr }, { status: 0, stderr: '' }, argv.join(' '));
  return stdout;
}

/** Returns the words that can follow. */
async function complete(...words: readonly string[]): Promise<readonly string[]> {
  const lines = (await ask('--', ...words)).trimEnd().split('\n');
  t.equal(lines[0], 'words', words.join(' '));
  return lines.filter((_, index) => index % 2 === 1);
}

const firstWords = [...new Set(ALL_COMMANDS.map(({ words }) => words[0]))];
const loginFlags = ['--context', '--kubeconfig', ...OPTIONS.flatMap(listFlagNames), '--help', '-h', '--version'];

void t.test('commands, their second words and their arguments are completed', async (t) => {
  t.strictSame(await complete(''), firstWords);
  t.strictSame(await complete('wh'), ['whoami']);
  t.strictSame(await complete('--os-cloud', 'x', 'wh'), ['whoami'], 'after a flag');
  t.strictSame(await complete('kubeconfig', 's'), ['show']);
  t.strictSame(await complete('completion', ''), ['install', 'bash', 'zsh', 'fish', 'powershell']);
  t.strictSame(await complete('completion', 'install', ''), ['bash', 'zsh', 'fish']);
  t.strictSame(await complete('kubeconfig', 'remove', ''), ['blue', 'green']);
  t.strictSame(await complete('kubeconfig', 'convert', 'blue', 'g'), ['green']);
  t.strictSame(await complete('help', ''), [...firstWords, 'options', 'auth']);
  t.strictSame(await complete('help', 'cache', ''), ['list', 'clean']);
  t.strictSame(await complete('whoami', ''), []);
  t.strictSame(await complete('nonsense', ''), []);
  const parts = { home: () => home, cwd: home };
  t.match(await runInProcess({ ...parts, argv: ['complete', 'clouds'] }), { status: 2, stdout: '' });
});

void t.test('flags are those of the command', async (t) => {
  t.strictSame(await complete('-'), loginFlags);
  t.strictSame(await complete('get-token', '-'), loginFlags);
  t.strictSame(await complete('whoami', '--out'), ['--output']);
  t.strictSame(await complete('--out'), []);
  t.strictSame(await complete('completion', '--os'), [], 'it logs nobody in');
  t.strictSame(await complete('whoami', '--context', 'x', '--bogus', '--out'), ['--output'], 'after an unknown flag');
  t.strictSame(await complete('whoami', '--help', '--out'), ['--output']);
});

void t.test('values are completed after a space and after an equals sign', async (t) => {
  t.strictSame(await complete('--cache-storage', ''), ['file', 'keyring', 'none']);
  t.strictSame(await complete('--cache-storage=k'), ['--cache-storage=keyring']);
  t.strictSame(await complete('whoami', '-o', 'j'), ['json']);
  t.strictSame(await complete('--auth-type', ''), METHODS.flatMap(listMethodNames));
  t.strictSame(await complete('--os-cloud', ''), ['production', 'two words'], 'none with control characters');
  t.strictSame(await complete('--os-cloud=two'), ['--os-cloud=two words']);
  t.strictSame(await complete('doctor', '--context', 'b'), ['blue']);
  t.strictSame(await complete('kubeconfig', 'add', '--cluster', ''), ['harbour']);
  t.strictSame(await complete('--user-name', ''), []);
  t.strictSame(await complete('--insecure', '--user-domain-i'), ['--user-domain-id']);
  t.equal(await ask('--', '--cacert', 'a'), 'files\n');
  t.equal(await ask('--', '--cacert=a'), 'files\n');
});

void t.test('a shell that cannot pass an empty word says so', async (t) => {
  t.equal(await ask('next', '--', 'kubeconfig'), await ask('--', 'kubeconfig', ''));
  t.equal(await ask('next', '--'), await ask('--', ''));
});

void t.test('each word has a line that says what it means', async (t) => {
  const [, ...lines] = (await ask('--', 'w')).trimEnd().split('\n');
  t.strictSame(lines, ['whoami', ALL_COMMANDS.find(({ words: [word] }) => word === 'whoami')?.summary]);
});
