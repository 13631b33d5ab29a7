/** The npm package and the package for Alpine, which contain the bundles and run on the user's own Node. */
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, readlinkSync, statSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { gunzipSync } from 'node:zlib';
import t from 'tap';
import { apkPath, npmPackagePath } from '../../scripts/package/package-paths.ts';
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

/** Splits a file into its gzip streams, as apk does. */
function splitStreams(file: Buffer): readonly [control: Buffer, data: Buffer] {
  for (
    let at = file.indexOf('\x1f\x8b\x08', 10, 'latin1');
    at > 0;
    at = file.indexOf('\x1f\x8b\x08', at + 1, 'latin1')
  ) {
    try {
      gunzipSync(file.subarray(0, at));
      return [file.subarray(0, at), file.subarray(at)];
    } catch {
      // These bytes are inside of the first stream.
    }
  }
  throw new Error('there is only one stream');
}

await t.test('the package for Alpine describes its files', { skip }, async (t) => {
  const [control, data] = splitStreams(readFileSync(apkPath(version)));
  const head = gunzipSync(control);
  t.notSame(head.subarray(-1_024), Buffer.alloc(1_024), 'the first tar has no end, so that the second continues it');
  const info = head.toString('utf8');
  t.match(info, `pkgname = client-keystone-auth\npkgver = ${version}-r0\n`);
  t.match(info, /^arch = noarch$/m);
  t.match(info, /^depend = nodejs>=22\.21$/m);
  t.match(info, `datahash = ${createHash('sha256').update(data).digest('hex')}\n`, 'of the second stream');

  const root = t.testdir({});
  execFileSync('tar', ['-xz', '--warning=no-unknown-keyword', '-C', root], { input: data });
  const program = 'usr/bin/client-keystone-auth';
  t.equal(readlinkSync(join(root, program)), '../lib/client-keystone-auth/client-keystone-auth.cjs');
  t.equal(statSync(join(root, program)).mode & 0o7777, 0o755);
  const run = [join(root, program), '--version'];
  t.equal(execFileSync(process.execPath, run, { encoding: 'utf8', env: {} }), `${version}\n`);
  t.ok(existsSync(join(root, 'usr/share/licenses/client-keystone-auth/LICENSE')));
  const tar = gunzipSync(data);
  const checksum = createHash('sha1').update(readFileSync('LICENSE')).digest('hex');
  t.ok(tar.includes(`APK-TOOLS.checksum.SHA1=${checksum}`), 'with the checksum of each file');
});
