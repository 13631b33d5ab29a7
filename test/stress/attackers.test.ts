/**
 * Another user of the same machine tries to get the token, to make the plugin use another token, or to make the login
 * fail. The attacker can do what the kernel allows, at worst while the cache folder was open for a moment. The tests
 * use two real uids and the built plugin, because only the kernel decides what is allowed.
 */
import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import type { Test } from 'tap';
import { serializeRecord } from '../../src/plugin/cache/token-record.ts';
import { forgetSubstitutesOf } from '../support/substitute-folders.ts';
import { FULL_SIZE } from '../support/stress.ts';
import { checkNoProblems, parseToken, PATIENT, startProgram } from '../support/stress.ts';
import { canRun, skipWithout } from '../support/missing-tools.ts';
import { OTHER_USERS } from '../support/other-users.ts';
import { makeLoginSettings, startKeystoneForTest } from '../support/check-run.ts';
import { PLUGIN_COMMAND } from '../support/run-plugin.ts';
import { makeExecInfo, makeEnvironment } from '../support/home.ts';
import type { RunResult } from '../support/run-plugin.ts';
import type { LoginSettings } from '../support/login-settings.ts';
import { HANG_GUARD_MS } from '../support/wait-until.ts';

const { victim: VICTIM, attacker: ATTACKER } = OTHER_USERS.attackers;
const CANARY = 'canary-of-the-victim';
const EVIL = 'gAAAAABevil';
/** What an attack prints when it has taken a lock. */
const LOCKED = 'the lock is taken';

const skipReason = skipWithout(
  'another user (root and setpriv)',
  () => process.geteuid?.() === 0 && canRun('setpriv', '--version'),
);
const as = (uid: number): string[] => ['setpriv', `--reuid=${uid}`, `--regid=${uid}`, '--clear-groups'];

/** Runs an attack and returns its output. */
function attack(script: string, env: Readonly<Record<string, string>>): string {
  const [, ...words] = [...as(ATTACKER), 'sh', '-c', `exec 2>&1\n${script}`];
  try {
    return execFileSync('setpriv', words, {
      env: { PATH: process.env['PATH'], ...env },
      encoding: 'utf8',
      timeout: HANG_GUARD_MS,
    });
  } catch (error) {
    return error instanceof Error && 'stdout' in error ? String(error.stdout) : '';
  }
}

interface Victim {
  readonly home: string;
  readonly cache: string;
  readonly canary: string;
  readonly tokens: ReadonlySet<string>;
  run(extra?: Readonly<Record<string, string>>, umask?: string): Promise<RunResult>;
  /** Removes what took the place of its cache folder. */
  forgetSubstitutes(): void;
  /** Checks a run, the canary, and the output of an attack. */
  listProblems(result: RunResult, leak?: string, warnings?: number): string[];
}

function own(uid: number, path: string, mode?: number): void {
  chownSync(path, uid, uid);
  if (mode !== undefined) chmodSync(path, mode);
}

async function setUpVictim(t: Test): Promise<Victim> {
  const standIn = await startKeystoneForTest(t);
  const tokens = new Set<string>();
  standIn.answerAlways((_request, response, { makeDefaultResponse }) => {
    const { status, headers, body } = makeDefaultResponse();
    tokens.add(headers['x-subject-token'] ?? '');
    response.writeHead(status, headers).end(JSON.stringify(body));
  }, 'POST /v3/auth/tokens');
  const home = mkdtempSync(join(tmpdir(), 'cka-victim-'));
  own(VICTIM, home, 0o755);
  const canary = join(home, 'canary');
  writeFileSync(canary, CANARY, { mode: 0o600 });
  own(VICTIM, canary);
  const plain = makeEnvironment(
    { path: home, cache: '', remove: () => undefined },
    { ...makeLoginSettings(`${standIn.url}/v3`), KUBERNETES_EXEC_INFO: makeExecInfo() },
  );
  const environments = [plain];
  const forgetSubstitutes = (): void => {
    for (const env of environments) forgetSubstitutesOf(VICTIM, home, { env });
  };
  t.teardown(() => {
    forgetSubstitutes();
    rmSync(home, { recursive: true, force: true });
  });
  return {
    home,
    cache: join(home, '.cache', 'client-keystone-auth'),
    canary,
    tokens,
    run(extra = {}, umask = '022') {
      const env = { ...plain, ...extra };
      environments.push(env);
      const shell = [...as(VICTIM), 'sh', '-c', `umask ${umask}; exec "$@"`, 'sh'];
      return startProgram([...shell, ...PLUGIN_COMMAND, ...PATIENT], env).ended;
    },
    forgetSubstitutes,
    listProblems({ status, stdout, stderr }, leak = '', warnings = 1) {
      const lines = stderr.split('\n').length - 1;
      return [
        ...(status === 0 ? [] : [`status ${String(status)}: ${stderr}`]),
        ...(tokens.has(parseToken(stdout) ?? '') ? [] : [`stdout: ${stdout}`]),
        ...(lines <= warnings ? [] : [`${lines} lines: ${stderr}`]),
        ...(readFileSync(canary, 'utf8') === CANARY ? [] : ['the canary was written']),
        ...(leak.includes(LOCKED) ? [LOCKED] : []),
        ...(leak.includes(CANARY) || [...tokens].some((token) => leak.includes(token)) ? [`leak: ${leak}`] : []),
      ];
    },
  };
}

await t.test('another user cannot read, list, change or lock the cache files', { skip: skipReason }, async (t) => {
  const victim = await setUpVictim(t);
  const problems: string[] = [];
  for (const umask of ['000', '022', '077']) {
    rmSync(join(victim.home, '.cache'), { recursive: true, force: true });
    problems.push(...victim.listProblems(await victim.run({}, umask), '', 0));
    t.equal(statSync(victim.cache).mode & 0o777, 0o700, `umask ${umask}: the folder`);
    for (const name of readdirSync(victim.cache)) {
      t.equal(statSync(join(victim.cache, name)).mode & 0o777, 0o600, `umask ${umask}: ${name}`);
    }
    const files = readdirSync(victim.cache).map((name) => join(victim.cache, name));
    const lock = files.find((name) => name.endsWith('.lock')) ?? '';
    const env = {
      FILES: files.join(' '),
      CACHE: victim.cache,
      LOCK: lock,
      LOCKED,
      NODE: process.execPath,
      ATTACKER: String(ATTACKER),
    };
    const scripts = {
      read: 'cat $FILES',
      list: 'ls -la "$CACHE"; cat "$CACHE"/*',
      write: 'for f in $FILES; do echo evil > "$f"; echo evil >> "$f"; done',
      remove: 'rm -rf "$CACHE"; rm -f $FILES; mv "$CACHE" "$CACHE.old"',
      plant: 'ln -s /dev/zero "$CACHE/x"; mkfifo "$CACHE/y"; touch "$CACHE/z"',
      link: 'for f in $FILES; do ln "$f" /tmp/cka-stolen-$$; cat /tmp/cka-stolen-$$; done; rm -f /tmp/cka-stolen-$$',
      change: 'chmod 777 "$CACHE" $FILES; chown "$ATTACKER" $FILES; chattr +i $FILES',
      flock: 'flock -n "$LOCK" echo "$LOCKED"; flock -n "$CACHE" echo "$LOCKED"',
      sqlite: `"$NODE" -e 'new (require("node:sqlite").DatabaseSync)(process.env.LOCK).exec("BEGIN EXCLUSIVE"); console.log(process.env.LOCKED)'`,
    };
    // A shortened run checks only the modes for the other masks.
    if (!FULL_SIZE && umask !== '000') continue;
    for (const [name, script] of Object.entries(scripts)) {
      const leak = attack(script, env);
      const problem = victim.listProblems(await victim.run(), leak, 0);
      problems.push(...problem.map((text) => `${name}, umask ${umask}: ${text}`));
    }
  }
  t.ok(victim.tokens.size <= 3, 'no attack caused another login');
  checkNoProblems(t, problems, `9 attacks: ${problems.length} reads, writes or blocked logins`);
});

/** What an attacker can plant in place of a cache file. */
const PLANTS: Readonly<Record<string, string>> = {
  'a link to the canary': 'ln -s "$CANARY" "$FILE"',
  'a link to nowhere': 'ln -s "$CACHE/../nowhere" "$FILE"',
  'a hard link': 'echo evil > "$CACHE/mine"; chmod 666 "$CACHE/mine"; ln "$CACHE/mine" "$FILE"',
  'a fifo': 'mkfifo -m 666 "$FILE"',
  'a folder': 'mkdir "$FILE"',
  'a full folder': 'mkdir "$FILE"; touch "$FILE/x"',
  'an open file': 'echo evil > "$FILE"; chmod 644 "$FILE"',
  'a forged record': 'cat "$FORGED" > "$FILE"; chmod 644 "$FILE"',
  'a closed file': 'echo evil > "$FILE"; chmod 000 "$FILE"',
};

await t.test(
  'an open folder is not used; once it is closed, planted files are replaced',
  { skip: skipReason },
  async (t) => {
    const victim = await setUpVictim(t);
    const problems: string[] = [];
    let replaced = 0;
    let cases = 0;
    const forged = join(victim.home, 'forged');
    await victim.run();
    const filled = join(victim.home, 'filled');
    renameSync(join(victim.home, '.cache'), filled);
    for (const [index, [plant, script]] of Object.entries(PLANTS).entries()) {
      const kinds = ['.token', '.alias', '.lock', 'handed-out'];
      for (const kind of FULL_SIZE ? kinds : kinds.filter((_, position) => (position + index) % 2 === 0)) {
        rmSync(join(victim.home, '.cache'), { recursive: true, force: true });
        victim.forgetSubstitutes();
        execFileSync('cp', ['-a', filled, join(victim.home, '.cache')]);
        const name = readdirSync(victim.cache).find((file) => file.endsWith(kind)) ?? '';
        const file = join(victim.cache, name);
        const now = Date.now();
        const record = { token: EVIL, receivedAt: now, expiresAt: now + 3_600_000, endpoint: 'http://127.0.0.1:1/v3' };
        writeFileSync(forged, serializeRecord(name.replace('.token', ''), record), { mode: 0o644 });
        rmSync(file);
        chmodSync(join(victim.home, '.cache'), 0o755);
        chmodSync(victim.cache, 0o777);
        const env = { CANARY: victim.canary, FILE: file, CACHE: victim.cache, FORGED: forged };
        attack(script, env);
        t.equal(lstatSync(file).uid, ATTACKER, `${plant} as ${kind}`);
        // Only a cache miss uses the lock file.
        if (kind === '.lock')
          readdirSync(victim.cache)
            .filter((other) => other.endsWith('.token'))
            .forEach((other) => {
              rmSync(join(victim.cache, other));
            });
        cases += 1;
        const unstored = await victim.run();
        problems.push(...victim.listProblems(unstored).map((text) => `${plant} as ${kind}, open: ${text}`));
        if (!unstored.stderr.includes('chmod 700')) problems.push(`${plant} as ${kind}: ${unstored.stderr}`);
        // What the warning says.
        chmodSync(victim.cache, 0o700);
        victim.forgetSubstitutes();
        const first = await victim.run();
        const leak = attack('cat "$CANARY" "$FILE"', env);
        const second = await victim.run();
        problems.push(
          ...[...victim.listProblems(first, leak), ...victim.listProblems(second)].map(
            (text) => `${plant} as ${kind}: ${text}`,
          ),
        );
        if (second.stderr === '' && first.stderr === '' && second.stdout === first.stdout) replaced += 1;
        else if (!plant.endsWith('folder')) problems.push(`${plant} as ${kind}: not replaced: ${second.stderr}`);
      }
    }
    checkNoProblems(t, problems, `${cases} plants: ${problems.length} problems, ${replaced} replaced by the next run`);
  },
);

interface Layout {
  readonly name: string;
  /** Whether the plugin stores tokens there; otherwise another folder takes its place. */
  readonly isSafe: boolean;
  /** Changes an ordinary home; can return more variables for the environment. */
  readonly make: (home: string) => LoginSettings | undefined;
}

const change = (home: string, mode: number): undefined => {
  chmodSync(home, mode);
};

const dotCache = (home: string, mode: number, uid = VICTIM): undefined => {
  mkdirSync(join(home, '.cache'));
  own(uid, join(home, '.cache'), mode);
};
const folderIn = (parent: string, uid: number, mode = 0o700): string => {
  const path = join(parent, 'client-keystone-auth');
  mkdirSync(path);
  own(uid, path, mode);
  return path;
};

const LAYOUTS: readonly Layout[] = [
  { name: 'an ordinary home', isSafe: true, make: () => undefined },
  { name: 'a home that all users can write to', isSafe: false, make: (home) => change(home, 0o777) },
  { name: 'a home that its group can write to', isSafe: false, make: (home) => change(home, 0o775) },
  { name: 'a sticky home', isSafe: true, make: (home) => change(home, 0o1777) },
  {
    name: 'an open .cache in a closed home',
    isSafe: true,
    make(home) {
      dotCache(home, 0o777);
      chmodSync(home, 0o700);
      return undefined;
    },
  },
  { name: 'an open .cache in an open home', isSafe: false, make: (home) => dotCache(home, 0o777) },
  { name: "another user's .cache", isSafe: false, make: (home) => dotCache(home, 0o777, ATTACKER) },
  {
    name: 'a .cache that links to a safe folder',
    isSafe: true,
    make(home) {
      mkdirSync(join(home, 'elsewhere'));
      own(VICTIM, join(home, 'elsewhere'), 0o755);
      symlinkSync('elsewhere', join(home, '.cache'));
      own(0, home);
      chownSync(home, VICTIM, VICTIM);
      return undefined;
    },
  },
  {
    name: "a .cache that links to another user's folder",
    isSafe: false,
    make(home) {
      mkdirSync(join(home, 'theirs'));
      own(ATTACKER, join(home, 'theirs'), 0o777);
      symlinkSync('theirs', join(home, '.cache'));
      return undefined;
    },
  },
  {
    name: "another user's folder in .cache",
    isSafe: false,
    make(home) {
      dotCache(home, 0o755);
      folderIn(join(home, '.cache'), ATTACKER, 0o777);
      return undefined;
    },
  },
  {
    name: 'a link in place of the folder',
    isSafe: false,
    make(home) {
      dotCache(home, 0o755);
      renameSync(folderIn(join(home, '.cache'), VICTIM), join(home, '.cache', 'real'));
      symlinkSync('real', join(home, '.cache', 'client-keystone-auth'));
      return undefined;
    },
  },
  {
    name: 'a file in place of the folder',
    isSafe: false,
    make(home) {
      dotCache(home, 0o755);
      writeFileSync(join(home, '.cache', 'client-keystone-auth'), '');
      return undefined;
    },
  },
  {
    name: "another user's folder in a sticky folder",
    isSafe: false,
    make(home) {
      chmodSync(home, 0o1777);
      folderIn(home, ATTACKER, 0o777);
      return { XDG_CACHE_HOME: home };
    },
  },
  {
    name: 'a folder of the user that is open to others',
    isSafe: false,
    make(home) {
      dotCache(home, 0o755);
      folderIn(join(home, '.cache'), VICTIM, 0o1777);
      return undefined;
    },
  },
  {
    name: "another user's link behind a link of the user",
    isSafe: false,
    make(home) {
      mkdirSync(join(home, 'mine'));
      own(VICTIM, join(home, 'mine'), 0o700);
      mkdirSync(join(home, 'sticky'));
      own(VICTIM, join(home, 'sticky'), 0o1777);
      attack('ln -s ../mine "$HOME_OF_VICTIM/sticky/theirs"', { HOME_OF_VICTIM: home });
      symlinkSync('sticky/theirs', join(home, '.cache'));
      return undefined;
    },
  },
  {
    name: "another user's link in a sticky folder",
    isSafe: false,
    make(home) {
      chmodSync(home, 0o1777);
      mkdirSync(join(home, 'mine'));
      own(VICTIM, join(home, 'mine'), 0o700);
      attack('ln -s mine "$HOME_OF_VICTIM/link"', { HOME_OF_VICTIM: home });
      return { XDG_CACHE_HOME: join(home, 'link') };
    },
  },
];

await t.test('an unsafe folder gets no files and causes one warning', { skip: skipReason }, async (t) => {
  const problems: string[] = [];
  for (const { name, isSafe, make } of LAYOUTS) {
    const victim = await setUpVictim(t);
    const extra = make(victim.home) ?? {};
    const first = await victim.run(extra);
    const leak = attack('find "$HOME_OF_VICTIM" -type f -exec cat {} +', { HOME_OF_VICTIM: victim.home });
    const second = await victim.run(extra);
    problems.push(
      ...[...victim.listProblems(first, leak), ...victim.listProblems(second)].map((text) => `${name}: ${text}`),
    );
    if (first.stdout !== second.stdout) problems.push(`${name}: not stored`);
    if (isSafe !== (first.stderr === '')) problems.push(`${name}: stderr: ${first.stderr}`);
    if (!isSafe && !first.stderr.includes('is used instead')) problems.push(`${name}: stderr: ${first.stderr}`);
    if (second.stderr !== '') problems.push(`${name}: stderr of the second run: ${second.stderr}`);
    const files = readdirSync(victim.home, { recursive: true, encoding: 'utf8' });
    if (!isSafe && files.some((file) => /\.(?:token|alias)$/.test(file))) problems.push(`${name}: written`);
  }
  checkNoProblems(t, problems, `${LAYOUTS.length} layouts: ${problems.length} problems`);
});

await t.test('immutable cache files do not prevent a login', { skip: skipReason }, async (t) => {
  const victim = await setUpVictim(t);
  await victim.run();
  const files = readdirSync(victim.cache).map((name) => join(victim.cache, name));
  if (!canRun('chattr', '+i', ...files)) {
    t.comment('skipped: chattr does not work here');
    return;
  }
  t.teardown(() => canRun('chattr', '-i', ...files));
  t.strictSame(victim.listProblems(await victim.run()), []);
  t.strictSame(victim.listProblems(await victim.run({ OS_PROJECT_NAME: 'db' })), []);
  canRun('chattr', '-i', ...files);
});
