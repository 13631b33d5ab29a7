/** Decides whether and what to release. Nothing here changes anything. */
import type { Project } from '../lib/project.ts';
import { cutReleaseNotes } from './changelog.ts';
import type { ReleaseNotes } from './changelog.ts';
import type { WorkingTree } from './git.ts';
import { ReleaseError } from './release-error.ts';

/** What the command line asks for. */
export interface ReleaseOptions {
  readonly isDryRun: boolean;
  /** Uses what is in `out/`. */
  readonly skipsBuild: boolean;
  /** The tag already exists: the workflow releases it. */
  readonly isFromTag: boolean;
}

/** What a release is made from. */
export interface ReleaseSources {
  readonly project: Project;
  /** The version that package-lock.json names. */
  readonly lockedVersion: string;
  readonly changelog: string;
  readonly tree: WorkingTree;
  /** `ORGANIZATION/NAME` of the repository that runs the workflow, if a workflow runs this. */
  readonly workflowRepository?: string | undefined;
}

/** What will be released. */
export interface ReleasePlan {
  readonly version: string;
  readonly tag: string;
  /** The folder that will contain the files. */
  readonly baseUrl: string;
  readonly notes: ReleaseNotes;
}

const USAGE = 'usage: npm run release -- [--dry-run [--skip-build]] [--from-tag]';

/** Source: semver.org, "Is there a suggested regular expression to check a SemVer string?", without build metadata. */
const VERSION = /^(?:0|[1-9]\d*)\.(?:0|[1-9]\d*)\.(?:0|[1-9]\d*)(?:-[\dA-Za-z-]+(?:\.[\dA-Za-z-]+)*)?$/;

/**
 * Reads the command line.
 *
 * @throws ReleaseError when it has an unknown option, or options that do not belong together
 */
export function readReleaseOptions(args: readonly string[]): ReleaseOptions {
  const unknown = args.find((arg) => !['--dry-run', '--skip-build', '--from-tag'].includes(arg));
  if (unknown !== undefined) throw new ReleaseError(`"${unknown}" is not an option; ${USAGE}`);
  const options = {
    isDryRun: args.includes('--dry-run'),
    skipsBuild: args.includes('--skip-build'),
    isFromTag: args.includes('--from-tag'),
  };
  if (options.skipsBuild && !options.isDryRun)
    throw new ReleaseError('--skip-build needs --dry-run, because a release is built from its commit');
  return options;
}

function checkTag(tag: string, { tags, tagsOfCommit }: WorkingTree, isFromTag: boolean): void {
  if (isFromTag && !tagsOfCommit.includes(tag))
    throw new ReleaseError(
      `--from-tag: this commit does not have the tag ${tag}, which the version in package.json asks for`,
    );
  if (!isFromTag && tags.includes(tag))
    throw new ReleaseError(
      `${tag} is already tagged: set the next version with "npm version --no-git-tag-version VERSION" and "npm run reference", and commit it`,
    );
}

/**
 * Checks that a release can be made.
 *
 * @throws ReleaseError with the first reason why not
 */
export function planRelease(
  { project, lockedVersion, changelog, tree, workflowRepository }: ReleaseSources,
  { isFromTag }: Pick<ReleaseOptions, 'isFromTag'>,
): ReleasePlan {
  const { version, repositoryUrl } = project;
  if (!VERSION.test(version))
    throw new ReleaseError(`package.json: "${version}" is not a version such as 1.2.3 or 1.2.3-rc.1`);
  if (lockedVersion !== version)
    throw new ReleaseError(`package-lock.json names ${lockedVersion}, but package.json ${version}: run "npm install"`);
  if (workflowRepository !== undefined && !repositoryUrl.endsWith(`/${workflowRepository}`))
    throw new ReleaseError(
      `package.json names ${repositoryUrl}, but this workflow runs in ${workflowRepository}: ` +
        'change repository.url, and run "npm run reference"',
    );
  if (!tree.isClean) throw new ReleaseError('the working tree has changes: commit or remove them (see "git status")');
  const tag = `v${version}`;
  checkTag(tag, tree, isFromTag);
  const notes = cutReleaseNotes(changelog, version, `${repositoryUrl}/blob/${tag}`);
  if (isFromTag && notes.isUnreleased)
    throw new ReleaseError(`CHANGELOG.md has no section for ${version} in this commit: tag it with "npm run release"`);
  return { version, tag, baseUrl: `${repositoryUrl}/releases/download/${tag}`, notes };
}
