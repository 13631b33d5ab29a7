/** rpm installs the package into a root of its own, and the installed program runs. */
import { execFileSync } from 'node:child_process';
import { existsSync, lstatSync, readFileSync, readlinkSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { gunzipSync } from 'node:zlib';
import t from 'tap';
import { PROJECT } from '../../scripts/lib/project.ts';
import { rpmPath } from '../../scripts/package/package-paths.ts';
import { hostTarget, TARGETS } from '../../scripts/package/targets.ts';
import { canRun, skipWithout } from '../support/missing-tools.ts';
import { readRuntime } from '../support/packaged-runtime.ts';
import { PACKAGED_EXECUTABLE } from '../support/run-plugin.ts';

const { version } = JSON.parse(readFileSync('package.json', 'utf8')) as { version: string };
const skip =
  PACKAGED_EXECUTABLE === undefined ? 'npm test -- --packaged' : skipWithout('rpm', () => canRun('rpm', '--version'));

/** rpm changes its root, which needs root or a user namespace. */
const [RPM, ...FIRST] =
  process.getuid?.() === 0 ? (['rpm'] as const) : (['unshare', '--user', '--map-root-user', 'rpm'] as const);

await t.test('the rpm package installs the program, and is removed again', { skip }, async (t) => {
  const root = t.testdir({});
  const base = [...FIRST, '--root', root, '--dbpath', '/var/lib/rpm'];
  const path = resolve(rpmPath(hostTarget(), version));
  // The dependencies are in the real root, not in this one.
  execFileSync(RPM, [...base, '--install', '--nodeps', path], { stdio: 'pipe' });

  const program = join(root, 'usr/bin/client-keystone-auth');
  t.equal(lstatSync(program).mode & 0o7777, 0o755);
  t.equal(execFileSync(program, ['--version'], { encoding: 'utf8' }), `${version}\n`);
  t.equal(readlinkSync(join(root, 'usr/bin/kubectl-keystone_auth')), 'client-keystone-auth');
  for (const file of [
    'licenses/client-keystone-auth/LICENSE',
    'licenses/client-keystone-auth/THIRD-PARTY-LICENSES.txt',
    'bash-completion/completions/kubectl-keystone_auth',
    'zsh/site-functions/_client-keystone-auth',
    'fish/vendor_completions.d/kubectl-keystone_auth.fish',
  ])
    t.ok(existsSync(join(root, 'usr/share', file)), file);
  const page = readFileSync(join(root, 'usr/share/man/man1/kubectl-keystone_auth.1.gz'));
  t.match(gunzipSync(page).toString(), '.TH CLIENT');
  t.strictSame([...page.subarray(4, 8)], [0, 0, 0, 0], 'the gzip header has no time');
  t.equal(execFileSync(RPM, [...base, '--verify', '--nodeps', 'client-keystone-auth'], { encoding: 'utf8' }), '');
});

for (const target of TARGETS.filter(({ rpmArchitecture }) => rpmArchitecture !== undefined)) {
  const path = rpmPath(target, version);
  const missing = skip === false ? skipWithout(path, () => existsSync(path)) : skip;
  await t.test(`the rpm package for ${target.name} has the right metadata`, { skip: missing }, async (t) => {
    const ask = (format: string): string =>
      execFileSync('rpm', ['--query', '--package', '--queryformat', format, path], { encoding: 'utf8' });
    t.equal(
      ask('%{NAME} %{VERSION} %{ARCH} %{OS}'),
      `client-keystone-auth ${version} ${target.rpmArchitecture ?? ''} linux`,
    );
    t.equal(
      ask('%{URL}|%{BUGURL}|%{PACKAGER}'),
      `${PROJECT.homepage}|${PROJECT.issuesUrl}|${PROJECT.authors} <${PROJECT.email}>`,
    );
    const glibc = [...ask('[%{REQUIRENAME}\n]').matchAll(/^libc\.so\.6\(GLIBC_2\.(\d+)\)\(64bit\)$/gm)];
    const newest = Math.max(...glibc.map(([, minor]) => Number(minor)));
    t.equal(newest, readRuntime(target) === 'bun' ? 17 : 28, 'the oldest glibc that it runs with');
    t.equal(ask('%{BUILDHOST}'), 'localhost');
    t.strictSame([...new Set(ask('[%{FILEUSERNAME}:%{FILEGROUPNAME}\n]').trim().split('\n'))], ['root:root']);
    const times = [...new Set(ask('[%{FILEMTIMES}\n]').trim().split('\n'))];
    t.strictSame(times, [ask('%{BUILDTIME}')], 'all files have one time, which is not the time of the build');
    t.notOk(readFileSync(path).subarray(0, 65_536).includes(process.cwd()), 'no path of the build machine');
  });
}
