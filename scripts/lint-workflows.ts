/**
 * Checks the workflows of GitHub with actionlint, which Go builds in a fixed version into the user's cache. Without Go,
 * the check is skipped by name; in CI, that is a failure.
 *
 * usage: node scripts/setup.mjs scripts/lint-workflows.ts
 */
import { execFile, spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { findDevelopmentCache, tryToFillCacheFolder } from './lib/development-cache.ts';
import { findGo } from './lib/go.ts';
import { pathExists } from './lib/path-exists.ts';
import { retryDownload } from './lib/retry-download.ts';

const VERSION = 'v1.7.12';
const MODULE = `github.com/rhysd/actionlint/cmd/actionlint@${VERSION}`;

const folder = join(findDevelopmentCache(), `actionlint-${VERSION}`);
const program = join(folder, process.platform === 'win32' ? 'actionlint.exe' : 'actionlint');

/** Builds actionlint, unless it is built already. Returns the reason if that is not possible. */
async function build(): Promise<string | undefined> {
  if (await pathExists(folder)) return undefined;
  const go = findGo();
  if (go === undefined) return 'Go is not installed';
  const failure = await tryToFillCacheFolder(folder, async ({ done }) => {
    const env = { ...process.env, GOBIN: done, GOFLAGS: '-trimpath' };
    await retryDownload(() => promisify(execFile)(go, ['install', MODULE], { env }));
  });
  return failure === undefined ? undefined : `go install ${MODULE} failed: ${failure}`;
}

const missing = await build();
if (missing === undefined) {
  const { status, error } = spawnSync(program, ['-color'], { stdio: ['ignore', 'inherit', 'inherit'] });
  if (error !== undefined) throw error;
  if (status === 0) console.log('actionlint finds nothing wrong in .github/workflows.');
  process.exitCode = status ?? 1;
} else if (/^(?:true|1)$/.test(process.env['CI'] ?? '')) {
  console.error(`The workflows must be checked in CI, which is not possible: ${missing}`);
  process.exitCode = 1;
} else {
  console.error(`The workflows are not checked: ${missing}`);
}
