/**
 * Two builds of one commit give the same bytes, in another folder, with another home and time zone, at another time. So
 * everyone can verify a release.
 */
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { cpSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import t from 'tap';
import { findDevelopmentCache } from '../../scripts/lib/development-cache.ts';
import { findSourceDate, PROGRAM_NAME, WEBHOOK_PROGRAM_NAME } from '../../scripts/package/product.ts';
import { imageFolder, npmPackagePath } from '../../scripts/package/package-paths.ts';
import { getDefaultRuntime } from '../../scripts/package/runtimes.ts';
import { executablePath, hostTarget, TARGETS } from '../../scripts/package/targets.ts';
import type { Target } from '../../scripts/package/targets.ts';
import { makeIsolatedCommand, PACKAGED_EXECUTABLE, RUNTIME } from '../support/run-plugin.ts';

const { version } = JSON.parse(readFileSync('package.json', 'utf8')) as { version: string };

/** Reads the digest of the image for the processor of a target. */
function readImageDigest(folder: string, program: string, { debianArchitecture }: Target): string {
  const layout = join(folder, imageFolder(program));
  const readJson = (path: string): { manifests: { digest: string; platform?: { architecture: string } }[] } =>
    JSON.parse(readFileSync(join(layout, path), 'utf8')) as ReturnType<typeof readJson>;
  const [index] = readJson('index.json').manifests;
  const { manifests } = readJson(`blobs/${(index?.digest ?? '').replace(':', '/')}`);
  return manifests.find(({ platform }) => platform?.architecture === debianArchitecture)?.digest ?? 'no image';
}

const sha256 = (file: string): string => createHash('sha256').update(readFileSync(file)).digest('hex');

await t.test(
  'a build in another folder, with another home and time zone, gives the same bytes',
  { skip: PACKAGED_EXECUTABLE === undefined && 'npm test -- --packaged' },
  async (t) => {
    const target = hostTarget();
    const isPublished = RUNTIME === getDefaultRuntime(target);
    const musl = isPublished ? TARGETS.find(({ name }) => name === `${target.name}-musl`) : undefined;
    const targets = musl === undefined ? [target] : [target, musl];
    const elsewhere = t.testdir({});
    for (const name of [
      'src',
      'scripts',
      'package.json',
      'package-lock.json',
      'tsconfig.json',
      'LICENSE',
      'README.md',
      'docs',
      'packaging',
    ]) {
      cpSync(name, join(elsewhere, name), { recursive: true });
    }
    // No symbolic link, because the bundler would follow it and see files outside of the project.
    execFileSync('cp', ['-al', 'node_modules', elsewhere]);
    const words = [
      '--disable-warning=ExperimentalWarning',
      'scripts/package.ts',
      ...targets.flatMap(({ name }) => ['--target', name]),
      ...(isPublished ? [] : ['--runtime', RUNTIME]),
    ];
    const env = {
      PATH: process.env['PATH'] ?? '',
      HOME: join(elsewhere, 'home'),
      // With the packages of npm, so that nothing is downloaded again.
      XDG_CACHE_HOME: dirname(findDevelopmentCache()),
      TZ: 'Asia/Kathmandu',
      LC_ALL: 'C',
      // The copy is not a git repository.
      SOURCE_DATE_EPOCH: findSourceDate(),
    };
    // Without tap's hooks, which nobody has who builds a release.
    const [file, args, options] = makeIsolatedCommand(process.execPath, words, env);
    execFileSync(file, args, { ...options, cwd: elsewhere, stdio: ['ignore', 'ignore', 'inherit'] });
    // The list of checksums covers packages and archives.
    const listed = (folder: string): string[] =>
      readFileSync(join(folder, 'out/SHA256SUMS'), 'utf8')
        .split('\n')
        .filter((line) => targets.some(({ name }) => line.includes(`  ${name}/`)));
    t.strictSame(listed(elsewhere), listed('.'));
    t.equal(
      listed('.').filter((line) => line.endsWith('.apk')).length,
      musl === undefined ? 0 : 1,
      'with the one for Alpine',
    );
    for (const program of [PROGRAM_NAME, WEBHOOK_PROGRAM_NAME]) {
      t.equal(
        sha256(join(elsewhere, executablePath(target, program))),
        sha256(executablePath(target, program)),
        program,
      );
    }
    if (isPublished)
      for (const program of [PROGRAM_NAME, WEBHOOK_PROGRAM_NAME]) {
        const digest = readImageDigest('.', program, target);
        t.match(digest, /^sha256:/);
        t.equal(readImageDigest(elsewhere, program, target), digest, `the image of ${program}`);
      }
    for (const path of [npmPackagePath(version), 'out/client-keystone-auth.1'])
      t.equal(sha256(join(elsewhere, path)), sha256(path), path);
  },
);
