/** Each way to install a release, from a server on loopback, and what the tools of package managers report about it. */
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import t from 'tap';
import { findGoToolPath, KREW } from '../../scripts/lib/go-tools.ts';
import { rpmPath } from '../../scripts/package/package-paths.ts';
import { listReleaseFiles } from '../../scripts/package/release-files.ts';
import { hostTarget } from '../../scripts/package/targets.ts';
import { listInstallPaths } from '../../scripts/release/installations/install-paths.ts';
import { tryInstallations } from '../../scripts/release/installations/try-installations.ts';
import { canRun, skipBecause, skipWithout } from '../support/missing-tools.ts';
import { PACKAGED_EXECUTABLE } from '../support/run-plugin.ts';

const { version } = JSON.parse(readFileSync('package.json', 'utf8')) as { version: string };
const skip = PACKAGED_EXECUTABLE === undefined && 'npm test -- --packaged';
const needs = (tool: string, ...args: string[]): string | false =>
  skip === false ? skipWithout(tool, () => canRun(tool, ...args)) : skip;

/** Ways whose tools are not for Linux, are in no package of Debian, or take minutes to build. */
const ELSEWHERE = ['kubectl krew', 'Homebrew', 'apk (Alpine)', 'Scoop', 'winget', 'install.ps1'];

await t.test('the release is installed by each path that this machine has', { skip }, async (t) => {
  for (const { name, missing, failure } of await tryInstallations(resolve('out/release'), version)) {
    if (missing === undefined) t.equal(failure, undefined, name);
    else if (!ELSEWHERE.includes(name))
      t.equal(
        skipWithout(missing, () => false),
        `${missing} is not available`,
        name,
      );
  }
});

void t.test('docs/install.md has each path', async (t) => {
  const page = readFileSync('docs/install.md', 'utf8');
  for (const { name } of listInstallPaths()) t.ok(page.includes(`| ${name} `), name);
});

await t.test('rpmlint accepts the .rpm', { skip: needs('rpmlint', '--version') }, async (t) => {
  const words = ['--config', resolve('packaging/rpmlint.toml'), rpmPath(hostTarget(), version)];
  t.match(execFileSync('rpmlint', words, { encoding: 'utf8' }), / 0 errors/);
});

await t.test(
  'shellcheck accepts the shell scripts',
  { skip: skipWithout('shellcheck', () => canRun('shellcheck', '--version')) },
  async (t) => {
    for (const path of ['packaging/install.sh', 'packaging/push-images.sh', '.ci/run', '.ci/install-packages'])
      t.equal(execFileSync('shellcheck', [path], { encoding: 'utf8' }), '', path);
  },
);

const krewCheck = findGoToolPath(KREW, 'validate-krew-manifest');

await t.test(
  "krew's own check accepts its manifest",
  {
    skip: existsSync(krewCheck)
      ? skip
      : skipBecause('krew is not built; run "node scripts/setup.mjs scripts/build-go-tools.ts"'),
  },
  async (t) => {
    // Without an installation, because its archives are not published yet.
    execFileSync(krewCheck, [`-manifest=${resolve('out/krew/keystone-auth.yaml')}`, '-skip-install'], {
      stdio: 'pipe',
    });
    t.pass('accepted');
  },
);

void t.test('the installer for Windows names the files that are published', async (t) => {
  const script = readFileSync('packaging/install.ps1', 'utf8');
  const names = listReleaseFiles(version).map(({ name }) => name);
  for (const target of ['win-x64', 'win-arm64']) {
    t.ok(script.includes(`'${target}'`));
    t.ok(names.includes(`client-keystone-auth-${target}.exe`), target);
  }
  t.match(script, '$file = "$Name-$(Get-Target).exe"');
  t.match(script, "$DefaultUrl = ''\n");
  t.ok(names.includes('install.ps1'));
});
