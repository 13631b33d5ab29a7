/**
 * Containers and machines where a user has no private home: how many logins one typo costs, whether the token is cached,
 * and what the user reads. A real kubectl runs the plugin as the arbitrary user of an OpenShift pod, in a mount namespace
 * that has the folders of the pod.
 */
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import type { Test } from 'tap';
import { listFallbackFolders } from '../../src/plugin/cache/fallback-folders.ts';
import { fakeHost } from '../support/fake-host.ts';
import { GET_PODS_ARGS, makeAliceSettings, POD_LINE, setUpKubectl } from '../support/kubectl-fixture.ts';
import type { KubectlFixture } from '../support/kubectl-fixture.ts';
import type { EnvVars } from '../support/home.ts';
import { canRun, requireKubectl, skipWithout } from '../support/missing-tools.ts';
import { OTHER_USERS } from '../support/other-users.ts';
import { PLUGIN_PATH } from '../support/run-plugin.ts';
import { stopClock } from '../support/stopped-clock.ts';
import { findTestEnvironment } from '../support/test-environment.ts';
import type { TestEnvironment } from '../support/test-environment.ts';

const POD_UID = 1_000_650_000;
const FS_GROUP = 1_000_650_000;
const { neighbor: NEIGHBOR } = OTHER_USERS.podLayouts;

const kubectl = await requireKubectl('new');
const environment = findTestEnvironment();

/** What a layout has, besides a `/tmp` that cannot be written to. */
interface Pod {
  /** A folder of the test, which is the home unless `env` says otherwise. */
  readonly home: string;
  /** `/dev/shm` of the pod. */
  readonly shm: string;
}

interface Layout {
  readonly name: string;
  /** Prepares the folders, and returns the variables of kubectl. */
  readonly make: (pod: Pod) => EnvVars;
  /** Commands that mount more, for the shell; `$HOME_FOLDER` and `$SHM` name the folders. */
  readonly mount?: string;
  /** Logins for one kubectl command with a wrong password. Default: 1. */
  readonly loginsForTypo?: number;
  readonly isCached: boolean;
  /** The warning; undefined if there is none. */
  readonly warning?: RegExp;
}

function make(path: string, mode: number, uid = 0, gid = 0): string {
  mkdirSync(path, { recursive: true });
  chownSync(path, uid, gid);
  // Linux clears the setgid bit when the owner changes.
  chmodSync(path, mode);
  return path;
}

/** What the kubelet makes of an emptyDir with `fsGroup`. */
const makeEmptyDir = (path: string): string => make(path, 0o2777, 0, FS_GROUP);

const REMEDY = /unless you set CLIENT_KEYSTONE_AUTH_CACHE_DIR \(--cache-dir\) to a folder that only you can access$/;
const INSTEAD = `/dev/shm/client-keystone-auth-${POD_UID}-[0-9a-f]{12} is used instead, `;
const AGAIN = 'the next run will log in again, ';
const warn = (reason: string, consequence: string): RegExp =>
  new RegExp(`^client-keystone-auth: warning: .*${reason}.*; ${consequence}${REMEDY.source}`);

const READ_ONLY_HOME = 'mount -o remount,bind,ro "$HOME_FOLDER"';
const READ_ONLY_SHM = 'mount -o remount,bind,ro /dev/shm';

const LAYOUTS: readonly Layout[] = [
  {
    name: 'a home of its own',
    make: ({ home }) => ({ HOME: make(home, 0o700, POD_UID) }),
    isCached: true,
  },
  {
    name: 'HOME and XDG_CACHE_HOME on an emptyDir (2777 root:fsGroup)',
    make: ({ home }) => ({ HOME: makeEmptyDir(home), XDG_CACHE_HOME: home }),
    isCached: true,
    warning: warn('can be written by other users', INSTEAD),
  },
  {
    name: 'HOME on a volume of a group (2775 root:fsGroup)',
    make: ({ home }) => ({ HOME: make(home, 0o2775, 0, FS_GROUP) }),
    isCached: true,
    warning: warn('can be written by other users', INSTEAD),
  },
  {
    name: 'the cache folder in /dev/shm, as the documents suggest',
    make: ({ home }) => ({
      HOME: makeEmptyDir(home),
      CLIENT_KEYSTONE_AUTH_CACHE_DIR: '/dev/shm/client-keystone-auth',
    }),
    isCached: true,
  },
  {
    name: 'HOME=/',
    make: () => ({ HOME: '/' }),
    isCached: true,
    warning: warn('EACCES', INSTEAD),
  },
  {
    name: 'no HOME',
    make: () => ({ HOME: undefined }),
    isCached: true,
    warning: warn('(?:there is no home folder to store the token in|EACCES)', INSTEAD),
  },
  {
    name: 'a read-only HOME',
    make: ({ home }) => ({ HOME: make(home, 0o700, POD_UID) }),
    mount: READ_ONLY_HOME,
    isCached: true,
    warning: warn('EROFS', INSTEAD),
  },
  {
    name: 'a full disk',
    make: ({ home }) => ({ HOME: make(home, 0o700, POD_UID) }),
    mount: `mount -t tmpfs -o size=64k,mode=700,uid=${POD_UID} tmpfs "$HOME_FOLDER"; cat /dev/zero >"$HOME_FOLDER/file" 2>/dev/null || true`,
    isCached: true,
    warning: warn('(?:ENOSPC|disk is full)', INSTEAD),
  },
  {
    name: 'the home of another user',
    make: ({ home }) => ({ HOME: make(home, 0o777, NEIGHBOR) }),
    isCached: true,
    warning: warn('belongs to another user', INSTEAD),
  },
  {
    name: 'a substitute that a neighbor made first',
    make({ home, shm }) {
      // The name does not depend on secrets, so a neighbor can know it.
      const places = listFallbackFolders(fakeHost({ uid: POD_UID, home: () => home, temporaryFolders: [shm] }));
      for (const { path } of places) make(path, 0o777, NEIGHBOR);
      return { HOME: make(home, 0o777, NEIGHBOR) };
    },
    isCached: false,
    warning: warn('belongs to another user', AGAIN),
  },
  {
    name: 'an emptyDir as the only folder that can be written to',
    make: ({ home }) => ({ HOME: makeEmptyDir(home) }),
    mount: READ_ONLY_SHM,
    isCached: false,
    warning: warn('can be written by other users', AGAIN),
  },
  {
    name: 'an emptyDir at /dev/shm, and HOME=/',
    make({ shm }) {
      makeEmptyDir(shm);
      return { HOME: '/' };
    },
    isCached: false,
    warning: warn('EACCES', AGAIN),
  },
  {
    name: 'the cache "none"',
    make: ({ home }) => ({ HOME: makeEmptyDir(home), CLIENT_KEYSTONE_AUTH_CACHE_STORAGE: 'none' }),
    isCached: false,
  },
  {
    name: 'no folder that can be written to',
    make: ({ home }) => ({ HOME: makeEmptyDir(home) }),
    mount: `${READ_ONLY_HOME}; ${READ_ONLY_SHM}`,
    isCached: false,
    // Nothing is left that can remember, so this counts what kubectl does.
    loginsForTypo: 6,
    warning: warn('can be written by other users', AGAIN),
  },
];

/**
 * Makes a kubectl that a shell of the user runs in the pod. A mount makes kubectl accessible, which is in the cache of the
 * developer.
 */
function makePodKubectl(base: string, pod: Pod, { mount = ':' }: Layout, program: string): string {
  const inPod = join(base, 'kubectl');
  writeFileSync(inPod, '');
  const wrapper = join(base, 'kubectl-in-pod');
  const script = `#!/bin/sh
set -e
exec unshare -m sh -e -c '
mount --make-rprivate /
mount --bind "$SHM" /dev/shm
mount --bind /tmp /tmp
mount -o remount,bind,ro /tmp
mount --bind "$HOME_FOLDER" "$HOME_FOLDER"
mount -o remount,bind,rw "$HOME_FOLDER"
mount --bind "$PROGRAM" "$IN_POD"
${mount}
cd /
exec setpriv --reuid=${POD_UID} --regid=0 --groups=${FS_GROUP} --no-new-privs sh -c '\\''"$@"; exit $?'\\'' sh "$IN_POD" "$@"
' sh "$@"
`;
  const assignments = { PROGRAM: program, IN_POD: inPod, SHM: pod.shm, HOME_FOLDER: pod.home };
  const exports = Object.entries(assignments).map(([name, value]) => `export ${name}='${value}'`);
  writeFileSync(wrapper, script.replace('set -e\n', `set -e\n${exports.join('\n')}\n`), { mode: 0o700 });
  return wrapper;
}

interface PodFixture {
  readonly fixture: KubectlFixture;
  readonly pod: Pod;
  readonly run: (env?: EnvVars) => ReturnType<KubectlFixture['kubectl']>;
}

async function setUpPod(t: Test, environment: TestEnvironment, layout: Layout, program: string): Promise<PodFixture> {
  const base = mkdtempSync(join(tmpdir(), 'cka-pod-'));
  t.teardown(() => {
    rmSync(base, { recursive: true, force: true });
  });
  chmodSync(base, 0o755);
  const pod = { home: make(join(base, 'home'), 0o755), shm: make(join(base, 'shm'), 0o1777) };
  const variables = layout.make(pod);
  const fixture = await setUpKubectl(t, environment, { program: makePodKubectl(base, pod, layout, program) });
  chmodSync(fixture.home.path, 0o755);
  const { OS_PASSWORD: correct, ...env } = makeAliceSettings(environment, fixture);
  await fixture.writeKubeconfig({ command: PLUGIN_PATH, env });
  chmodSync(join(fixture.home.path, 'kubeconfig'), 0o644);
  return {
    fixture,
    pod,
    run: (env = {}) =>
      fixture.kubectl(GET_PODS_ARGS, { env: { ...variables, OS_PASSWORD: correct, ...env }, cwd: '/' }),
  };
}

/** The lines of the plugin. What kubectl says of a kuberc that it cannot read ends without a line break. */
const listLines = (stderr: string): readonly string[] => stderr.match(/client-keystone-auth: .*/g) ?? [];

function checkWarnings(t: Test, lines: readonly string[], { warning }: Layout, name: string): void {
  const warnings = lines.filter((line) => line.includes('warning:'));
  t.equal(warnings.length, warning === undefined ? 0 : 1, `${name}: one warning at most`);
  if (warning !== undefined) t.match(warnings[0], warning, name);
}

async function checkLayout(t: Test, environment: TestEnvironment, layout: Layout, program: string): Promise<void> {
  const { fixture, pod, run } = await setUpPod(t, environment, layout, program);
  const { loginsForTypo = 1, isCached } = layout;

  // The refusal is remembered for half a minute, and kubectl may need longer.
  const clock = stopClock(fixture.home);
  chmodSync(join(fixture.home.path, 'stopped-clock.cjs'), 0o644);
  const wrong = listLines((await run({ ...clock, OS_PASSWORD: 'canary-wrong' })).stderr);
  const failures = wrong.filter((line) => line.includes('refused the login for alice'));
  t.ok(failures.length > 1, `kubectl runs a failing plugin several times: ${wrong.join('\n')}`);
  const count = fixture.countLogins();
  if (loginsForTypo === 1) {
    t.equal(count, 1, 'one login for one typo');
    checkWarnings(t, wrong, layout, 'a wrong password');
  } else {
    t.equal(count, failures.length, 'each run logs in');
    t.ok(count <= loginsForTypo, `${count} logins`);
  }

  const first = await run();
  t.match(first, { status: 0, stdout: POD_LINE }, `the correct password is tried immediately: ${first.stderr}`);
  checkWarnings(t, listLines(first.stderr), layout, 'the first command');
  const second = await run();
  t.match(second, { status: 0, stdout: POD_LINE }, second.stderr);
  t.equal(fixture.countLogins(), count + (isCached ? 1 : 2), isCached ? 'the token is cached' : 'it is not cached');
  if (isCached) t.strictSame(listLines(second.stderr), [], 'a cached token needs no warning');
  t.comment(
    `${layout.name}: ${count} login(s) for a typo in ${failures.length} runs, ${isCached ? 'cached' : 'not cached'}; ` +
      (listLines(first.stderr)[0] ?? 'no message'),
  );
  checkFolders(t, pod);
}

/** Whatever the plugin leaves is closed to others. */
function checkFolders(t: Test, { home, shm }: Pod): void {
  for (const folder of [home, shm]) {
    for (const name of readdirSync(folder, { recursive: true, encoding: 'utf8' })) {
      const path = join(folder, name);
      if (!name.includes('client-keystone-auth') || !existsSync(path)) continue;
      const stats = statSync(path);
      if (stats.uid === POD_UID) t.equal(stats.mode & 0o077, 0, `${path} is private`);
    }
  }
}

const skip = skipWithout('another user in a mount namespace (root, unshare and setpriv)', () => {
  return process.geteuid?.() === 0 && canRun('setpriv', '--version') && canRun('unshare', '-m', 'true');
});

for (const layout of LAYOUTS) {
  const missing = 'missing' in kubectl ? kubectl.missing : 'missing' in environment ? environment.missing : skip;
  await t.test(layout.name, { skip: missing }, async (t) => {
    if ('missing' in kubectl || 'missing' in environment) return;
    await checkLayout(t, environment, layout, kubectl.path);
  });
}
