/**
 * How much a cache hit costs beyond starting Node: the hit path against `node -e 0` of the same Node, in turn, so that a
 * noisy machine disturbs both alike. The hit needs no Keystone: a record is put into a private cache first.
 *
 * Usage: npm run bench:hit [-- RUNS]
 */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { writeAliasFile, writeRecordFile } from '../src/cache/file-store.ts';
import { cacheFolder, ensureFolder } from '../src/cache/folder.ts';
import { fingerprint } from '../src/hit/fingerprint.ts';
import { processHost } from '../src/host.ts';

const RUNS = Number(process.argv[2] ?? 100);
const WARM_UP = 5;
const PLUGIN = resolve('dist/client-keystone-auth.cjs');

function timeRun(args: readonly string[], env: NodeJS.ProcessEnv, expected: RegExp): number {
  const start = process.hrtime.bigint();
  const { status, stdout } = spawnSync(process.execPath, args, { env, encoding: 'utf8' });
  const elapsed = Number(process.hrtime.bigint() - start) / 1e6;
  if (status !== 0 || !expected.test(stdout)) throw new Error(`unexpected answer: ${String(status)} ${stdout}`);
  return elapsed;
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN;
}

await import('./build.ts');

const home = mkdtempSync(join(tmpdir(), 'bench-'));
try {
  const env = {
    PATH: process.env['PATH'],
    HOME: home,
    XDG_CACHE_HOME: join(home, 'cache'),
    OS_AUTH_URL: 'https://keystone.test/v3',
  };
  const host = { ...processHost(), argv: [], env };
  const folder = { path: cacheFolder(host) ?? '', uid: host.uid };
  ensureFolder(folder.path, folder.uid);
  const now = Date.now();
  const key = 'f'.repeat(64);
  const token = 'gAAAA'.padEnd(183, 'x');
  const endpoint = 'https://keystone.test/v3';
  writeRecordFile(folder, key, { token, receivedAt: now, expiresAt: now + 3_600_000, endpoint });
  writeAliasFile(folder, fingerprint(host, ''), { key, apiVersion: undefined, files: [] }, now + 3_600_000);

  const hits: number[] = [];
  const bare: number[] = [];
  for (let run = -WARM_UP; run < RUNS; run += 1) {
    const hit = timeRun([PLUGIN], env, /ExecCredential/);
    const nothing = timeRun(['-e', '0'], env, /^$/);
    if (run < 0) continue;
    hits.push(hit);
    bare.push(nothing);
  }
  const [hit, nothing] = [median(hits), median(bare)];
  console.log(`Node ${process.version}, medians of ${String(RUNS)} interleaved runs`);
  console.log(`hit          ${hit.toFixed(1)} ms`);
  console.log(`node -e 0    ${nothing.toFixed(1)} ms`);
  console.log(`ratio        ${(hit / nothing).toFixed(3)}`);
} finally {
  rmSync(home, { recursive: true, force: true });
}
