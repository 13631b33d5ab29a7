// Builds a kube-apiserver from Debian 12's source package with Debian's Go, once, into the user's cache. The source
// package includes all dependencies. The build takes six minutes on two processors, and needs neither root nor
// installed packages.
//
// usage: node scripts/setup.mjs scripts/build-kube-apiserver.ts

import { spawn } from 'node:child_process';
import { createWriteStream } from 'node:fs';
import { chmod, copyFile, mkdir, mkdtemp, readdir, readFile, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { describeSystem, pathExists, findOrUnpack } from './lib/debian-packages.ts';
import { KUBERNETES_VERSION, findApiServerPath, canRunProgram } from './kubernetes/find-kubernetes.ts';

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
const GO = 'usr/lib/go-1.19';

const path = await findApiServerPath();
if (await pathExists(path)) console.log(`kube-apiserver is already built: ${path}`);
else await build();

/** Runs a program and appends its output to a log. */
async function run(
  log: string,
  program: string,
  args: readonly string[],
  options: { cwd: string; env?: NodeJS.ProcessEnv },
): Promise<void> {
  const output = createWriteStream(log, { flags: 'a' });
  const child = spawn(program, args, { ...options, stdio: ['ignore', 'pipe', 'pipe'], detached: true });
  // The signal goes to the whole process group. Afterwards, this process cleans up.
  const end = (): void => {
    if (child.pid !== undefined) process.kill(-child.pid, 'SIGTERM');
  };
  for (const signal of SIGNALS) process.on(signal, end);
  child.stdout.pipe(output, { end: false });
  child.stderr.pipe(output, { end: false });
  const status = await new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', resolve);
  });
  for (const signal of SIGNALS) process.off(signal, end);
  output.end();
  if (status !== 0) throw new Error(`${program} ${args[0] ?? ''} failed; see ${log}`);
}

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

async function fetchSources(work: string, log: string): Promise<string> {
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
  await run(log, '/usr/bin/apt-get', [...options, 'update'], { cwd: work });
  await run(log, '/usr/bin/apt-get', [...options, 'source', '--download-only', 'kubernetes'], { cwd: work });
  const archive = (await readdir(work)).find((name) => /^kubernetes_.*\.orig\.tar\.\w+$/.test(name));
  if (!archive?.includes(KUBERNETES_VERSION))
    throw new Error(
      `Debian offers ${archive ?? 'no kubernetes source package'}, but version ${KUBERNETES_VERSION} is needed`,
    );
  await run(log, 'tar', ['-xf', archive], { cwd: work });
  const folder = (await readdir(work, { withFileTypes: true })).find(
    (entry) => entry.isDirectory() && entry.name.startsWith('kubernetes-'),
  );
  return join(work, folder?.name ?? '');
}

/** Returns the root folder of what Kubernetes' build needs: Go, rsync and jq. */
async function findTools(): Promise<string> {
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
    (line) => {
      console.log(line);
    },
  );
  if ('missing' in tools) throw new Error(tools.missing);
  return tools.root ?? '/';
}

async function build(): Promise<void> {
  const target = dirname(path);
  await mkdir(dirname(target), { recursive: true });
  const work = await mkdtemp(join(dirname(target), '.kube-apiserver-'));
  const log = join(work, 'log');
  try {
    const tools = await findTools();
    console.log(`Building kube-apiserver ${KUBERNETES_VERSION} …`);
    const source = await fetchSources(work, log);
    const gopath = join(source, '.go');
    await mkdir(join(gopath, 'src/k8s.io'), { recursive: true });
    await symlink('../../..', join(gopath, 'src/k8s.io/kubernetes'));
    const version = join(work, 'version');
    const [major = '', minor = ''] = KUBERNETES_VERSION.split('.');
    const facts = {
      COMMIT: 'debian',
      TREE_STATE: 'archive',
      VERSION: `v${KUBERNETES_VERSION}`,
      MAJOR: major,
      MINOR: minor,
    };
    await writeFile(
      version,
      Object.entries(facts)
        .map(([name, value]) => `KUBE_GIT_${name}='${value}'\n`)
        .join(''),
    );
    const libraries = (await readdir(join(tools, 'usr/lib'))).filter((name) => name.includes('-linux-gnu'));
    const env = {
      PATH: `${join(tools, GO, 'bin')}:${join(tools, 'usr/bin')}:/usr/bin:/bin`,
      LD_LIBRARY_PATH: tools === '/' ? '' : libraries.map((name) => join(tools, 'usr/lib', name)).join(':'),
      HOME: work,
      GOROOT: join(tools, GO),
      GOPATH: gopath,
      GO111MODULE: 'off',
      GOPROXY: 'off',
      CGO_ENABLED: '0',
      // Makes the compiler collect garbage less often, which saves time and costs a few hundred MB.
      GOGC: '400',
      // The linker drops debug information, so the compiler does not need to make it.
      GOGCFLAGS: 'all=-dwarf=false',
      KUBE_GIT_VERSION_FILE: version,
    };
    await run(log, 'nice', ['make', 'WHAT=cmd/kube-apiserver'], { cwd: source, env });
    const staged = join(work, 'done');
    await mkdir(staged);
    await copyFile(join(source, '_output/bin/kube-apiserver'), join(staged, 'kube-apiserver'));
    await chmod(join(staged, 'kube-apiserver'), 0o755);
    await rename(staged, target);
    console.log(`Built ${path}`);
  } catch (error) {
    const tail = (await readFile(log, 'utf8').catch(() => '')).split('\n').slice(-8).join('\n');
    console.error(`${error instanceof Error ? error.message : String(error)}\n${tail}`);
    process.exitCode = 1;
  } finally {
    // Go makes its cache read-only, so it cannot be removed without this.
    await run(join(dirname(target), '.kube-apiserver.log'), 'chmod', ['-R', 'u+w', work], { cwd: '/' }).catch(
      () => undefined,
    );
    await rm(work, { recursive: true, force: true });
    await rm(join(dirname(target), '.kube-apiserver.log'), { force: true });
  }
}
