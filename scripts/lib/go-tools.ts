/** Provides tools that are written in Go. They are built once, from the Go module proxy, into the user's cache. */
import { execFile } from 'node:child_process';
import { cp, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { pathExists } from './path-exists.ts';
import { fillCacheFolder, findDevelopmentCache } from './development-cache.ts';
import { findGo } from './go.ts';
import { downloadDependencies, downloadModule } from './go-module.ts';
import { retryDownload } from './retry-download.ts';

const run = promisify(execFile);

/** Programs of one module, which are built together. */
export interface GoTools {
  /** Of their folder in the cache. */
  readonly name: string;
  readonly module: string;
  readonly version: string;
  /** The checksum of the module, as in a go.sum. What has none here is compared with Go's database of checksums only. */
  readonly sum?: string;
  /** The import paths of the programs. */
  readonly packages: readonly [string, ...string[]];
  /** Modules that the module replaces in its own builds: `MODULE=OTHER@VERSION`. */
  readonly replacements?: readonly string[];
  /** Build tags. */
  readonly tags?: readonly string[];
  /** They contain C, such as SQLite, and need a C compiler. */
  readonly usesC?: boolean;
  /** Parts of source files, below the folder of the module, that cannot be compiled. */
  readonly omissions?: Readonly<Record<string, RegExp>>;
}

/** krew, which installs plugins of kubectl, and its own check of manifests. */
export const KREW: GoTools = {
  name: 'krew',
  module: 'sigs.k8s.io/krew',
  version: 'v0.4.3',
  sum: 'h1:nvV4ifUM+wuy8ITy32FAib240lXSbMeHOxizqVy6+U0=',
  packages: ['sigs.k8s.io/krew/cmd/krew', 'sigs.k8s.io/krew/cmd/validate-krew-manifest'],
};

/** Another credential plugin for kubectl, to compare with: it signs a token without any request. */
export const AWS_AUTHENTICATOR: GoTools = {
  name: 'aws-iam-authenticator',
  module: 'sigs.k8s.io/aws-iam-authenticator',
  version: 'v0.6.13',
  sum: 'h1:QSQcAkpt/hF97Ogyoz6sj3WD2twTd2cmxFb4e6Rs9gA=',
  packages: ['sigs.k8s.io/aws-iam-authenticator/cmd/aws-iam-authenticator'],
};

const findFolder = ({ name, version }: GoTools): string => join(findDevelopmentCache(), `${name}-${version}`);

/** Returns where a program is if it is built. */
export function findGoToolPath(tools: GoTools, program: string): string {
  return join(findFolder(tools), program);
}

/** Copies the sources of a module without what must be left out. Go does not replace files of modules in its own folder. */
async function copySources(
  source: string,
  folder: string,
  omissions: Exclude<GoTools['omissions'], undefined>,
): Promise<void> {
  await cp(source, folder, { recursive: true });
  await run('chmod', ['-R', 'u+w', folder]);
  for (const [path, part] of Object.entries(omissions)) {
    const file = join(folder, path);
    const text = await readFile(file, 'utf8');
    if (!part.test(text)) throw new Error(`${path} does not contain ${String(part)}`);
    await writeFile(file, text.replace(part, ''));
  }
}

/**
 * Builds the programs, which takes minutes, unless they are built already.
 *
 * @throws Error when Go is missing or cannot build them
 */
export async function buildGoTools(tools: GoTools): Promise<void> {
  const { module, version, sum, packages, replacements = [], tags = [], usesC = false, omissions } = tools;
  const folder = findFolder(tools);
  if (await pathExists(folder)) return;
  const go = findGo();
  if (go === undefined) throw new Error('Go is not installed');
  await fillCacheFolder(folder, async ({ work, done }) => {
    const env = {
      // Those of the machine, so that they can be shared; otherwise nothing outside the cache changes.
      GOCACHE: join(work, 'cache'),
      GOMODCACHE: join(work, 'modules'),
      ...process.env,
      CGO_ENABLED: usesC ? '1' : '0',
      // The tests do not need fast C, and optimizing it takes a minute.
      CGO_CFLAGS: '-O0',
      GOFLAGS: '-mod=mod',
      GOTOOLCHAIN: 'local',
    };
    await writeFile(join(work, 'go.mod'), 'module tools\n');
    if (sum !== undefined) await downloadModule(go, { path: module, version, sum }, { env, cwd: work });
    // Not "go install", which asks for modules with the names of the programs too.
    for (const replacement of replacements)
      await run(go, ['mod', 'edit', `-replace=${replacement}`], { env, cwd: work });
    await retryDownload(() => run(go, ['get', `${module}@${version}`], { env, cwd: work }));
    // The linker drops debug information, so the compiler does not need to make it.
    const options = ['-trimpath', '-gcflags=all=-dwarf=false', '-ldflags=-s -w', `-o=${done}/`];
    if (omissions !== undefined) {
      const { stdout } = await run(go, ['list', '-m', '-f', '{{.Dir}}', module], { env, cwd: work });
      await copySources(stdout.trim(), join(work, 'source'), omissions);
      await run(go, ['mod', 'edit', `-replace=${module}=./source`], { env, cwd: work });
    }
    const tagged = [`-tags=${tags.join(',')}`, ...packages];
    await downloadDependencies(go, tagged, { env, cwd: work });
    await run('nice', [go, 'build', ...options, ...tagged], { env, cwd: work });
  });
}
