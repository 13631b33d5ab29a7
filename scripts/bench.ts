/**
 * `npm run bench`: compares a cache hit and a login with `node -e 0`: in an executable of Bun, in an executable of Node,
 * and unpackaged. It builds the programs, compares the figures with their limits, and writes bench/RESULTS.md,
 * bench/startup.svg and bench/login.svg. Where Go is installed, it also measures a credential plugin in Go, which makes a
 * token without any request.
 *
 * Two more programs on Bun are compiled like the plugin and do nothing: they show what Bun itself takes.
 *
 * The speed of a busy machine changes within a second, by more than the differences that matter here. Therefore the
 * cases alternate, and every other round runs backward. A run is compared only with the `node -e 0` of its own round.
 * The result is the median of these ratios, with its 95 % confidence interval. The programs are copied and read anew
 * first (see measure.py).
 *
 * usage: npm run bench [-- ROUNDS]
 */
import { execFile, spawn } from 'node:child_process';
import { copyFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { stat } from 'node:fs/promises';
import { loadavg, tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { text } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { isReliableStamp, stampFile } from '../src/shared/base/file-stamp.ts';
import { startStandInKeystone } from '../test/support/stand-in-keystone.ts';
import { recordedUsers } from '../test/support/stand-in-keystone/users.ts';
import { PYTHON } from './lib/python.ts';
import { renderBars } from './lib/bar-chart.ts';
import type { Bar } from './lib/bar-chart.ts';
import { describeMachine, estimate, median, quantile, showEstimate } from './lib/estimate.ts';
import type { Estimate } from './lib/estimate.ts';
import { findGo } from './lib/go.ts';
import { AWS_AUTHENTICATOR, buildGoTools, findGoToolPath } from './lib/go-tools.ts';
import { makePki } from './lib/pki.ts';
import { makeBothExecutables, makeSmallestPrograms } from './package/both-runtimes.ts';
import { XZ_LEVELS } from './package/system-files.ts';

const ROUNDS = Number(process.argv[2] ?? 100);
const WARM_UP = 5;
const RESULTS = 'bench/RESULTS.md';
const REFERENCE = '`node -e 0`';
const HIT_ON_BUN = 'cache hit, Bun';
const HIT_ON_NODE = 'cache hit, Node';
const LOGIN_ON_BUN = 'login, Bun';
const EMPTY = 'empty program, Bun';
const EMPTY_WITH_FILES = 'empty program with `node:fs` and `node:path`, Bun';
const AWS = '`aws-iam-authenticator token`';

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
  if (printed === '') throw new Error('measure.py printed nothing');
  return JSON.parse(printed) as Sample[][];
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

function summarize(name: string, samples: readonly Sample[], reference: readonly Sample[]): Figures {
  const times = samples.map(({ ms }) => ms);
  const cpuTimes = samples.map(({ cpuMs }) => cpuMs);
  const getReference = (round: number, figure: 'ms' | 'cpuMs'): number => reference[round]?.[figure] ?? Number.NaN;
  return {
    name,
    ms: median(times),
    p10: quantile(times, 0.1),
    p90: quantile(times, 0.9),
    ratio: estimate(times.map((time, round) => time / getReference(round, 'ms'))),
    cpuMs: estimate(cpuTimes),
    cpuRatio: estimate(cpuTimes.map((time, round) => time / getReference(round, 'cpuMs'))),
    rssMb: Math.max(...samples.map(({ rssBytes }) => rssBytes)) / 1e6,
    faults: median(samples.map(({ faults }) => faults)),
  };
}

function renderTable(figures: readonly Figures[]): string {
  const head = `| Run | median ms | p10 | p90 | × \`node -e 0\` | CPU ms | CPU × | RSS MB | page faults |
| --- | --: | --: | --: | --: | --: | --: | --: | --: |`;
  const rows = figures.map(({ name, ms, p10, p90, ratio, cpuMs, cpuRatio, rssMb, faults }) => {
    const cells = [name, ms.toFixed(1), p10.toFixed(1), p90.toFixed(1), showEstimate(ratio), cpuMs.value.toFixed(0)];
    return `| ${[...cells, showEstimate(cpuRatio), rssMb.toFixed(1), String(faults)].join(' | ')} |`;
  });
  return [head, ...rows].join('\n');
}

const isLogin = ({ name }: Figures): boolean => name.startsWith('login') || name === REFERENCE;
const isStartup = ({ name }: Figures): boolean => !name.startsWith('login');

const makeBar = ({ name, ms, p10, p90 }: Figures): Bar => ({
  label: name.replaceAll('`', ''),
  median: ms,
  low: p10,
  high: p90,
  reference: name === REFERENCE,
});

/** Compresses a file as in the packages of a release, and returns its size in bytes. */
async function compressedSize(file: string): Promise<number> {
  const { stdout } = await run('/bin/sh', ['-c', 'xz "-$1" -T0 -c "$0" | wc -c', file, String(XZ_LEVELS.small)]);
  return Number(stdout);
}

/** Builds the plugin in Go the first time; undefined without a toolchain. */
async function findAwsAuthenticator(): Promise<string | undefined> {
  if (findGo() === undefined) return undefined;
  await buildGoTools(AWS_AUTHENTICATOR);
  return findGoToolPath(AWS_AUTHENTICATOR, 'aws-iam-authenticator');
}

const home = mkdtempSync(join(tmpdir(), 'bench-'));
try {
  const { bun, node: packagedNode } = await makeBothExecutables(home);
  const smallest = await makeSmallestPrograms(home);
  const node = join(home, 'node');
  copyFileSync(process.execPath, node);
  const aws = await findAwsAuthenticator();
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
  const login = ['--force-refresh'];
  const awsEnv = {
    PATH: env.PATH,
    HOME: home,
    AWS_ACCESS_KEY_ID: 'a',
    AWS_SECRET_ACCESS_KEY: 'b',
    AWS_REGION: 'us-east-1',
  };
  // The hits on Bun run next to their references.
  const cases: readonly Case[] = [
    { name: HIT_ON_BUN, argv: [bun], env, expected },
    { name: REFERENCE, argv: [node, '-e', '0'], env, expected: '' },
    { name: `${HIT_ON_BUN}, by kubectl`, argv: [bun], env: byKubectl, expected },
    { name: EMPTY, argv: [smallest.empty], env, expected: '' },
    { name: EMPTY_WITH_FILES, argv: [smallest.withFiles], env, expected: '' },
    { name: HIT_ON_NODE, argv: [packagedNode], env, expected },
    { name: `${HIT_ON_NODE}, by kubectl`, argv: [packagedNode], env: byKubectl, expected },
    { name: 'cache hit, unpackaged', argv: unpackaged, env, expected },
    { name: 'cache hit, unpackaged, by kubectl', argv: unpackaged, env: byKubectl, expected },
    ...(aws === undefined ? [] : [{ name: AWS, argv: [aws, 'token', '-i', 'cluster'], env: awsEnv, expected }]),
    { name: LOGIN_ON_BUN, argv: [bun, ...login], env, expected },
    { name: 'login, Node', argv: [packagedNode, ...login], env, expected },
    { name: 'login, unpackaged', argv: [...unpackaged, ...login], env, expected },
  ];
  // The fast path does not trust a file that was written a moment ago.
  while (!isReliableStamp(stampFile(pki.ca), Date.now())) await sleep(100);
  const samples = await measure(cases, [bun, packagedNode, node, ...Object.values(smallest)]);
  await keystone.close();
  const figures = cases.map(({ name }, index) => summarize(name, samples[index] ?? [], samples[1] ?? []));
  const find = (name: string): Figures => {
    const match = figures.find((candidate) => candidate.name === name);
    if (match === undefined) throw new Error(`${name} was not measured`);
    return match;
  };
  const exact = (value: number): Estimate => ({ value, low: value, high: value });
  const limits: readonly (readonly [name: string, measured: Estimate, limit: number, unit: string])[] = [
    [`${HIT_ON_BUN}, × ${REFERENCE}`, find(HIT_ON_BUN).ratio, 0.22, ''],
    [`${HIT_ON_BUN}, by kubectl, × ${REFERENCE}`, find(`${HIT_ON_BUN}, by kubectl`).ratio, 0.22, ''],
    [`${LOGIN_ON_BUN}, × ${REFERENCE}`, find(LOGIN_ON_BUN).ratio, 1.4, ''],
    ['RSS of a cache hit, Bun', exact(find(HIT_ON_BUN).rssMb), 34, ' MB'],
    ['executable, Bun', exact((await stat(bun)).size / 1e6), 121, ' MB'],
    ['executable as .xz, Bun', exact((await compressedSize(bun)) / 1e6), 42, ' MB'],
    ['RSS of a cache hit, Node', exact(find(HIT_ON_NODE).rssMb), 45, ' MB'],
    ['executable, Node', exact((await stat(packagedNode)).size / 1e6), 115, ' MB'],
    ['executable as .xz, Node', exact((await compressedSize(packagedNode)) / 1e6), 32, ' MB'],
  ];
  const verdicts = limits.map(([name, measured, limit, unit]) => {
    const shown = measured.low === measured.high ? measured.value.toFixed(2) : showEstimate(measured);
    return `| ${name} | ${shown}${unit} | ≤ ${limit}${unit} | ${measured.value <= limit ? 'yes' : '**no**'} |`;
  });
  const report = `# Results of \`npm run bench\`

${String(ROUNDS)} rounds, each with one run of every case. ${describeMachine()}, load ${loadavg()[0]?.toFixed(1) ?? '?'}
from other programs. The Keystone is the stand-in of the tests, over TLS on loopback. CPU is the user and system time of the plugin
alone. RSS is the largest value. A ratio compares a run with \`node -e 0\` in the same round: the median of all rounds, and
its 95 % confidence interval. "Bun" and "Node" are executables on that runtime. An empty program on Bun only ends; a cache
hit cannot take less than one that loads \`node:fs\` and \`node:path\`, whatever its limit is.

${renderTable(figures)}

| | Measured | Limit | Met |
| --- | --: | --: | --- |
${verdicts.join('\n')}
`;
  console.log(report);
  mkdirSync('bench', { recursive: true });
  writeFileSync(RESULTS, report);
  writeFileSync('bench/startup.svg', renderBars('Time of a cache hit', figures.filter(isStartup).map(makeBar)));
  writeFileSync('bench/login.svg', renderBars('Time of a login', figures.filter(isLogin).map(makeBar)));
} finally {
  rmSync(home, { recursive: true, force: true });
}
