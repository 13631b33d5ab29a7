/** The packages for Alpine: what they say of themselves, and the program that they install. */
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readFileSync, readlinkSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import t from 'tap';
import { apkPath, toApkVersion } from '../../scripts/package/package-paths.ts';
import { executablePath, hostTarget, TARGETS } from '../../scripts/package/targets.ts';
import { canRun, skipWithout } from '../support/missing-tools.ts';
import { prepareMuslSystem } from '../support/musl-system.ts';
import { PACKAGED_EXECUTABLE } from '../support/run-plugin.ts';
import { startProgram } from '../support/stress.ts';

const { version } = JSON.parse(readFileSync('package.json', 'utf8')) as { version: string };
const musl = await prepareMuslSystem();

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

const linesOf = (text: string, pattern: RegExp): string[] =>
  [...text.matchAll(pattern)].map(([, line = '']) => line).toSorted();

for (const target of TARGETS.filter(({ apkArchitecture }) => apkArchitecture !== undefined)) {
  const path = apkPath(target, version);
  const skip = PACKAGED_EXECUTABLE === undefined ? 'npm test -- --packaged' : skipWithout(path, () => existsSync(path));

  await t.test(`the package for ${target.name} describes and contains its files`, { skip }, async (t) => {
    const [control, data] = splitStreams(readFileSync(path));
    const head = gunzipSync(control);
    t.notSame(head.subarray(-1_024), Buffer.alloc(1_024), 'the first tar has no end, so that the second continues it');
    const info = head.toString('utf8');
    t.match(info, `pkgname = client-keystone-auth\npkgver = ${version}-r0\n`);
    t.match(info, `arch = ${target.apkArchitecture ?? ''}\n`);
    t.match(info, `datahash = ${createHash('sha256').update(data).digest('hex')}\n`, 'of the second stream');
    const tar = gunzipSync(data);
    const checksum = createHash('sha1').update(readFileSync('LICENSE')).digest('hex');
    t.ok(tar.includes(`APK-TOOLS.checksum.SHA1=${checksum}`), 'with the checksum of each file');

    const root = t.testdir({});
    execFileSync('tar', ['-x', '--warning=no-unknown-keyword', '-C', root], { input: tar });
    const program = join(root, 'usr/bin/client-keystone-auth');
    t.ok(readFileSync(program).equals(readFileSync(executablePath(target))), 'the executable');
    t.equal(statSync(program).mode & 0o7777, 0o755);
    t.equal(readlinkSync(join(root, 'usr/bin/kubectl-keystone_auth')), 'client-keystone-auth');
    for (const name of ['LICENSE', 'THIRD-PARTY-LICENSES.txt'])
      t.ok(existsSync(join(root, 'usr/share/licenses/client-keystone-auth', name)), name);

    const needed = skipWithout('readelf', () => canRun('readelf', '--version'));
    if (needed !== false) return;
    const dynamic = execFileSync('readelf', ['--dynamic', '--wide', program], { encoding: 'utf8' });
    t.strictSame(
      linesOf(info, /^depend = so:(.+)$/gm),
      linesOf(dynamic, /\(NEEDED\).*\[(.+)\]/g),
      'it depends on the libraries that the executable needs',
    );
    if (target.name !== `${hostTarget().name}-musl` || 'skip' in musl) return;
    const command = musl.makeCommand('/usr/bin/kubectl-keystone_auth', {
      files: { '/usr/bin/kubectl-keystone_auth': program },
    });
    t.match(await startProgram([...command, '--version'], {}).ended, { status: 0, stdout: `${version}\n`, stderr: '' });
  });
}

void t.test('a prerelease has a version that apk sorts before the release', async (t) => {
  const versions = { '1.2.3': '1.2.3-r0', '1.2.3-beta.2': '1.2.3_beta2-r0', '1.2.3-next.4': '1.2.3_pre4-r0' };
  for (const [own, alpine] of Object.entries(versions)) t.equal(toApkVersion(own), alpine);
});
