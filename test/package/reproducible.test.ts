/** Two builds of one commit are the same bytes, wherever and whenever they are made: anybody can check what we publish. */
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { cpSync, readFileSync, symlinkSync } from 'node:fs';
import { join, resolve } from 'node:path';
import t from 'tap';
import { executableOf, hostTarget } from '../../scripts/package/targets.ts';
import { PACKAGED } from '../support/plugin.ts';

t.setTimeout(170_000);

const sha256 = (file: string): string => createHash('sha256').update(readFileSync(file)).digest('hex');

await t.test('a build elsewhere', { skip: PACKAGED === undefined && 'npm test -- --packaged' }, async (t) => {
  const target = hostTarget();
  const elsewhere = t.testdir({});
  for (const name of ['src', 'scripts', 'package.json', 'package-lock.json', 'tsconfig.json', 'LICENSE']) {
    cpSync(name, join(elsewhere, name), { recursive: true });
  }
  symlinkSync(resolve('node_modules'), join(elsewhere, 'node_modules'));
  const words = ['--disable-warning=ExperimentalWarning', 'scripts/package.ts', '--target', target.name];
  execFileSync(process.execPath, words, {
    cwd: elsewhere,
    stdio: 'ignore',
    env: { PATH: process.env['PATH'], HOME: process.env['HOME'], TZ: 'Asia/Kathmandu', LC_ALL: 'C' },
  });
  t.equal(sha256(join(elsewhere, executableOf(target))), sha256(executableOf(target)));
});
