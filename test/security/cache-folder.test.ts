/**
 * Any setting, and thus a kubeconfig, can name any folder as the cache, and `sudo -E` keeps the home of another user. The
 * plugin changes nothing in a folder that is not safe, and in a safe one only its own files.
 */
import {
  chmodSync,
  chownSync,
  lchownSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readlinkSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import type { Test } from 'tap';
import { checkSuccess, makeLoginSettings, startKeystoneForTest } from '../support/check-run.ts';
import { makeEnvironment } from '../support/home.ts';
import { runBundles } from '../support/run-bundles.ts';
import { PLUGIN_COMMAND } from '../support/run-plugin.ts';
import { canRun, skipWithout } from '../support/missing-tools.ts';
import { OTHER_USERS } from '../support/other-users.ts';
import { startProgram } from '../support/stress.ts';
import { forgetSubstitutesOf } from '../support/substitute-folders.ts';

const { alice: ALICE, bob: BOB } = OTHER_USERS.cacheFolder;

const skip = skipWithout('another user (root and setpriv)', () => {
  return process.geteuid?.() === 0 && canRun('setpriv', '--version');
});

/** Names that look like those of the plugin, and are not. */
const FOREIGN = ['old.token', 'old.alias', 'x.refused', 'x.about', '.deadbeef.swp', '.0a.token.x1', 'notes.txt'];

function makeBase(t: Test): string {
  const base = mkdtempSync(join(tmpdir(), 'cka-cache-'));
  t.teardown(() => {
    rmSync(base, { recursive: true, force: true });
  });
  chmodSync(base, 0o755);
  return base;
}

function makeFolder(path: string, mode: number, uid = process.geteuid?.() ?? 0): string {
  mkdirSync(path);
  for (const name of FOREIGN) {
    writeFileSync(join(path, name), name);
    utimesSync(join(path, name), 1_000, 1_000);
    if (process.geteuid?.() === 0) chownSync(join(path, name), uid, uid);
  }
  if (process.geteuid?.() === 0) chownSync(path, uid, uid);
  chmodSync(path, mode);
  return path;
}

/** Lists everything in a folder with its owner, mode, size and time of change. */
function takeSnapshot(folder: string): string[] {
  const names = ['', ...readdirSync(folder, { recursive: true, encoding: 'utf8' })].sort();
  return names.map((name) => {
    const path = join(folder, name);
    const { uid, gid, mode, size, ctimeMs } = lstatSync(path);
    const target = lstatSync(path).isSymbolicLink() ? readlinkSync(path) : '';
    return [name, uid, gid, mode.toString(8), size, ctimeMs, target].join(' ');
  });
}

interface Layout {
  readonly name: string;
  /** Makes an unsafe place, and returns the variables with which the plugin would use it. */
  readonly make: (base: string) => Readonly<Record<string, string>>;
  readonly needsRoot?: true;
}

const CACHE_DIR = 'CLIENT_KEYSTONE_AUTH_CACHE_DIR';

const LAYOUTS: readonly Layout[] = [
  { name: 'a shared folder such as /tmp', make: (base) => ({ [CACHE_DIR]: makeFolder(join(base, 'shared'), 0o1777) }) },
  { name: 'a folder that others can read', make: (base) => ({ [CACHE_DIR]: makeFolder(join(base, 'mine'), 0o755) }) },
  {
    name: 'a new folder in one that others can write to',
    make: (base) => ({ XDG_CACHE_HOME: makeFolder(join(base, 'open'), 0o777) }),
  },
  {
    name: 'the home of another user',
    needsRoot: true,
    make: (base) => ({ HOME: makeFolder(join(base, 'home'), 0o755, ALICE) }),
  },
  {
    name: 'the home of another user, with a cache',
    needsRoot: true,
    make(base) {
      const home = makeFolder(join(base, 'home'), 0o755, ALICE);
      for (const name of ['.cache', '.cache/client-keystone-auth']) makeFolder(join(home, name), 0o700, ALICE);
      return { HOME: home };
    },
  },
  {
    name: "another user's link",
    needsRoot: true,
    make(base) {
      makeFolder(join(base, 'target'), 0o755);
      const sticky = makeFolder(join(base, 'sticky'), 0o1777);
      symlinkSync('../target', join(sticky, '.cache'));
      lchownSync(join(sticky, '.cache'), ALICE, ALICE);
      return { HOME: sticky };
    },
  },
  {
    name: "another user's link in the place of the folder",
    needsRoot: true,
    make(base) {
      makeFolder(join(base, 'target'), 0o755);
      const sticky = makeFolder(join(base, 'sticky'), 0o1777);
      symlinkSync('../target', join(sticky, 'client-keystone-auth'));
      lchownSync(join(sticky, 'client-keystone-auth'), ALICE, ALICE);
      return { XDG_CACHE_HOME: sticky };
    },
  },
];

const COMMANDS = ['explain', 'status', 'logout', 'cache list', 'cache clean', 'cache clean --all', 'whoami', 'doctor'];

for (const { name, make, needsRoot } of LAYOUTS) {
  await t.test(`${name} stays as it is`, { skip: needsRoot ? skip : false }, async (t) => {
    const keystone = await startKeystoneForTest(t);
    const base = makeBase(t);
    const home = { path: join(base, 'own-home'), cache: '', remove: () => undefined };
    mkdirSync(home.path, { mode: 0o700 });
    const env = { ...makeLoginSettings(`${keystone.url}/v3`), ...make(base) };
    const before = takeSnapshot(base);
    const { stderr, ...result } = await runBundles({ home, env });
    checkSuccess(t, { ...result, stderr: '' });
    t.match(stderr, /^[^\n]*; the next run will log in again, unless you [^\n]*--cache-dir[^\n]*\n$/);
    t.strictSame(takeSnapshot(base), before, 'get-token');
    const folder = env[CACHE_DIR];
    if (folder !== undefined)
      await runBundles({ home, env: { ...env, [CACHE_DIR]: '' }, args: ['--cache-dir', folder] });
    rmSync(home.path, { recursive: true });
    mkdirSync(home.path, { mode: 0o700 });
    const beforeCommands = takeSnapshot(base);
    for (const command of COMMANDS) {
      await runBundles({ home, env, args: command.split(' ') });
      t.strictSame(takeSnapshot(base), beforeCommands, command);
    }
  });
}

await t.test('a user leaves nothing in the home of another user, even if that is open', { skip }, async (t) => {
  const keystone = await startKeystoneForTest(t);
  const home = makeFolder(join(makeBase(t), 'home'), 0o777, ALICE);
  const before = takeSnapshot(home);
  const env = makeEnvironment(
    { path: home, cache: '', remove: () => undefined },
    makeLoginSettings(`${keystone.url}/v3`),
  );
  const asBob = ['setpriv', `--reuid=${BOB}`, `--regid=${BOB}`, '--clear-groups'];
  t.teardown(() => {
    forgetSubstitutesOf(BOB, home);
  });
  const { stdout, stderr, status } = await startProgram([...asBob, ...PLUGIN_COMMAND], env).ended;
  t.equal(status, 0);
  t.match(stdout, 'ExecCredential');
  t.match(stderr, `${home} belongs to another user`);
  t.strictSame(takeSnapshot(home), before);
});

await t.test('a command that only reads creates nothing', async (t) => {
  const keystone = await startKeystoneForTest(t);
  const home = { path: makeBase(t), cache: '', remove: () => undefined };
  const env = makeLoginSettings(`${keystone.url}/v3`);
  for (const command of ['explain', 'status', 'logout', 'cache list', 'cache clean', 'cache clean --all']) {
    const { stderr } = await runBundles({ home, env, args: command.split(' ') });
    t.equal(stderr, '', command);
    t.strictSame(readdirSync(home.path), [], command);
  }
});

await t.test('files of others in a safe folder stay', async (t) => {
  const keystone = await startKeystoneForTest(t);
  const base = makeBase(t);
  const home = { path: base, cache: '', remove: () => undefined };
  const folder = makeFolder(join(base, 'private'), 0o700);
  const listForeign = (): string[] => takeSnapshot(folder).filter((line) => FOREIGN.includes(line.split(' ')[0] ?? ''));
  const before = listForeign();
  const env = { ...makeLoginSettings(`${keystone.url}/v3`), [CACHE_DIR]: folder };
  for (const command of ['', ...COMMANDS]) {
    await runBundles({ home, env, args: command === '' ? [] : command.split(' ') });
    t.strictSame(listForeign(), before, command);
  }
  t.ok(
    readdirSync(folder).some((name) => name.endsWith('.lock')),
    'the plugin used the folder',
  );
});
