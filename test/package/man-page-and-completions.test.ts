/** The manual page and the completions, read by the programs that use them. */
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import t from 'tap';
import { renderManPage } from '../../scripts/package/man-page.ts';
import { renderCompletions } from '../../scripts/package/system-files.ts';
import { EXIT, EXIT_STATUSES } from '../../src/plugin/cli/exit-status.ts';
import { renderCompletion, SHELLS } from '../../src/plugin/commands/completion/render-completion.ts';
import { ALL_COMMANDS } from '../../src/plugin/commands/registry.ts';
import { listFlagNames } from '../../src/shared/options/flags.ts';
import { listMethodNames, METHODS, OPTIONS } from '../../src/plugin/auth-methods/registry.ts';
import { canRun, skipWithout } from '../support/missing-tools.ts';

const FILES = { bash: 'client-keystone-auth.bash', zsh: '_client-keystone-auth', fish: 'client-keystone-auth.fish' };

const firstWords = [...new Set(ALL_COMMANDS.map(({ words }) => words[0]))];
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
    EXIT_STATUSES.map(({ status }) => status),
    Object.values(EXIT),
    'every exit status has a meaning',
  );
  for (const { status, meaning } of EXIT_STATUSES) {
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
  t.match(text, /^ {5,7}130 +Cancelled at a prompt\.$/m);
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

/** Returns what bash offers for the last word. */
function completeInBash(file: string, folder: string, words: readonly string[]): string[] {
  const script = `. "$1"; shift; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1))
    _client_keystone_auth "$1" && printf '%s\\n' "\${COMPREPLY[@]}"`;
  const args = ['--norc', '-c', script, 'bash', file, ...words];
  const text = execFileSync('bash', args, { encoding: 'utf8', cwd: folder, env: { PATH: '/usr/bin:/bin' } });
  return text.split('\n').filter((line) => line !== '');
}

await t.test('bash completes with the packaged file', { skip: noBash }, async (t) => {
  const folder = t.testdir({ files: { 'a b.pem': '', 'other.txt': '' } });
  const file = join(folder, FILES.bash);
  writeFileSync(file, renderCompletions().bash);
  const complete = (...words: string[]): string[] =>
    completeInBash(file, join(folder, 'files'), ['client-keystone-auth', ...words]);
  t.strictSame(complete('').toSorted(), [...firstWords, ...flags].toSorted(), 'every command and flag');
  t.strictSame(complete('whoami', '--out'), ['--output'], "a command's own flag");
  t.strictSame(complete('--out'), [], 'not without the command');
  t.strictSame(complete('whoami', '-o', ''), ['text', 'json', 'yaml']);
  t.strictSame(complete('completion', 'f'), ['fish'], 'its argument');
  t.strictSame(complete('get-token', '').toSorted(), flags.toSorted());
  t.strictSame(complete('--cache-s'), ['--cache-storage']);
  t.strictSame(complete('--cache-storage', ''), ['file', 'keyring', 'none']);
  t.strictSame(complete('--cache-storage', '=', 'k'), ['keyring'], 'bash splits --flag=value');
  t.strictSame(complete('--cache-storage', '='), ['file', 'keyring', 'none']);
  t.strictSame(complete('--auth-type', '').toSorted(), METHODS.flatMap(listMethodNames).toSorted());
  t.strictSame(complete('--cacert', 'a'), ['a b.pem'], 'a file, with a space in its name');
  t.strictSame(complete('--user-name', ''), [], 'no suggestions for free text');
  t.strictSame(complete('--insecure', '--user-domain-i'), ['--user-domain-id'], 'a flag without a value');

  const names = execFileSync('bash', ['--norc', '-c', '. "$1" && complete -p', 'bash', file], { encoding: 'utf8' });
  for (const name of ['client-keystone-auth', 'kubectl-keystone_auth'])
    t.match(names, `complete -F _client_keystone_auth ${name}\n`);
});

const noZsh = skipWithout('zsh', () => canRun('zsh', '--version'));

await t.test('zsh completes with the packaged file', { skip: noZsh }, async (t) => {
  const folder = t.testdir({ [FILES.zsh]: renderCompletions().zsh });
  execFileSync('zsh', ['-f', '-n', join(folder, FILES.zsh)]);
  const script = `fpath=("$1" $fpath); autoload -U compinit; compinit -D -u
    print -r -- $_comps[client-keystone-auth] $_comps[kubectl-keystone_auth]`;
  const env = { PATH: '/usr/bin:/bin', HOME: folder };
  const text = execFileSync('zsh', ['-f', '-c', script, 'zsh', folder], { encoding: 'utf8', env });
  t.equal(text, `${FILES.zsh} ${FILES.zsh}\n`, 'compinit finds it under both names');
  // zsh -n does not check the arguments of _arguments, so a function of that name prints them.
  const words = `_arguments() { print -r -l -- "$@"; }; . "$1"`;
  const specs = execFileSync('zsh', ['-f', '-c', words, 'zsh', join(folder, FILES.zsh)], { encoding: 'utf8', env });
  t.strictSame(
    new Set(specs.split('\n').flatMap((line) => /^(--?[\w-]+)[=+]?\[/.exec(line)?.[1] ?? [])),
    new Set([...flags, ...ALL_COMMANDS.flatMap(({ options }) => options.flatMap(listFlagNames))]),
  );
  t.match(specs, `1::command:(${firstWords.join(' ')})\n`);
  t.match(specs, ':value:(file keyring none)\n');
  t.match(specs, /^--cacert=\[.*\]:value:_files$/m);
});

const noFish = skipWithout('fish', () => canRun('fish', '--version'));

await t.test('fish completes with the packaged file', { skip: noFish }, async (t) => {
  const folder = t.testdir({ [FILES.fish]: renderCompletions().fish });
  const file = join(folder, FILES.fish);
  execFileSync('fish', ['-n', file]);
  const complete = (line: string): string[] =>
    execFileSync('fish', ['--no-config', '-c', `source ${file}; complete -C '${line}'`], {
      encoding: 'utf8',
      env: { PATH: '/usr/bin:/bin', HOME: folder },
    })
      .split('\n')
      .flatMap((suggestion) => (suggestion === '' ? [] : [suggestion.split('\t')[0] ?? '']));
  for (const name of ['client-keystone-auth', 'kubectl-keystone_auth']) {
    t.strictSame(complete(`${name} --cache-storage `), ['file', 'keyring', 'none']);
    t.strictSame(complete(`${name} wh`), ['whoami']);
    t.strictSame(complete(`${name} whoami --output `), ['json', 'text', 'yaml']);
    t.strictSame(complete(`${name} --`).toSorted(), flags.filter((flag) => flag.startsWith('--')).toSorted());
  }
});

await t.test('the PowerShell script contains all words', async (t) => {
  t.ok(SHELLS.includes('powershell'));
  const script = renderCompletion('powershell', ALL_COMMANDS);
  for (const word of [...firstWords, ...flags]) t.ok(script.includes(`'${word}'`), word);
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
