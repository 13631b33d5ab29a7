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

/** Runs Node through a shell of its own, as a kubectl would be: to the plugin, the same parent again is a warning sign. */
function timeRun(args: readonly string[], env: NodeJS.ProcessEnv, expected: RegExp): number {
  const start = process.hrtime.bigint();
  const words = ['-c', '"$0" "$@"; exit $?', process.execPath, ...args];
  const { status, stdout } = spawnSync('/bin/sh', words, { env, encoding: 'utf8' });
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

  const info = { apiVersion: 'client.authentication.k8s.io/v1', kind: 'ExecCredential', spec: { interactive: false } };
  const byKubectl = { ...env, KUBERNETES_EXEC_INFO: JSON.stringify(info) };
  const runs: readonly (readonly [name: string, () => number])[] = [
    ['node -e 0', () => timeRun(['-e', '0'], env, /^$/)],
    ['hit by hand', () => timeRun([PLUGIN], env, /ExecCredential/)],
    ['hit by kubectl', () => timeRun([PLUGIN], byKubectl, /ExecCredential/)],
  ];
  const times = runs.map((): number[] => []);
  for (let run = -WARM_UP; run < RUNS; run += 1) {
    runs.forEach(([, time], index) => {
      const elapsed = time();
      if (run >= 0) times[index]?.push(elapsed);
    });
  }
  const bare = median(times[0] ?? []);
  console.log(`Node ${process.version}, medians of ${RUNS} interleaved runs`);
  runs.forEach(([name], index) => {
    const ms = median(times[index] ?? []);
    console.log(`${name.padEnd(16)}${ms.toFixed(1)} ms  ${(ms / bare).toFixed(3)}`);
  });
} finally {
  rmSync(home, { recursive: true, force: true });
}
