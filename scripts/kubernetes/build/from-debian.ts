/**
 * Builds kube-apiserver from Debian 12's source package with Debian's Go. The source package includes all dependencies.
 * The build needs neither root nor installed packages.
 */
import { mkdir, readdir, readFile, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { canRunProgram, describeSystem, findOrUnpack } from '../../lib/debian-packages.ts';
import { BuildToolMissing } from '../../lib/cached-build.ts';
import type { Build, Builder } from './build.ts';
import { runLogged } from '../../lib/build-steps.ts';

const GO = 'usr/lib/go-1.19';

/** Copies the package sources of the system, changed to source packages. */
async function listSources(folder: string): Promise<void> {
  const system = '/etc/apt/sources.list.d';
  const names = (await readdir(system).catch(() => [])).filter((name) => /\.(?:sources|list)$/.test(name));
  const oneLineSources = await readFile('/etc/apt/sources.list', 'utf8').catch(() => '');
  await writeFile(join(folder, 'system.list'), oneLineSources.replaceAll(/^deb\s/gm, 'deb-src '));
  for (const name of names) {
    const text = await readFile(join(system, name), 'utf8');
    const sources = text.replaceAll(/^Types:.*$/gm, 'Types: deb-src').replaceAll(/^deb\s/gm, 'deb-src ');
    await writeFile(join(folder, name), sources);
  }
}

async function fetchSources({ version, folder: work, log }: Build): Promise<string> {
  const lists = join(work, 'lists');
  const parts = join(work, 'sources');
  await mkdir(join(lists, 'partial'), { recursive: true });
  await mkdir(parts);
  await listSources(parts);
  const options = [
    ['Dir::Etc::sourcelist', '/dev/null'],
    ['Dir::Etc::sourceparts', parts],
    ['Dir::State::lists', lists],
    ['Dir::Cache', work],
    ['Debug::NoLocking', '1'],
    ['APT::Sandbox::User', ''],
  ].flatMap(([name, value]) => ['-o', `${name ?? ''}=${value ?? ''}`]);
  await runLogged(log, '/usr/bin/apt-get', [...options, 'update'], { cwd: work });
  await runLogged(log, '/usr/bin/apt-get', [...options, 'source', '--download-only', 'kubernetes'], { cwd: work });
  const archive = (await readdir(work)).find((name) => /^kubernetes_.*\.orig\.tar\.\w+$/.test(name));
  if (!archive?.includes(version))
    throw new Error(`Debian offers ${archive ?? 'no kubernetes source package'}, but version ${version} is needed`);
  await runLogged(log, 'tar', ['-xf', archive], { cwd: work });
  const folder = (await readdir(work, { withFileTypes: true })).find(
    (entry) => entry.isDirectory() && entry.name.startsWith('kubernetes-'),
  );
  return join(work, folder?.name ?? '');
}

/** Returns the root folder of what Kubernetes' build needs: Go, rsync and jq. */
async function findTools(say: Build['say']): Promise<string> {
  const tools = await findOrUnpack(
    {
      what: 'Go',
      packages: ['golang-1.19-go', 'rsync', 'jq'],
      folder: `go-1.19-${await describeSystem()}`,
      canRun: async (root) =>
        (await canRunProgram(root, `${GO}/bin/go`, 'version')) &&
        (root !== undefined ||
          ((await canRunProgram(root, 'usr/bin/jq', '--version')) &&
            (await canRunProgram(root, 'usr/bin/rsync', '--version')))),
    },
    say,
  );
  if ('missing' in tools) throw new BuildToolMissing(tools.missing);
  return tools.root ?? '/';
}

/** Builds the version of the source package. */
export const buildFromDebian: Builder = async (build) => {
  const { version, folder, log, say } = build;
  const tools = await findTools(say);
  const source = await fetchSources(build);
  const gopath = join(source, '.go');
  await mkdir(join(gopath, 'src/k8s.io'), { recursive: true });
  await symlink('../../..', join(gopath, 'src/k8s.io/kubernetes'));
  const versionFile = join(folder, 'version');
  const [major = '', minor = ''] = version.split('.');
  const facts = {
    COMMIT: 'debian',
    TREE_STATE: 'archive',
    VERSION: `v${version}`,
    MAJOR: major,
    MINOR: minor,
  };
  await writeFile(
    versionFile,
    Object.entries(facts)
      .map(([name, value]) => `KUBE_GIT_${name}='${value}'\n`)
      .join(''),
  );
  const libraries = (await readdir(join(tools, 'usr/lib'))).filter((name) => name.includes('-linux-gnu'));
  const env = {
    PATH: `${join(tools, GO, 'bin')}:${join(tools, 'usr/bin')}:/usr/bin:/bin`,
    LD_LIBRARY_PATH: tools === '/' ? '' : libraries.map((name) => join(tools, 'usr/lib', name)).join(':'),
    HOME: folder,
    GOROOT: join(tools, GO),
    GOPATH: gopath,
    GO111MODULE: 'off',
    GOPROXY: 'off',
    CGO_ENABLED: '0',
    // Makes the compiler collect garbage less often, which saves time and costs a few hundred MB.
    GOGC: '400',
    // The linker drops debug information, so the compiler does not need to make it.
    GOGCFLAGS: 'all=-dwarf=false',
    KUBE_GIT_VERSION_FILE: versionFile,
  };
  await runLogged(log, 'make', ['WHAT=cmd/kube-apiserver'], { cwd: source, env });
  return join(source, '_output/bin/kube-apiserver');
};
