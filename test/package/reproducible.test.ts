/** Two builds of one commit are the same bytes, wherever and whenever they are made: anybody can check what we publish. */
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { cpSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
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
  // Not a link to the folder: the bundler would follow it, and everything would seem to come from outside.
  execFileSync('cp', ['-al', 'node_modules', elsewhere]);
  const words = ['--disable-warning=ExperimentalWarning', 'scripts/package.ts', '--target', target.name];
  execFileSync(process.execPath, words, {
    cwd: elsewhere,
    stdio: ['ignore', 'ignore', 'inherit'],
    env: {
      PATH: process.env['PATH'],
      HOME: process.env['HOME'],
      TZ: 'Asia/Kathmandu',
      LC_ALL: 'C',
      SOURCE_DATE_EPOCH: '1',
    },
  });
  for (const file of [
    executableOf(target),
    ...['sbom.cdx.json', 'THIRD-PARTY-LICENSES.txt'].map((name) => `out/${target.name}/${name}`),
  ]) {
    t.equal(sha256(join(elsewhere, file)), sha256(file), file);
  }
});
