/** The npm package, which contains the bundles and runs on the user's own Node. */
import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import t from 'tap';
import { npmPackagePath } from '../../scripts/package/package-paths.ts';
import { canRun, skipWithout } from '../support/missing-tools.ts';
import { PACKAGED_EXECUTABLE } from '../support/run-plugin.ts';

const { version } = JSON.parse(readFileSync('package.json', 'utf8')) as { version: string };
const skip =
  PACKAGED_EXECUTABLE === undefined ? 'npm test -- --packaged' : skipWithout('npm', () => canRun('npm', '--version'));

const BUNDLES = ['client-keystone-auth.cjs', 'slow.cjs', 'commands.cjs', 'keyring.cjs'];

interface Packed {
  readonly name: string;
  readonly version: string;
  readonly files: readonly { readonly path: string; readonly mode: number }[];
  readonly bundled: readonly string[];
}

await t.test('the npm package has the shape that is published', { skip }, async (t) => {
  const env = { PATH: process.env['PATH'], HOME: t.testdir({}) };
  const words = ['pack', resolve(npmPackagePath(version)), '--dry-run', '--json', '--ignore-scripts'];
  const listed = JSON.parse(execFileSync('npm', words, { encoding: 'utf8', env, cwd: env.HOME })) as [Packed];
  const [packed] = listed;
  t.match(packed, { name: 'client-keystone-auth', version });
  const paths = packed.files.map(({ path }) => path);
  for (const path of ['package.json', 'README.md', 'LICENSE', 'THIRD-PARTY-LICENSES.txt'])
    t.ok(paths.includes(path), path);
  for (const name of BUNDLES) t.ok(paths.includes(`dist/${name}`), name);
  t.notOk(paths.includes('dist/executable.cjs'), 'nothing that only a single executable needs');
  t.notOk(paths.some((path) => /^(?:src|test|scripts|docs)\//.test(path)));

  const folder = join(env.HOME, 'unpacked');
  mkdirSync(folder);
  execFileSync('tar', ['-xzf', resolve(npmPackagePath(version)), '-C', folder]);
  const manifest = JSON.parse(readFileSync(join(folder, 'package/package.json'), 'utf8')) as Record<string, unknown>;
  for (const name of ['private', 'devDependencies', 'dependencies', 'scripts', 'lint-staged'])
    t.notOk(name in manifest, `no ${name}`);
  t.strictSame(Object.keys(manifest['optionalDependencies'] as object), ['@napi-rs/keyring']);
  t.strictSame(manifest['bin'], {
    'client-keystone-auth': 'dist/client-keystone-auth.cjs',
    'kubectl-keystone_auth': 'dist/client-keystone-auth.cjs',
  });
  const main = join(folder, 'package/dist/client-keystone-auth.cjs');
  t.match(readFileSync(main, 'utf8'), /^#!\/usr\/bin\/env node\n/);
  t.equal(execFileSync(process.execPath, [main, '--version'], { encoding: 'utf8', env }), `${version}\n`);
});
