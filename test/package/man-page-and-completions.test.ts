/** The manual page and the completions, read by the programs that use them. */
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import t from 'tap';
import { renderManPage } from '../../scripts/package/man-page.ts';
import { renderCompletions } from '../../scripts/package/system-files.ts';
import { EXIT, listExitStatuses } from '../../src/plugin/cli/exit-status.ts';
import { ALL_COMMANDS } from '../../src/plugin/commands/registry.ts';
import { listFlagNames } from '../../src/shared/options/flags.ts';
import { OPTIONS } from '../../src/plugin/auth-methods/registry.ts';
import { canRun, skipWithout } from '../support/missing-tools.ts';

const FILES = { bash: 'client-keystone-auth.bash', zsh: '_client-keystone-auth', fish: 'client-keystone-auth.fish' };

const flags = [...OPTIONS.flatMap(listFlagNames), '--help', '--version'];

await t.test('the manual page names each command, option and variable', async (t) => {
  const page = renderManPage('1.2.3-rc.4');
  t.equal(page, renderManPage('1.2.3-rc.4'), 'the same text every time');
  t.match(page, '1.2.3\\-rc.4');
  for (const { words, options } of ALL_COMMANDS) {
    t.ok(page.includes(words.join(' ').replaceAll('-', '\\-')), words.join(' '));
    for (const { name } of options) t.ok(page.includes(`\\-\\-${name.replaceAll('-', '\\-')}`), name);
  }
  for (const flag of flags) t.ok(page.includes(`\\fB${flag.replaceAll('-', '\\-')}\\fR`), flag);
  for (const variable of OPTIONS.flatMap(({ env = [], legacyEnv = [] }) => [...env, ...legacyEnv]))
    t.ok(page.includes(variable), variable);
  t.strictSame(
    listExitStatuses().map(({ status }) => status),
    Object.values(EXIT),
    'every exit status has a meaning',
  );
  for (const { status, meaning } of listExitStatuses()) {
    t.match(page, `.TP\n\\fB${status}\\fR\n${meaning.charAt(0).toUpperCase()}${meaning.slice(1)}.\n`);
  }
});

const noMandoc = skipWithout('mandoc', () => canRun('mandoc', '-Tascii', '/dev/null'));

await t.test('mandoc reads the manual page', { skip: noMandoc }, async (t) => {
  const file = join(t.testdir({ 'page.1': renderManPage('0.0.1') }), 'page.1');
  // The date is missing on purpose.
  const lint = execFileSync('sh', ['-c', 'mandoc -Tlint -W warning "$1" || true', 'sh', file], { encoding: 'utf8' });
  t.strictSame(
    lint.split('\n').filter((line) => line !== '' && !line.includes('missing date')),
    [],
  );
  const text = execFileSync('mandoc', ['-Tascii', file], { encoding: 'utf8' }).replace(/.\x08/g, '');
  t.match(text, /^ {5,7}--cache-storage value$/m);
  t.match(text, /^EXIT STATUS$/m);
  t.match(text, /^ {5,7}130 +Canceled at a prompt\.$/m);
});

// man with groff is large and not better than mandoc, so CI does not need it.
const noMan = !(canRun('man', '--version') && canRun('groff', '--version')) && 'no man with groff here';

await t.test('man reads the manual page', { skip: noMan }, async (t) => {
  const file = join(t.testdir({ 'page.1': renderManPage('0.0.1') }), 'page.1');
  const command = 'man --warnings=all -E UTF-8 -l "$1" 2>&1';
  const text = execFileSync('sh', ['-c', command, 'sh', file], { encoding: 'utf8', env: { PATH: '/usr/bin:/bin' } });
  t.notMatch(text, /<standard input>|^(?:man|groff|troff):/m, 'no warning');
  t.match(text, '--cache-storage value');
});

const noBash = skipWithout('bash', () => canRun('bash', '--version'));

await t.test('bash reads the packaged file', { skip: noBash }, async (t) => {
  const file = join(t.testdir({ [FILES.bash]: renderCompletions().bash }), FILES.bash);
  const names = execFileSync('bash', ['--norc', '-c', '. "$1" && complete -p', 'bash', file], { encoding: 'utf8' });
  for (const name of ['client-keystone-auth', 'kubectl-keystone_auth'])
    t.match(names, `complete -F _client_keystone_auth ${name}\n`);
});

const noZsh = skipWithout('zsh', () => canRun('zsh', '--version'));

await t.test('zsh reads the packaged file', { skip: noZsh }, async (t) => {
  const folder = t.testdir({ [FILES.zsh]: renderCompletions().zsh });
  execFileSync('zsh', ['-f', '-n', join(folder, FILES.zsh)]);
  const script = `fpath=("$1" $fpath); autoload -U compinit; compinit -D -u
    print -r -- $_comps[client-keystone-auth] $_comps[kubectl-keystone_auth]`;
  const env = { PATH: '/usr/bin:/bin', HOME: folder };
  const text = execFileSync('zsh', ['-f', '-c', script, 'zsh', folder], { encoding: 'utf8', env });
  t.equal(text, `${FILES.zsh} ${FILES.zsh}\n`, 'compinit finds it under both names');
});

const noFish = skipWithout('fish', () => canRun('fish', '--version'));

await t.test('fish reads the packaged file', { skip: noFish }, async (t) => {
  const folder = t.testdir({ [FILES.fish]: renderCompletions().fish });
  execFileSync('fish', ['-n', join(folder, FILES.fish)]);
  const script = `source ${join(folder, FILES.fish)}; complete`;
  const env = { PATH: '/usr/bin:/bin', HOME: folder };
  const text = execFileSync('fish', ['--no-config', '-c', script], { encoding: 'utf8', env });
  for (const name of ['client-keystone-auth', 'kubectl-keystone_auth']) t.match(text, name);
});

await t.test(
  'the packaged completions are up to date',
  { skip: !existsSync('out/completions') && 'npm run package' },
  async (t) => {
    const { bash, zsh, fish } = renderCompletions();
    const read = (name: string): string => readFileSync(resolve('out/completions', name), 'utf8');
    t.strictSame([read(FILES.bash), read(FILES.zsh), read(FILES.fish)], [bash, zsh, fish]);
  },
);
