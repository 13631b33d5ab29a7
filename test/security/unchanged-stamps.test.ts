/**
 * A file can change without a change of its size and its times: on a file system that stores whole seconds, or if another
 * image is mounted in its place. The token must be the one that the file asks for now.
 */
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import type { Test } from 'tap';
import { findCachedCredential } from '../../src/plugin/fast-path/find-cached-credential.ts';
import { getExecCredential } from '../../src/plugin/login/cluster-token.ts';
import { isReliableStamp, stampFile } from '../../src/shared/base/file-stamp.ts';
import type { Host } from '../../src/shared/base/host.ts';
import { startFileWatcher } from '../../src/webhook/sources/file-watcher.ts';
import { waitSilently } from '../../src/shared/base/long-wait.ts';
import { fakeHost } from '../support/fake-host.ts';
import { PASSWORD, startKeystoneForTest } from '../support/stand-in-login.ts';
import { makeVirtualClock } from '../support/virtual-clock.ts';
import { waitUntil } from '../support/wait-until.ts';

/** Two projects of alice; their IDs have the same length. */
const [WEB, DB] = ['c8e48b74036546c5b12bfc798932c4e2', 'b3c86ab0ae364399a0429475e0f753c4'];

const SECOND = 1_000;

/** On a slow machine, most attempts to do something twice within a second fail. */
const ATTEMPTS = 500;

interface Stage {
  readonly host: Host;
  /** The text of a clouds.yaml for a project. */
  readonly makeClouds: (projectId: string) => string;
  readonly countLogins: () => number;
}

/** @param file the clouds.yaml */
async function setUp(t: Test, file: string): Promise<Stage> {
  const keystone = await startKeystoneForTest(t);
  const home = join(t.testdirName, 'home');
  mkdirSync(home, { recursive: true });
  const host = fakeHost({
    uid: process.geteuid?.(),
    env: { OS_CLOUD: 'c', OS_CLIENT_CONFIG_FILE: file, HOME: home },
    home: () => home,
    cwd: home,
    now: Date.now,
  });
  const makeClouds = (projectId: string): string => {
    const user = { username: 'alice', user_domain_name: 'acme', password: PASSWORD };
    return JSON.stringify({
      clouds: { c: { auth: { auth_url: `${keystone.url}/v3`, ...user, project_id: projectId } } },
    });
  };
  return { host, makeClouds, countLogins: () => keystone.requests.filter(({ method }) => method === 'POST').length };
}

/** Runs as main.ts does: the fast path, and then the slow path. */
async function getToken(host: Host): Promise<string> {
  const document =
    findCachedCredential(host) ??
    (await getExecCredential({
      host,
      execInfo: undefined,
      flags: new Map(),
      reporter: {
        warn: () => undefined,
        info: () => undefined,
        progress: () => undefined,
        waitFor: waitSilently,
        debug: () => undefined,
      },
      userAgent: 'test',
      onFastPath: true,
    }));
  return (JSON.parse(document) as { status: { token: string } }).status.token;
}

/** Makes an image of a file system that stores whole seconds, with a folder's files in it. */
function makeImage(path: string, folder?: string): string {
  const content = folder === undefined ? [] : ['-d', folder];
  execFileSync('mkfs.ext2', ['-q', '-I', '128', ...content, path, '1024'], {
    // All times in the image are this one.
    env: { ...process.env, ...(folder === undefined ? {} : { E2FSPROGS_FAKE_TIME: '1000000000' }) },
    stdio: 'ignore',
  });
  return path;
}

async function withMounted(image: string, folder: string, use: () => Promise<void>): Promise<void> {
  execFileSync('mount', ['-o', 'loop', image, folder], { stdio: 'ignore' });
  try {
    await use();
  } finally {
    execFileSync('umount', [folder]);
  }
}

async function canMount(): Promise<boolean> {
  const folder = mkdtempSync(join(tmpdir(), 'cka-mount-'));
  const mountPoint = join(folder, 'mounted');
  mkdirSync(mountPoint);
  try {
    await withMounted(makeImage(join(folder, 'image')), mountPoint, () => Promise.resolve());
    return true;
  } catch {
    return false;
  } finally {
    rmSync(folder, { recursive: true });
  }
}

const skip = (await canMount()) ? false : 'this machine cannot mount images (root, mkfs.ext2, loop devices)';

await t.test(
  'a clouds.yaml that is rewritten within the second gives the token of its project',
  { skip },
  async (t) => {
    const folder = join(t.testdir(), 'mounted');
    mkdirSync(folder);
    const file = join(folder, 'clouds.yaml');
    const { host, makeClouds } = await setUp(t, file);
    let hadSameStamp = false;
    await withMounted(makeImage(join(t.testdirName, 'image')), folder, async () => {
      // On a busy machine, the second may end in between.
      for (let attempt = 0; attempt < ATTEMPTS && !hadSameStamp; attempt += 1) {
        writeFileSync(file, makeClouds(WEB));
        const { stamp } = stampFile(file);
        const ofWeb = await getToken(host);
        writeFileSync(file, makeClouds(DB));
        hadSameStamp = stampFile(file).stamp === stamp;
        t.not(await getToken(host), ofWeb);
        t.not(await getToken({ ...host, now: () => Date.now() + 10 * SECOND }), ofWeb, 'nor later');
      }
    });
    t.ok(hadSameStamp, 'the stamp was the same');
  },
);

await t.test('another image in the same place gives the token of its project', { skip }, async (t) => {
  const folder = join(t.testdir(), 'mounted');
  mkdirSync(folder);
  const file = join(folder, 'clouds.yaml');
  const { host, makeClouds } = await setUp(t, file);
  const contents = [WEB, DB].map((projectId) => join(t.testdirName, projectId));
  for (const content of contents) mkdirSync(content);
  // An image has the time of the last change of a file from there, in seconds. Between the two files, a second may end.
  await waitUntil('two files that were changed in the same second', () => {
    const changedAt = [WEB, DB].map((projectId, index) => {
      const path = join(contents[index] ?? '', 'clouds.yaml');
      writeFileSync(path, makeClouds(projectId));
      utimesSync(path, 1_000_000_000, 1_000_000_000);
      return Math.floor(statSync(path).ctimeMs / SECOND);
    });
    return changedAt[0] === changedAt[1];
  });
  const images = contents.map((content) => makeImage(`${content}.img`, content));
  let hadSameStamp = false;
  // Another program that mounts an image may have got the device in between.
  for (let attempt = 0; attempt < ATTEMPTS && !hadSameStamp; attempt += 1) {
    const runs: { stamp: string; token: string }[] = [];
    for (const image of images) {
      await withMounted(image, folder, async () => {
        runs.push({ stamp: stampFile(file).stamp, token: await getToken(host) });
      });
    }
    hadSameStamp = runs[1]?.stamp === runs[0]?.stamp;
    t.not(runs[1]?.token, runs[0]?.token);
  }
  t.ok(hadSameStamp, 'size, times, inode and device were the same');
});

await t.test('the webhook notices a change within the second', { skip }, async (t) => {
  const folder = join(t.testdir(), 'mounted');
  mkdirSync(folder);
  const path = join(folder, 'policy.json');
  let hadSameStamp = false;
  await withMounted(makeImage(join(t.testdirName, 'image')), folder, () => {
    for (let attempt = 0; attempt < ATTEMPTS && !hadSameStamp; attempt += 1) {
      writeFileSync(path, 'old');
      const { stamp } = stampFile(path);
      const watcher = startFileWatcher({
        files: [{ path, origin: '--keystone-policy-file' }],
        parse: ([text]) => text,
        intervalMs: SECOND,
        clock: makeVirtualClock(),
        onChange: () => undefined,
        onConfirmed: () => undefined,
      });
      t.equal(watcher.current(), 'old');
      writeFileSync(path, 'new');
      hadSameStamp = stampFile(path).stamp === stamp;
      watcher.check();
      t.equal(watcher.current(), 'new');
      watcher.close();
    }
    return Promise.resolve();
  });
  t.ok(hadSameStamp, 'the stamp was the same');
});

await t.test('a file that was written a moment ago is read again, and later it is not', async (t) => {
  const file = join(t.testdir(), 'clouds.yaml');
  const { host, makeClouds, countLogins } = await setUp(t, file);
  writeFileSync(file, makeClouds(WEB));
  const { stamp } = stampFile(file);
  const changedAt = Number(stamp.split(' ')[2]) / 1e6;
  const at = (ms: number): Host => ({ ...host, now: () => changedAt + ms });
  const token = await getToken(at(1 * SECOND));
  t.equal(findCachedCredential(at(1 * SECOND)), undefined, 'the fast path does not trust the stamp');
  t.equal(await getToken(at(2 * SECOND)), token);
  t.equal(findCachedCredential(at(2 * SECOND)), undefined);
  t.equal(await getToken(at(2.1 * SECOND)), token);
  t.match(findCachedCredential(at(2.1 * SECOND)), token, 'now the fast path does');
  t.equal(countLogins(), 1);
});

await t.test('a stamp is reliable if its time of change has a fraction and is old enough', (t) => {
  const now = 1_800_000_000_000;
  const check = (ctimeNs: bigint): boolean => isReliableStamp({ path: '/file', stamp: `1 5 ${ctimeNs} 2 3` }, now);
  const second = 1_000_000_000n;
  const ns = BigInt(now) * 1_000_000n;
  t.equal(check(ns - 3n * second - 1n), true);
  t.equal(check(ns - 2n * second + 1_000_000n), false, 'younger than two seconds');
  t.equal(check(ns - 3n * second), false, 'a whole second');
  t.equal(check(0n), false, 'the time of the image of a container');
  t.equal(check(ns + second + 1n), false, 'in the future');
  for (const stamp of ['absent', 'EACCES']) t.equal(isReliableStamp({ path: '/file', stamp }, now), true);
  t.end();
});
