/**
 * `npm run bench`: what a run costs beyond starting Node. The hit path and a login, unpackaged and packaged, against
 * `node -e 0` of the same Node. Builds what it measures, says how it compares with the bars, and writes
 * bench/RESULTS.md.
 *
 * A machine that does other things too changes its speed within a second, by more than what is to be seen here. So the
 * cases take turns, every other round backwards; a run is compared with the `node -e 0` of its own round only; and of
 * these ratios the median is given, with the range that it would fall into in 95 of 100 such benchmarks. Both programs
 * are copied and read in anew first, see measure.py.
 *
 * usage: npm run bench [-- ROUNDS]
 */
import { execFile, execFileSync, spawn } from 'node:child_process';
import { copyFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { stat } from 'node:fs/promises';
import { availableParallelism, cpus, loadavg, release, tmpdir, totalmem } from 'node:os';
import { join, resolve } from 'node:path';
import { text } from 'node:stream/consumers';
import { promisify } from 'node:util';
import { recordedUsers, startStandInKeystone } from '../test/support/stand-in-keystone.ts';
import { executablePath, hostTarget } from './package/targets.ts';
import { PYTHON } from './keystone/find-keystone.ts';
import { makePki } from './lib/pki.ts';

const ROUNDS = Number(process.argv[2] ?? 100);
const WARM_UP = 5;
const RESAMPLES = 2000;
const RESULTS = 'bench/RESULTS.md';

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
  readonly faults: number;
}

async function measure(cases: readonly Case[], evict: readonly string[]): Promise<readonly (readonly Sample[])[]> {
  const child = spawn(PYTHON, ['scripts/measure.py'], { stdio: ['pipe', 'pipe', 'inherit'] });
  child.stdin.end(JSON.stringify({ rounds: ROUNDS, warmUp: WARM_UP, evict, cases }));
  const printed = await text(child.stdout);
  if (printed === '') throw new Error('nothing was measured');
  return JSON.parse(printed) as Sample[][];
}

function quantile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;
}

const median = (values: readonly number[]): number => quantile(values, 0.5);

/** A median, and the range that holds it with 95 % confidence. */
interface Estimate {
  readonly value: number;
  readonly low: number;
  readonly high: number;
}

/** Bootstrap: what the median would have been, had the same rounds been drawn in other numbers. */
function estimate(values: readonly number[]): Estimate {
  const medians = Array.from({ length: RESAMPLES }, () =>
    median(values.map(() => values[Math.floor(Math.random() * values.length)] ?? Number.NaN)),
  );
  return { value: median(values), low: quantile(medians, 0.025), high: quantile(medians, 0.975) };
}

interface Figures {
  readonly name: string;
  readonly ms: number;
  readonly p10: number;
  readonly p90: number;
  readonly ratio: Estimate;
  readonly cpuMs: Estimate;
  readonly cpuRatio: Estimate;
  readonly rssMb: number;
  readonly faults: number;
}

function summarize(name: string, samples: readonly Sample[], bare: readonly Sample[]): Figures {
  const times = samples.map(({ ms }) => ms);
  const cpuTimes = samples.map(({ cpuMs }) => cpuMs);
  const neighbour = (round: number, of: 'ms' | 'cpuMs'): number => bare[round]?.[of] ?? Number.NaN;
  return {
    name,
    ms: median(times),
    p10: quantile(times, 0.1),
    p90: quantile(times, 0.9),
    ratio: estimate(times.map((time, round) => time / neighbour(round, 'ms'))),
    cpuMs: estimate(cpuTimes),
    cpuRatio: estimate(cpuTimes.map((time, round) => time / neighbour(round, 'cpuMs'))),
    rssMb: Math.max(...samples.map(({ rssBytes }) => rssBytes)) / 1e6,
    faults: median(samples.map(({ faults }) => faults)),
  };
}

const show = ({ value, low, high }: Estimate, digits = 2): string =>
  `${value.toFixed(digits)} (${low.toFixed(digits)}–${high.toFixed(digits)})`;

function table(figures: readonly Figures[]): string {
  const head = `| Run | median ms | p10 | p90 | × \`node -e 0\` | CPU ms | CPU × | RSS MB | page faults |
| --- | --: | --: | --: | --: | --: | --: | --: | --: |`;
  const rows = figures.map(({ name, ms, p10, p90, ratio, cpuMs, cpuRatio, rssMb, faults }) => {
    const cells = [name, ms.toFixed(1), p10.toFixed(1), p90.toFixed(1), show(ratio), cpuMs.value.toFixed(0)];
    return `| ${[...cells, show(cpuRatio), rssMb.toFixed(1), String(faults)].join(' | ')} |`;
  });
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
  return resolve(executablePath(target));
}

const made = makePackaged();
const home = mkdtempSync(join(tmpdir(), 'bench-'));
try {
  const [packaged, node] = [join(home, 'client-keystone-auth'), join(home, 'node')];
  copyFileSync(made, packaged);
  copyFileSync(process.execPath, node);
  const unpackaged = [node, resolve('dist/client-keystone-auth.cjs')];
  const pki = await makePki(join(home, 'pki'));
  const keystone = await startStandInKeystone({ tls: pki.server });
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
  // The packaged hits stand next to what they are compared with.
  const cases: readonly Case[] = [
    { name: 'hit, packaged', argv: [packaged], env, expected },
    { name: '`node -e 0`', argv: [node, '-e', '0'], env, expected: '' },
    { name: 'hit by kubectl, packaged', argv: [packaged], env: byKubectl, expected },
    { name: 'hit, unpackaged', argv: unpackaged, env, expected },
    { name: 'hit by kubectl, unpackaged', argv: unpackaged, env: byKubectl, expected },
    { name: 'login, packaged', argv: [packaged, ...miss], env, expected },
    { name: 'login, unpackaged', argv: [...unpackaged, ...miss], env, expected },
  ];
  const samples = await measure(cases, [packaged, node]);
  await keystone.close();
  const figures = cases.map(({ name }, index) => summarize(name, samples[index] ?? [], samples[1] ?? []));
  const find = (name: string): Figures => {
    const found = figures.find((one) => one.name === name);
    if (found === undefined) throw new Error(`not measured: ${name}`);
    return found;
  };
  const bytes = (await stat(packaged)).size;
  const sure = (value: number): Estimate => ({ value, low: value, high: value });
  const bars: readonly (readonly [what: string, measured: Estimate, bar: number, unit: string])[] = [
    ['hit, packaged, × `node -e 0`', find('hit, packaged').ratio, 0.88, ''],
    ['hit by kubectl, packaged, × `node -e 0`', find('hit by kubectl, packaged').ratio, 0.88, ''],
    ['RSS of a hit, packaged', sure(find('hit, packaged').rssMb), 45, ' MB'],
    ['CPU of a login, packaged', find('login, packaged').cpuMs, 150, ' ms'],
    ['executable', sure(bytes / 1e6), 115, ' MB'],
    ['executable as .xz', sure((await compressedSize(packaged)) / 1e6), 32, ' MB'],
  ];
  const verdicts = bars.map(([what, measured, bar, unit]) => {
    const shown = measured.low === measured.high ? measured.value.toFixed(2) : show(measured);
    return `| ${what} | ${shown}${unit} | ≤ ${bar}${unit} | ${measured.value <= bar ? 'yes' : '**no**'} |`;
  });
  const report = `# Results of \`npm run bench\`

Written by it; ${String(ROUNDS)} rounds, each with a run of every kind. ${describeMachine()}, load ${loadavg()[0]?.toFixed(1) ?? '?'}
besides. The Keystone is the stand-in of the tests, over TLS on loopback; CPU is user and system time of the plugin alone, RSS the
largest seen. A ratio is the median of those to the run of \`node -e 0\` in the same round, with the range that holds it with 95 %
confidence.

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
