// What writing a kubeconfig must not change, lose or leave behind: its access control list, attributes and other names,
// its content when the disk is full or the process is killed, and a lock that makes kubectl fail.

import { execFileSync, spawnSync } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  existsSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import type { Test } from 'tap';
import { makeProcessHost } from '../../src/shared/base/host.ts';
import { makeEnvironment, makeTestHome } from '../support/home.ts';
import type { Home } from '../support/home.ts';
import { runInProcess } from '../support/run-in-process.ts';
import type { CommandOutput } from '../support/run-in-process.ts';
import { PLUGIN_COMMAND, runPlugin } from '../support/run-plugin.ts';
import { canRun, skipWithout } from '../support/missing-tools.ts';

const SETTINGS = { OS_AUTH_URL: 'https://keystone.test/v3', OS_USERNAME: 'alice', OS_PROJECT_NAME: 'demo' };
const BEFORE = 'apiVersion: v1\nkind: Config\nclusters:\n- name: demo\n  cluster: {server: "https://a.test"}\n';
const ADD = ['kubeconfig', 'add', '--name', 'new', '--command', '/bin/client-keystone-auth'];

function setUpFile(t: Test): { folder: string; file: string; run: (...args: string[]) => Promise<CommandOutput> } {
  const folder = mkdtempSync(join(tmpdir(), 'cka-writes-'));
  t.teardown(() => rmSync(folder, { recursive: true, force: true }));
  const file = join(folder, 'config');
  writeFileSync(file, BEFORE, { mode: 0o600 });
  const host = makeProcessHost();
  const parts = {
    pid: host.pid,
    identifyProcess: (pid: number) => host.identifyProcess(pid),
    isRunning: (pid: number) => host.isRunning(pid),
    cwd: folder,
    home: () => folder,
  };
  const env = { ...SETTINGS, OS_PASSWORD: 'canary-w7Qz' };
  return { folder, file, run: (...args) => runInProcess({ ...parts, env, argv: [...args, '--kubeconfig', file] }) };
}

const noAcl = skipWithout('setfacl, getfacl, setfattr and getfattr', () => {
  return ['setfacl', 'getfacl', 'setfattr', 'getfattr'].every((program) => canRun(program, '--version'));
});

void t.test('the access control list, attributes, owner and names of a kubeconfig stay', { skip: noAcl }, async (t) => {
  const { folder, file, run } = setUpFile(t);
  const read = (program: string, ...args: readonly string[]): string =>
    execFileSync(program, [...args, file], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] });
  const marked = spawnSync('setfattr', ['-n', 'user.backup', '-v', 'daily', file]);
  const listed = spawnSync('setfacl', ['-m', 'u:65534:r', file]);
  if (marked.status !== 0 || listed.status !== 0) {
    t.comment('this file system has no such attributes');
    return;
  }
  linkSync(file, join(folder, 'other-name'));
  if (process.getuid?.() === 0) chownSync(file, 12_345, 12_345);
  const describe = (): unknown => {
    const { ino, uid, gid, mode, nlink } = statSync(file);
    return [ino, uid, gid, mode, nlink, read('getfacl', '-cpn'), read('getfattr', '-d')];
  };
  const before = describe();
  t.match(await run(...ADD), { status: 0, stderr: '' });
  t.strictSame(describe(), before);
  t.match(readFileSync(join(folder, 'other-name'), 'utf8'), /^current-context|- name: new$/m);
  t.match(await run('kubeconfig', 'remove', 'new'), { status: 0 });
  t.strictSame(describe(), before);
  const copy = `${file}.keystone.bak`;
  t.equal(statSync(copy).mode & 0o777, 0o600);
  t.notMatch(execFileSync('getfacl', ['-cpn', copy], { encoding: 'utf8' }), '65534', 'the copy is for the owner only');

  t.match(await run(...ADD, '--with-secrets'), { status: 0 });
  t.match(readFileSync(file, 'utf8'), 'canary-w7Qz');
  t.match(read('getfacl', '-cpn'), /^mask::---$/m, 'nobody else can read a secret');
});

void t.test('a folder with a default access control list opens no new file', { skip: noAcl }, async (t) => {
  const { folder, file, run } = setUpFile(t);
  if (spawnSync('setfacl', ['-d', '-m', 'u:65534:rwx', folder]).status !== 0) return;
  rmSync(file);
  t.match(await run(...ADD, '--cluster', 'demo', '--server', 'https://a.test'), { status: 0 });
  t.match(await run(...ADD, '--cluster', 'x', '--server', 'https://x.test', '--name', 'y'), { status: 0 });
  for (const name of ['config', 'config.keystone.bak']) {
    const list = execFileSync('getfacl', ['-cpn', join(folder, name)], { encoding: 'utf8' });
    t.match(list, /^mask::---$/m, `${name}: nobody else has access`);
  }
});

void t.test('a file that the user may not write is refused', async (t) => {
  const { file, run } = setUpFile(t);
  chmodSync(file, 0o400);
  const result = await run(...ADD);
  // root can write every file.
  if (process.getuid?.() === 0) t.equal(statSync(file).mode & 0o777, 0o400);
  else t.match(result, { status: 3, stderr: /cannot be written \(EACCES\)/ });
});

void t.test('the lock of a killed run is removed, and no other lock', async (t) => {
  const { folder, file, run } = setUpFile(t);
  const lock = `${file}.lock`;
  const boot = existsSync('/proc/self/ns/pid')
    ? [readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim(), readlinkSync('/proc/self/ns/pid')]
    : ['', ''];
  const machine = [hostname(), ...boot].join(' ');
  const ended = spawnSync('true');
  const holder = { program: 'client-keystone-auth', machine, pid: ended.pid, process: `${ended.pid} 1`, nonce: '0.5' };
  writeFileSync(lock, JSON.stringify(holder));
  t.match(await run(...ADD), { status: 0, stderr: '' });
  t.strictSame(readdirSync(folder).sort(), ['config', 'config.keystone.bak']);

  const own = makeProcessHost();
  const alive = { ...holder, pid: process.pid, process: own.identifyProcess(process.pid)?.id ?? String(process.pid) };
  const others = [
    '',
    'not ours',
    JSON.stringify({ ...holder, program: 'kubectl' }),
    JSON.stringify({ ...holder, machine: `other ${machine}` }),
    JSON.stringify({ ...holder, pid: -1 }),
    JSON.stringify(alive),
  ];
  await Promise.all(
    others.map(async (content) => {
      const { file: other, run: runOther } = setUpFile(t);
      writeFileSync(`${other}.lock`, content);
      t.match(await runOther(...ADD), { status: 3, stderr: /another program is writing .*remove .*config\.lock/ });
      t.equal(readFileSync(`${other}.lock`, 'utf8'), content);
      t.equal(readFileSync(other, 'utf8'), BEFORE);
    }),
  );
});

const noStrace = skipWithout('strace', () => canRun('strace', '-V'));

interface FaultyRun {
  readonly signal: NodeJS.Signals | null;
  readonly status: number | null;
  readonly stderr: string;
  readonly content: string;
  readonly names: readonly string[];
}

/** Runs `kubeconfig add` with a fault at a system call of the main thread. */
function runWithFault(home: Home, fault: string): FaultyRun {
  const folder = join(home.path, fault.replaceAll(/\W/g, '-'));
  mkdirSync(folder);
  const file = join(folder, 'config');
  writeFileSync(file, BEFORE, { mode: 0o600 });
  const name = fault.split(':')[0] ?? '';
  const strace = ['-qq', '-o', '/dev/null', '-e', `trace=${name}`, '-e', `inject=${fault}`];
  const { signal, status, stderr } = spawnSync('strace', [...strace, ...PLUGIN_COMMAND, ...ADD, '--kubeconfig', file], {
    env: makeEnvironment(home, SETTINGS),
    encoding: 'utf8',
  });
  return { signal, status, stderr, content: readFileSync(file, 'utf8'), names: readdirSync(folder).sort() };
}

void t.test('a signal ends the run after the write, and leaves no lock', { skip: noStrace }, async (t) => {
  const home = makeTestHome(t);
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT'] as const) {
    const run = runWithFault(home, `fsync:signal=${signal}:when=4`);
    t.equal(run.signal, signal, `it ends by ${signal}: ${run.stderr}`);
    t.match(run.content, /^- name: new$/m, 'the file is complete');
    t.strictSame(run.names, ['config', 'config.keystone.bak'], 'no lock and no temporary file');
  }
});

void t.test('a killed run leaves the old or the new content, and the next run works', { skip: noStrace }, async (t) => {
  const home = makeTestHome(t);
  const complete = runWithFault(home, 'ftruncate:delay_exit=1').content;
  const faults = ['fsync:1', 'rename:1', 'fsync:3', 'pwrite64:3', 'fsync:4', 'ftruncate:1', 'unlink:1'];
  for (const [name = '', nth = ''] of faults.map((fault) => fault.split(':'))) {
    const fault = `${name}:signal=SIGKILL:when=${nth}`;
    const { signal, content } = runWithFault(home, fault);
    if (signal === null) {
      t.comment(`${fault} is not reached`);
      continue;
    }
    t.ok([BEFORE, complete].includes(`${content.trimEnd()}\n`), `${fault}: ${content}`);
    const file = join(home.path, fault.replaceAll(/\W/g, '-'), 'config');
    const next = await runPlugin({ home, env: SETTINGS, args: [...ADD, '--kubeconfig', file] });
    t.match(next, { status: 0, stderr: '' }, `${fault}: the next run`);
    // Empty lines of the interrupted write can remain.
    t.equal(readFileSync(file, 'utf8').replaceAll(/\n+/g, '\n'), complete);
    t.notOk(existsSync(`${file}.lock`));
  }
});

void t.test('a full or broken disk leaves the old content', { skip: noStrace }, async (t) => {
  const home = makeTestHome(t);
  const faults = ['pwrite64:error=ENOSPC:when=1', 'pwrite64:error=ENOSPC:when=2', 'fsync:error=EIO:when=4'];
  for (const fault of faults) {
    const run = runWithFault(home, fault);
    t.match(run, { status: 3, stderr: /config cannot be written \((?:ENOSPC|EIO)\); / }, fault);
    t.equal(run.content, BEFORE, fault);
    t.strictSame(
      run.names.filter((name) => name !== 'config.keystone.bak'),
      ['config'],
      'no lock and no temporary file',
    );
  }
});
