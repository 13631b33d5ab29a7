/**
 * Checks the workflows of GitHub with actionlint, which Go builds in a fixed version into the user's cache. Without Go,
 * the check is skipped by name; in CI, that is a failure.
 *
 * usage: node scripts/setup.mjs scripts/lint-workflows.ts
 */
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { findDevelopmentCache } from './lib/development-cache.ts';

const VERSION = 'v1.7.12';
const MODULE = `github.com/rhysd/actionlint/cmd/actionlint@${VERSION}`;
/** Where Go's own installation puts it, which is not always in the PATH. */
const GO = ['go', '/usr/local/go/bin/go'];

const folder = join(findDevelopmentCache(), `actionlint-${VERSION}`);
const program = join(folder, process.platform === 'win32' ? 'actionlint.exe' : 'actionlint');

/** Builds actionlint, unless it is built already. Returns the reason if that is not possible. */
function build(): string | undefined {
  if (existsSync(program)) return undefined;
  const go = GO.find((name) => spawnSync(name, ['version'], { stdio: 'ignore' }).status === 0);
  if (go === undefined) return 'Go is not installed';
  const env = { ...process.env, GOBIN: folder, GOFLAGS: '-trimpath' };
  const { status, stderr } = spawnSync(go, ['install', MODULE], { env, encoding: 'utf8' });
  return status === 0 ? undefined : `go install ${MODULE} failed: ${stderr.trim().split('\n').at(-1) ?? ''}`;
}

const missing = build();
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
