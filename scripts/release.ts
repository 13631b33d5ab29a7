/**
 * `npm run release`: checks that a release can be made, builds everything that it publishes, and tags it. The workflow
 * release.yml then builds the tag and uploads the files. docs/releasing.md describes the steps.
 *
 * usage: npm run release -- [--dry-run [--skip-build]] [--from-tag]
 *
 * --dry-run      changes nothing, prints what would be tagged and uploaded, and installs it by each path that this
 *                machine has, into folders that are removed afterward
 * --skip-build   uses what is in out/, does not run the checks, and installs nothing
 * --from-tag     for the workflow: the tag exists, so it is built and not made
 */
import { spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { PROJECT } from './lib/project.ts';
import { listReleaseFiles } from './package/release-files.ts';
import { nameUnreleased } from './release/changelog.ts';
import { commitAndTag, openGit, readWorkingTree } from './release/git.ts';
import { planRelease, readReleaseOptions } from './release/plan.ts';
import type { ReleaseOptions, ReleasePlan } from './release/plan.ts';
import { checkReleaseFolder } from './release/release-folder.ts';
import type { PublishedFile } from './release/release-folder.ts';
import { renderAttempt, tryInstallations } from './release/installations/try-installations.ts';
import { ReleaseError } from './release/release-error.ts';

const CHANGELOG = 'CHANGELOG.md';
const NOTES = 'out/release-notes.md';
const FOLDER = 'out/release';

const LOCK = new URL('../package-lock.json', import.meta.url);

const startedAt = performance.now();

/** Announces a step, with the time since the start. */
function announce(step: string): void {
  console.log(`\n[${((performance.now() - startedAt) / 60_000).toFixed(1)} min] ${step}`);
}

const today = (): string => new Date().toISOString().slice(0, 10);

/** @throws ReleaseError when the command fails; it has printed why */
function run(program: string, ...words: readonly string[]): void {
  announce(`$ ${[program, ...words].join(' ')}`);
  const { status, error } = spawnSync(program, words, { stdio: ['ignore', 'inherit', 'inherit'] });
  if (error !== undefined || status !== 0)
    throw new ReleaseError(`${words.slice(0, 2).join(' ')} failed: ${error?.message ?? 'see its output above'}`);
}

function build({ baseUrl }: ReleasePlan): void {
  run('npm', 'run', '--silent', 'check');
  run('npm', 'run', '--silent', 'package', '--', '--small', '--base-url', baseUrl);
}

/** @throws ReleaseError when an installation fails */
async function install({ version }: ReleasePlan): Promise<void> {
  announce('Installations from a server on loopback:');
  const attempts = await tryInstallations(FOLDER, version, (attempt) => {
    console.log(renderAttempt(attempt));
  });
  const failed = attempts.filter(({ failure }) => failure !== undefined).map(({ name }) => name);
  if (failed.length > 0) throw new ReleaseError(`the release cannot be installed with ${failed.join(', ')}`);
}

function printFiles(files: readonly PublishedFile[]): void {
  for (const { name, size, sha256 } of files)
    console.log(`  ${sha256.slice(0, 12)}…  ${(size / 1e6).toFixed(1).padStart(6)} MB  ${name}`);
}

function describeTag({ tag, version, notes }: ReleasePlan, { isFromTag, isDryRun }: ReleaseOptions): string {
  if (isFromTag) return `This commit already has the tag ${tag}.`;
  const naming = notes.isUnreleased ? `commit ${CHANGELOG} with the section "${version} (${today()})", and ` : '';
  return isDryRun ? `Would ${naming}tag the commit ${tag}.` : `Will ${naming}tag the commit ${tag}.`;
}

async function release(args: readonly string[]): Promise<void> {
  const options = readReleaseOptions(args);
  const git = openGit('.');
  const changelog = readFileSync(CHANGELOG, 'utf8');
  const tree = readWorkingTree(git);
  const { version: lockedVersion } = JSON.parse(readFileSync(LOCK, 'utf8')) as { version: string };
  const workflowRepository = process.env['GITHUB_REPOSITORY'];
  const plan = planRelease({ project: PROJECT, lockedVersion, changelog, tree, workflowRepository }, options);
  console.log(`${PROJECT.name} ${plan.version}, commit ${tree.commit}${options.isDryRun ? ' (dry run)' : ''}`);
  if (!options.skipsBuild) build(plan);
  const required = listReleaseFiles(plan.version).map(({ name }) => name);
  const files = await checkReleaseFolder(FOLDER, required);
  mkdirSync('out', { recursive: true });
  writeFileSync(NOTES, plan.notes.text);

  console.log(`\n${describeTag(plan, options)}`);
  console.log(`\nThe workflow uploads to ${plan.baseUrl}:`);
  printFiles(files);
  console.log(`\nRelease notes (${NOTES}), from the section "${plan.notes.heading}":\n\n${plan.notes.text}`);
  if (options.isDryRun && !options.skipsBuild) await install(plan);
  if (options.isDryRun || options.isFromTag) return;

  const now = readWorkingTree(git);
  if (!now.isClean || now.commit !== tree.commit)
    throw new ReleaseError('the working tree changed during the build: run the release again');
  const title = `Release ${plan.version}`;
  if (plan.notes.isUnreleased) writeFileSync(CHANGELOG, nameUnreleased(changelog, plan.version, today()));
  commitAndTag(git, plan.notes.isUnreleased ? CHANGELOG : undefined, title, plan.tag);
  console.log(
    `Tagged ${plan.tag}. Push it with "git push origin HEAD ${plan.tag}"; the workflow then uploads the files.`,
  );
}

try {
  await release(process.argv.slice(2));
} catch (error) {
  if (!(error instanceof ReleaseError)) throw error;
  console.error(`release: ${error.message}`);
  process.exitCode = 1;
}
