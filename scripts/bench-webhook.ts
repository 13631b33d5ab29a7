/**
 * `npm run bench:webhook`: measures how fast the built webhook answers, alone and under attack. It builds the programs,
 * compares the figures with their limits, and writes bench/WEBHOOK.md.
 *
 * The speed of a busy machine changes from second to second. Therefore the cases alternate in short rounds, and each is
 * compared with the reference of its own round: a review that the webhook answers without a policy, a token or a
 * request. The machine also generates the load and runs the stand-in Keystone.
 *
 * usage: npm run bench:webhook [-- ROUNDS]
 */
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { loadavg } from 'node:os';
import { join } from 'node:path';
import { generateLoad } from '../test/support/load-generator.ts';
import type { LoadResult } from '../test/support/load-generator.ts';
import { makeAccessReview, makeFakeToken, makeTokenReview } from '../test/support/webhook-client.ts';
import { countValidations, issueToken, startTestKeystone } from '../test/support/webhook-keystone.ts';
import { startWebhookProcess } from '../test/support/webhook-process.ts';
import type { WebhookProcess } from '../test/support/webhook-process.ts';
import { makeTestFolder, shareTestPki } from '../test/support/webhook-settings.ts';
import { describeMachine, estimate, median, showEstimate } from './lib/estimate.ts';
import type { Estimate } from './lib/estimate.ts';

const ROUNDS = Number(process.argv[2] ?? 30);
const WARM_UP = 2;
const RESULTS = 'bench/WEBHOOK.md';
const CONNECTIONS = 64;
const SLICE_MS = 500;
const SILENT_CONNECTIONS = 500;
const INVALID_TOKENS_PER_SECOND = 500;
const POLICY_ENTRIES = 1_000;

/** Ends an attack. */
type End = () => Promise<void> | void;

interface Case {
  readonly name: string;
  readonly body: string;
  /** What a correct response contains. */
  readonly expected: string;
  readonly attack?: () => Promise<End>;
}

/** The slices of one case, one for each round. */
interface Figures extends Case {
  readonly slices: readonly LoadResult[];
  readonly ratio: Estimate;
}

/** Sends a request on every connection as soon as the last one is answered. */
function measure(port: number, ca: Buffer, { name, body, expected }: Case): Promise<LoadResult> {
  let end: number | undefined;
  return generateLoad({
    port,
    ca,
    connections: CONNECTIONS,
    nextBody: () => {
      end ??= performance.now() + SLICE_MS;
      return performance.now() < end ? body : undefined;
    },
    onResponse: (response) => {
      if (!response.includes(expected)) throw new Error(`${name}: ${response}`);
    },
  });
}

async function holdSilentConnections(port: number): Promise<End> {
  const sockets = Array.from({ length: SILENT_CONNECTIONS }, () => connect(port, '127.0.0.1'));
  await Promise.all(sockets.map((socket) => once(socket, 'connect')));
  return () => {
    for (const socket of sockets) socket.on('error', () => undefined).destroy();
  };
}

/** Sends invalid tokens at a fixed rate, whether or not they are answered. */
function sendInvalidTokens(webhook: WebhookProcess): End {
  const startedAt = performance.now();
  const reviews: Promise<void>[] = [];
  const timer = setInterval(() => {
    const due = ((performance.now() - startedAt) * INVALID_TOKENS_PER_SECOND) / 1_000;
    while (reviews.length < due) {
      const review = webhook.reviewToken(makeFakeToken()).then(({ authenticated }) => {
        if (authenticated === true) throw new Error('an invalid token was accepted');
      });
      reviews.push(review);
    }
  }, 5);
  return async () => {
    clearInterval(timer);
    await Promise.all(reviews);
  };
}

function readResidentMb({ pid }: WebhookProcess): number {
  return Number(/VmHWM:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? Number.NaN) / 1024;
}

function makePolicy(): string {
  const entries = Array.from({ length: POLICY_ENTRIES }, (_, number) => ({
    users: { projects: ['demo'], roles: ['member'] },
    resource_permissions: { [`web-${number}/['pods', 'services']`]: ['get', 'list'] },
  }));
  return JSON.stringify(entries);
}

async function runCases(webhook: WebhookProcess, cases: readonly Case[]): Promise<readonly Figures[]> {
  const ca = readFileSync((await shareTestPki()).ca);
  const slices = cases.map((): LoadResult[] => []);
  for (let round = -WARM_UP; round < ROUNDS; round += 1) {
    const order = [...cases.entries()];
    // Every other round runs backward, so that no case is always the first.
    for (const [index, oneCase] of round % 2 === 0 ? order : order.reverse()) {
      const end = await oneCase.attack?.();
      const result = await measure(webhook.port, ca, oneCase);
      await end?.();
      if (round >= 0) slices[index]?.push(result);
    }
  }
  const [reference = []] = slices;
  return cases.map((oneCase, index) => {
    const own = slices[index] ?? [];
    const ratios = own.map(({ perSecond }, round) => (reference[round]?.perSecond ?? Number.NaN) / perSecond);
    return { ...oneCase, slices: own, ratio: estimate(ratios) };
  });
}

const medianOf = ({ slices }: Figures, name: keyof LoadResult): number => median(slices.map((slice) => slice[name]));

function renderTable(figures: readonly Figures[]): string {
  const rows = figures.map((one) => {
    const times = (['p50Ms', 'p99Ms', 'maxMs'] as const).map((name) => medianOf(one, name).toFixed(1));
    return `| ${[one.name, medianOf(one, 'perSecond').toFixed(0), ...times, showEstimate(one.ratio)].join(' | ')} |`;
  });
  return `| Review | per second | p50 ms | p99 ms | maximum ms | × the first |
| --- | --: | --: | --: | --: | --: |
${rows.join('\n')}`;
}

type Limit = readonly [name: string, measured: number, limit: number, unit: string, isMinimum?: true];

function renderLimits(limits: readonly Limit[]): string {
  const rows = limits.map(([name, measured, limit, unit, isMinimum]) => {
    const isMet = isMinimum ? measured >= limit : measured <= limit;
    const sign = isMinimum ? '≥' : '≤';
    return `| ${name} | ${measured.toFixed(0)} ${unit} | ${sign} ${limit} ${unit} | ${isMet ? 'yes' : '**no**'} |`;
  });
  return `| | Measured | Limit | Met |
| --- | --: | --: | --- |
${rows.join('\n')}`;
}

const cleanups: (() => unknown)[] = [];
const owner = { teardown: (task: () => unknown) => cleanups.push(task) };
try {
  execFileSync(process.execPath, ['scripts/build.ts'], { stdio: ['ignore', 'ignore', 'inherit'] });
  const keystone = await startTestKeystone(owner);
  const policy = join(makeTestFolder(owner), 'policy.json');
  writeFileSync(policy, makePolicy());
  const args = ['--log-level', 'info', '--keystone-policy-file', policy];
  const webhook = await startWebhookProcess(owner, { keystone, args });
  const token = issueToken(keystone);
  await webhook.reviewToken(token);
  const simpleReview = {
    ...makeAccessReview(),
    spec: { user: 'system:apiserver', nonResourceAttributes: { path: '/', verb: 'get' } },
  };
  const review = {
    body: JSON.stringify(makeAccessReview({ namespace: `web-${POLICY_ENTRIES - 1}`, roles: ['member'] })),
    expected: `entry ${POLICY_ENTRIES} `,
  };
  const tokenReview = { body: JSON.stringify(makeTokenReview(token)), expected: '"authenticated":true' };
  const startedAt = performance.now();
  const cases: readonly Case[] = [
    {
      name: 'SubjectAccessReview of an account of the cluster',
      body: JSON.stringify(simpleReview),
      expected: 'not a user of Keystone',
    },
    { name: `SubjectAccessReview with ${POLICY_ENTRIES} entries, of which the last allows it`, ...review },
    { name: 'TokenReview from the cache', ...tokenReview },
    {
      name: `the same beside ${SILENT_CONNECTIONS} silent connections`,
      ...tokenReview,
      attack: () => holdSilentConnections(webhook.port),
    },
    {
      name: `the same beside ${INVALID_TOKENS_PER_SECOND} invalid tokens per second`,
      ...tokenReview,
      attack: async () => sendInvalidTokens(webhook),
    },
  ];
  const figures = await runCases(webhook, cases);
  const find = (start: string): Figures => {
    const match = figures.find(({ name }) => name.startsWith(start));
    if (match === undefined) throw new Error(`${start} was not measured`);
    return match;
  };
  const limits: readonly Limit[] = [
    ['TokenReviews from the cache', medianOf(find('TokenReview'), 'perSecond'), 2_500, 'per second', true],
    ['TokenReviews from the cache, p99', medianOf(find('TokenReview'), 'p99Ms'), 50, 'ms'],
    [
      'SubjectAccessReviews with a policy',
      medianOf(find(`SubjectAccessReview with`), 'perSecond'),
      2_000,
      'per second',
      true,
    ],
    ['SubjectAccessReviews with a policy, p99', medianOf(find(`SubjectAccessReview with`), 'p99Ms'), 50, 'ms'],
    [
      'TokenReviews beside silent connections, p99',
      medianOf(find(`the same beside ${SILENT_CONNECTIONS} silent`), 'p99Ms'),
      100,
      'ms',
    ],
    ['requests to Keystone', countValidations(keystone) / ((performance.now() - startedAt) / 1_000), 20, 'per second'],
    ['largest RSS', readResidentMb(webhook), 200, 'MB'],
  ];
  const report = `# Results of \`npm run bench:webhook\`

${String(ROUNDS)} rounds of ${SLICE_MS} ms for each case, with ${CONNECTIONS} connections over TLS. ${describeMachine()}, load
${loadavg()[0]?.toFixed(1) ?? '?'} in total. The machine also generates the load and runs a stand-in for Keystone. The figures are medians
of the rounds. The last column compares the time for a review with that of the first case in the same round: the median, and its 95 %
confidence interval.

${renderTable(figures)}

${renderLimits(limits)}
`;
  console.log(report);
  mkdirSync('bench', { recursive: true });
  writeFileSync(RESULTS, report);
} finally {
  for (const cleanup of cleanups.reverse()) await cleanup();
}
