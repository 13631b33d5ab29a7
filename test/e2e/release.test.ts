/** `npm run release` in a repository of its own, with small files in place of executables. */
import { execFile, execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import t from 'tap';
import type { Test } from 'tap';
import { PROJECT } from '../../scripts/lib/project.ts';
import { listReleaseFiles } from '../../scripts/package/release-files.ts';
import { nameUnreleased } from '../../scripts/release/changelog.ts';
import { commitAndTag, openGit, readWorkingTree } from '../../scripts/release/git.ts';
import { COMPILE_CACHE } from '../support/home.ts';
import { canRun, skipWithout } from '../support/missing-tools.ts';

const skip = skipWithout('git', () => canRun('git', '--version'));
const { version, repositoryUrl } = PROJECT;
const CHANGELOG = '# Changelog\n\n## Unreleased\n\n- Something [new](docs/new.md).\n';

interface Outcome {
  readonly status: number;
  readonly stdout: string;
  readonly stderr: string;
}

interface Repository {
  readonly folder: string;
  readonly git: (...words: string[]) => string;
  readonly release: (...words: string[]) => Promise<Outcome>;
}

const environment = (folder: string): Record<string, string> => ({
  PATH: process.env['PATH'] ?? '',
  HOME: folder,
  GIT_CONFIG_NOSYSTEM: '1',
  NODE_COMPILE_CACHE: COMPILE_CACHE,
});

/** Makes a repository with one commit and with everything in out/release that a release has. */
function makeRepository(t: Test): Repository {
  const folder = t.testdir({ 'CHANGELOG.md': CHANGELOG, '.gitignore': 'out/\n' });
  const env = environment(folder);
  const git = (...words: string[]): string => execFileSync('git', words, { cwd: folder, encoding: 'utf8', env });
  git('init', '--quiet', '--initial-branch', 'main');
  git('config', 'user.name', 'A');
  git('config', 'user.email', 'a@example.org');
  git('add', '.');
  git('commit', '--quiet', '--message', 'Start');
  mkdirSync(join(folder, 'out/release'), { recursive: true });
  const sums = listReleaseFiles(version).map(({ name }) => {
    writeFileSync(join(folder, 'out/release', name), `content of ${name}`);
    return `${createHash('sha256').update(`content of ${name}`).digest('hex')}  ${name}\n`;
  });
  writeFileSync(join(folder, 'out/release/SHA256SUMS'), sums.join(''));
  const script = resolve('scripts/release.ts');
  const release = (...words: string[]): Promise<Outcome> => {
    const args = ['--disable-warning=ExperimentalWarning', script, ...words];
    return new Promise((done) => {
      execFile(process.execPath, args, { cwd: folder, env }, (error, stdout, stderr) => {
        done({ status: error === null ? 0 : Number(error.code), stdout, stderr });
      });
    });
  };
  return { folder, git, release };
}

const describeState = ({ folder, git }: Repository): string =>
  [
    git('log', '--oneline'),
    git('tag'),
    git('status', '--porcelain'),
    readFileSync(join(folder, 'CHANGELOG.md'), 'utf8'),
  ].join('\n');

await t.test('a dry run shows the tag, every file and the notes, and changes nothing', { skip }, async (t) => {
  const repository = makeRepository(t);
  const before = describeState(repository);
  const { status, stdout, stderr } = await repository.release('--dry-run', '--skip-build');
  t.equal(status, 0, stderr);
  t.equal(stderr, '');
  t.match(stdout, `tag the commit v${version}.`);
  t.match(stdout, `${repositoryUrl}/releases/download/v${version}`);
  for (const { name } of listReleaseFiles(version)) t.ok(stdout.includes(`  ${name}\n`), name);
  const notes = `- Something [new](${repositoryUrl}/blob/v${version}/docs/new.md).\n`;
  t.ok(stdout.includes(notes), 'the notes are printed');
  t.equal(readFileSync(join(repository.folder, 'out/release-notes.md'), 'utf8'), notes);
  t.equal(describeState(repository), before);
});

await t.test('the tag is on a commit that names the section after the version', { skip }, async (t) => {
  const { folder, git } = makeRepository(t);
  writeFileSync(join(folder, 'CHANGELOG.md'), nameUnreleased(CHANGELOG, version, '2026-02-03'));
  commitAndTag(openGit(folder), 'CHANGELOG.md', `Release ${version}`, `v${version}`);
  t.equal(git('log', '--format=%s'), `Release ${version}\nStart\n`);
  t.match(git('show', `v${version}:CHANGELOG.md`), `## ${version} (2026-02-03)\n`);
  t.equal(git('cat-file', '-t', `v${version}`), 'tag\n', 'the tag says who made it and when');
  t.match(readWorkingTree(openGit(folder)), { isClean: true, tagsOfCommit: [`v${version}`] });
  t.throws(() => {
    commitAndTag(openGit(folder), undefined, 'again', `v${version}`);
  }, /git tag failed: .*already exists/);
});

interface Refusal {
  readonly prepare?: (repository: Repository) => void;
  readonly args?: readonly string[];
  readonly message: RegExp;
}

const firstFile = ({ folder }: Repository): string => {
  const name = readdirSync(join(folder, 'out/release')).find((each) => each !== 'SHA256SUMS') ?? '';
  return join(folder, 'out/release', name);
};

const REFUSALS: Readonly<Record<string, Refusal>> = {
  'an unknown option': { args: ['--publish'], message: /"--publish" is not an option; usage: npm run release/ },
  'a release without a build': { args: ['--skip-build'], message: /--skip-build needs --dry-run/ },
  'a working tree with a new file': {
    prepare: ({ folder }) => {
      writeFileSync(join(folder, 'new'), '');
    },
    message: /the working tree has changes/,
  },
  'a version that is already tagged': {
    prepare: ({ git }) => void git('tag', `v${version}`),
    message: /is already tagged/,
  },
  'the workflow on a commit without the tag': { args: ['--from-tag'], message: /does not have the tag/ },
  'a file with another checksum': {
    prepare: (repository) => {
      writeFileSync(firstFile(repository), 'tampered');
    },
    message: /does not have the checksum/,
  },
  'a file that is missing': {
    prepare: (repository) => {
      rmSync(firstFile(repository));
    },
    message: /has no .*, which SHA256SUMS names/,
  },
  'a file that nobody checked': {
    prepare: ({ folder }) => {
      writeFileSync(join(folder, 'out/release/extra'), '');
    },
    message: /does not name extra/,
  },
  'a platform that was not built': {
    prepare: ({ folder }) => {
      const file = join(folder, 'out/release/SHA256SUMS');
      const sums = readFileSync(file, 'utf8').replace(/^.*arm64\.rpm\n|^.*aarch64\.rpm\n/m, '');
      writeFileSync(file, sums);
    },
    message: /has no client-keystone-auth-.*aarch64\.rpm: install strip, dpkg-deb and rpmbuild/,
  },
  'nothing that was built': {
    prepare: ({ folder }) => {
      rmSync(join(folder, 'out'), { recursive: true });
    },
    message: /out\/release has no SHA256SUMS/,
  },
};

for (const [reason, { prepare, args = ['--dry-run', '--skip-build'], message }] of Object.entries(REFUSALS)) {
  await t.test(`${reason} is refused with one line, and nothing changes`, { skip }, async (t) => {
    const repository = makeRepository(t);
    prepare?.(repository);
    const before = describeState(repository);
    const { status, stderr } = await repository.release(...args);
    t.equal(status, 1);
    t.match(stderr, message);
    t.match(stderr, /^release: [^\n]+\n$/, 'stderr is one line');
    t.equal(describeState(repository), before);
  });
}

await t.test('a folder that is no repository is refused with one line', { skip }, async (t) => {
  const { folder, release } = makeRepository(t);
  rmSync(join(folder, '.git'), { recursive: true });
  writeFileSync(join(folder, '.git'), 'not a repository');
  const { status, stderr } = await release('--dry-run', '--skip-build');
  t.equal(status, 1);
  t.match(stderr, /^release: git status failed: [^\n]+\n$/);
});
