/** A build that runs is told apart from one that is missing, because CI may skip tests only for the former. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import t from 'tap';
import { isBeingBuilt } from '../../scripts/rust-keystone/find-rust-keystone.ts';
import { canRun, skipWithout } from '../support/missing-tools.ts';

const skip = skipWithout('flock', () => canRun('flock', '--version'));

void t.test('a build is running while it holds the lock', { skip }, async (t) => {
  const lock = join(t.testdir({}), 'lock');
  const folders = { installed: 'unused', target: 'unused', lock };
  t.equal(await isBeingBuilt(folders), false, 'there was never a build');
  const build = spawn('flock', [lock, 'sh', '-c', 'echo locked; exec cat'], { stdio: ['pipe', 'pipe', 'inherit'] });
  await once(build.stdout, 'data');
  t.equal(await isBeingBuilt(folders), true);
  build.stdin.end();
  await once(build, 'close');
  t.equal(await isBeingBuilt(folders), false, 'the build has ended');
});
