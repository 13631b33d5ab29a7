/**
 * `npm run bench`: what a run costs beyond starting Node. The hit path and a login, unpackaged and packaged, against
 * `node -e 0` of the same Node, in turn, so that a noisy machine disturbs all alike. Builds what it measures, says how
 * it compares with the bars, and writes bench/RESULTS.md.
 *
 * usage: npm run bench [-- RUNS]
 */
import { execFile, execFileSync, spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { stat } from 'node:fs/promises';
import { availableParallelism, cpus, release, tmpdir, totalmem } from 'node:os';
import { join, resolve } from 'node:path';
import { text } from 'node:stream/consumers';
import { promisify } from 'node:util';
import { recordedUsers, startStandIn } from '../test/support/stand-in-keystone.ts';
import { executableOf, hostTarget } from './package/targets.ts';
import { python } from './keystone/packages.ts';
import { makePki } from './pki.ts';

const RUNS = Number(process.argv[2] ?? 100);
const WARM_UP = 5;
const RESULTS = 'bench/RESULTS.md';
const UNPACKAGED = [process.execPath, resolve('dist/client-keystone-auth.cjs')];

const run = promisify(execFile);

interface Case {
  readonly name: string;
  readonly argv: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly expected: string;
}

interface Sample {
  readonly ms: number;
  readonly cpuMs: number;
  readonly rssBytes: number;
}

/** A program is run by a shell of its own, as by a kubectl: to the plugin, the same parent again is a warning sign. */
const byShell = (argv: readonly string[]): string[] => ['/bin/sh', '-c', '"$0" "$@"; exit $?', ...argv];

async function measure(cases: readonly Case[]): Promise<readonly (readonly Sample[])[]> {
  const child = spawn(python, ['scripts/measure.py'], { stdio: ['pipe', 'pipe', 'inherit'] });
  const plan = cases.map(({ argv, env, expected }) => ({ argv: byShell(argv), env, expected }));
  child.stdin.end(JSON.stringify({ runs: RUNS, warmUp: WARM_UP, cases: plan }));
  const printed = await text(child.stdout);
  if (printed === '') throw new Error('nothing was measured');
  return JSON.parse(printed) as Sample[][];
}

function quantile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;
}

const median = (values: readonly number[]): number => quantile(values, 0.5);

interface Figures {
  readonly name: string;
  readonly ms: number;
  readonly p10: number;
  readonly p90: number;
  readonly ratio: number;
  readonly cpuMs: number;
  readonly rssMb: number;
}

function summarize(name: string, samples: readonly Sample[], bare: number): Figures {
  const times = samples.map(({ ms }) => ms);
  return {
    name,
    ms: median(times),
    p10: quantile(times, 0.1),
    p90: quantile(times, 0.9),
    ratio: median(times) / bare,
    cpuMs: median(samples.map(({ cpuMs }) => cpuMs)),
    rssMb: Math.max(...samples.map(({ rssBytes }) => rssBytes)) / 1e6,
  };
}

function table(figures: readonly Figures[]): string {
  const head =
    '| Run | median ms | p10 | p90 | × `node -e 0` | CPU ms | RSS MB |\n| --- | --: | --: | --: | --: | --: | --: |';
  const rows = figures.map(
    ({ name, ms, p10, p90, ratio, cpuMs, rssMb }) =>
      `| ${[name, ms.toFixed(1), p10.toFixed(1), p90.toFixed(1), ratio.toFixed(2), cpuMs.toFixed(0), rssMb.toFixed(1)].join(' | ')} |`,
  );
  return [head, ...rows].join('\n');
}

/** Nothing that names this machine. */
function describeMachine(): string {
  const model = cpus()[0]?.model.trim() ?? 'unknown processor';
  const memory = `${(totalmem() / 2 ** 30).toFixed(0)} GiB`;
  return `${process.platform} ${release()}, ${availableParallelism()} × ${model}, ${memory}, Node ${process.version}`;
}

async function compressedSize(file: string): Promise<number> {
  const { stdout } = await run('/bin/sh', ['-c', 'xz -6 -T0 -c "$0" | wc -c', file]);
  return Number(stdout);
}

function makePackaged(): string {
  const target = hostTarget();
  execFileSync(process.execPath, ['scripts/package.ts', '--target', target.name], {
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  return resolve(executableOf(target));
}

const packaged = makePackaged();
const home = mkdtempSync(join(tmpdir(), 'bench-'));
try {
  const pki = await makePki(join(home, 'pki'));
  const keystone = await startStandIn({ tls: pki.server });
  const env = {
    PATH: process.env['PATH'] ?? '',
    HOME: home,
    OS_AUTH_URL: `${keystone.url}/v3`,
    OS_CACERT: pki.ca,
    OS_USERNAME: 'alice',
    OS_USER_DOMAIN_NAME: 'acme',
    OS_PASSWORD: recordedUsers.find(({ name }) => name === 'alice')?.password ?? '',
    OS_PROJECT_NAME: 'web',
    OS_PROJECT_DOMAIN_NAME: 'acme',
  };
  const info = { apiVersion: 'client.authentication.k8s.io/v1', kind: 'ExecCredential', spec: { interactive: false } };
  const byKubectl = { ...env, KUBERNETES_EXEC_INFO: JSON.stringify(info) };
  const expected = '"kind":"ExecCredential"';
  const miss = ['--force-refresh'];
  const cases: readonly Case[] = [
    { name: '`node -e 0`', argv: [process.execPath, '-e', '0'], env, expected: '' },
    { name: 'hit, unpackaged', argv: UNPACKAGED, env, expected },
    { name: 'hit, packaged', argv: [packaged], env, expected },
    { name: 'hit by kubectl, unpackaged', argv: UNPACKAGED, env: byKubectl, expected },
    { name: 'hit by kubectl, packaged', argv: [packaged], env: byKubectl, expected },
    { name: 'login, unpackaged', argv: [...UNPACKAGED, ...miss], env, expected },
    { name: 'login, packaged', argv: [packaged, ...miss], env, expected },
  ];
  const samples = await measure(cases);
  await keystone.close();
  const bare = median((samples[0] ?? []).map(({ ms }) => ms));
  const figures = cases.map(({ name }, index) => summarize(name, samples[index] ?? [], bare));
  const find = (name: string): Figures => {
    const found = figures.find((one) => one.name === name);
    if (found === undefined) throw new Error(`not measured: ${name}`);
    return found;
  };
  const bytes = (await stat(packaged)).size;
  const bars: readonly (readonly [what: string, measured: number, bar: number, unit: string])[] = [
    ['hit, packaged, × `node -e 0`', find('hit, packaged').ratio, 0.88, ''],
    ['hit by kubectl, packaged, × `node -e 0`', find('hit by kubectl, packaged').ratio, 0.88, ''],
    ['RSS of a hit, packaged', find('hit, packaged').rssMb, 45, ' MB'],
    ['CPU of a login, packaged', find('login, packaged').cpuMs, 150, ' ms'],
    ['executable', bytes / 1e6, 115, ' MB'],
    ['executable as .xz', (await compressedSize(packaged)) / 1e6, 32, ' MB'],
  ];
  const verdicts = bars.map(
    ([what, measured, bar, unit]) =>
      `| ${what} | ${measured.toFixed(2)}${unit} | ≤ ${bar}${unit} | ${measured <= bar ? 'yes' : '**no**'} |`,
  );
  const report = `# Results of \`npm run bench\`

Written by it; ${String(RUNS)} interleaved runs of each. ${describeMachine()}. The Keystone is the stand-in of the tests, over TLS on
loopback; CPU is user and system time of the plugin alone, RSS the largest seen.

${table(figures)}

| | Measured | Bar | Kept |
| --- | --: | --: | --- |
${verdicts.join('\n')}
`;
  console.log(report);
  mkdirSync('bench', { recursive: true });
  writeFileSync(RESULTS, report);
} finally {
  rmSync(home, { recursive: true, force: true });
}
