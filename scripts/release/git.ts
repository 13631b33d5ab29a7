/** What a release needs to know from git, and what it changes there. */
import { spawnSync } from 'node:child_process';
import { ReleaseError } from './release-error.ts';

/** Runs git and returns its output without the final line feed. */
type Git = (...words: readonly string[]) => string;

/** The working tree of a project. */
export interface WorkingTree {
  /** Whether nothing is changed or added since the last commit. */
  readonly isClean: boolean;
  /** The name of the commit, short. */
  readonly commit: string;
  readonly tags: readonly string[];
  /** The tags of this commit. */
  readonly tagsOfCommit: readonly string[];
}

const listLines = (text: string): string[] => text.split('\n').filter((line) => line !== '');

/** Makes a function that runs git in a folder. It throws a ReleaseError when git fails. */
export function openGit(folder: string): Git {
  return (...words) => {
    const { status, stdout, stderr, error } = spawnSync('git', words, { cwd: folder, encoding: 'utf8' });
    if (error !== undefined) throw new ReleaseError(`git cannot be run: ${error.message}`);
    if (status !== 0) throw new ReleaseError(`git ${words[0] ?? ''} failed: ${listLines(stderr).at(-1) ?? ''}`);
    return stdout.trimEnd();
  };
}

/**
 * Describes the working tree.
 *
 * @throws ReleaseError when the folder is not in a repository, or the repository has no commit
 */
export function readWorkingTree(git: Git): WorkingTree {
  return {
    isClean: git('status', '--porcelain') === '',
    commit: git('rev-parse', '--short', 'HEAD'),
    tags: listLines(git('tag', '--list')),
    tagsOfCommit: listLines(git('tag', '--points-at', 'HEAD')),
  };
}

/**
 * Commits one file and tags the commit. Without a file, it tags the last commit.
 *
 * @throws ReleaseError when git fails, for example because a hook refuses
 */
export function commitAndTag(git: Git, file: string | undefined, title: string, tag: string): void {
  if (file !== undefined) git('commit', '--message', title, '--', file);
  git('tag', '--annotate', '--message', title, tag);
}
