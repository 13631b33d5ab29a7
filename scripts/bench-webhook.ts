/**
 * `npm run bench:webhook`: measures how fast the built webhook answers, alone and under attack. It builds the programs,
 * compares the figures with their limits, and writes bench/WEBHOOK.md.
 *
 * The speed of a busy machine changes from second to second. Therefore the cases alternate in short rounds, and each is
 * compared with the reference of its own round: a review that the webhook answers without a policy, a token or a
 * request. The machine also generates the load and runs the stand-in Keystone.
 *
 * With a Go webhook, it compares both webhooks in turn, over each kind of connection, and behind a real kube-apiserver:
 * those that are named, or else the one that scripts/build-kube-apiserver.ts has built. It then draws bench/webhook.svg.
 * With one API server, it takes less than ten minutes.
 *
 * The webhook runs with the memory limits of its image.
 *
 * usage: npm run bench:webhook [-- [--rounds 10] [--go-webhook PATH] [--kube-apiserver PATH]...]
 */
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { loadavg } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { WEBHOOK_PATH } from '../test/support/built-programs.ts';
import { expectText, forDuration, generateLoad } from '../test/support/load-generator.ts';
import type { LoadResult } from '../test/support/load-generator.ts';
import { makeAccessReview, makeFakeToken, makeTokenReview } from '../test/support/webhook-client.ts';
import type { StandInKeystone } from '../test/support/stand-in-keystone.ts';
import { countValidations, issueToken, startTestKeystone } from '../test/support/webhook-keystone.ts';
import { startWebhookProcess } from '../test/support/webhook-process.ts';
import type { WebhookProcess } from '../test/support/webhook-process.ts';
import { makeTestFolder, shareTestPki } from '../test/support/webhook-settings.ts';
import { listApiLoads, startCluster } from './bench-webhook/behind-api-server.ts';
import type { Cluster } from './bench-webhook/behind-api-server.ts';
import { compare, readResidentMb } from './bench-webhook/compare.ts';
import type { Comparison, Webhook } from './bench-webhook/compare.ts';
import {
  listReviewLoads,
  makeCompleteAccessReview,
  makePolicyText,
  POLICY_ENTRIES,
} from './bench-webhook/review-loads.ts';
import { findKubernetes } from './kubernetes/find-kubernetes.ts';
import { readVersion } from './kubernetes/kube-apiserver.ts';
import { renderBars } from './lib/bar-chart.ts';
import type { Bar } from './lib/bar-chart.ts';
import { describeMachine, estimate, median, quantile, showEstimate } from './lib/estimate.ts';
import type { Estimate } from './lib/estimate.ts';
import { startGoWebhook } from './lib/go-webhook.ts';
import { makeOwner } from './lib/owner.ts';
import { WEBHOOK_PROGRAM } from './package/node-binary/executable.ts';

const { values: options, positionals } = parseArgs({
  options: {
    rounds: { type: 'string', default: '10' },
    'go-webhook': { type: 'string' },
    'kube-apiserver': { type: 'string', multiple: true, default: [] },
  },
  allowPositionals: true,
});
const ROUNDS = Number(positionals[0] ?? options.rounds);
if (!Number.isInteger(ROUNDS) || ROUNDS < 1) throw new Error('--rounds must be a whole number from 1 on');
const WARM_UP = 2;
const RESULTS = 'bench/WEBHOOK.md';
const CONNECTIONS = 64;
const SLICE_MS = 500;
const SILENT_CONNECTIONS = 500;
const INVALID_TOKENS_PER_SECOND = 500;
const CHART = 'bench/webhook.svg';

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
  return generateLoad({
    port,
    ca,
    connections: CONNECTIONS,
    nextBody: forDuration(SLICE_MS, () => body),
    onResponse: expectText(name, expected),
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
    return `| ${name} | ${measured.toFixed(unit === '' ? 2 : 0)} ${unit} | ${sign} ${limit} ${unit} | ${isMet ? 'yes' : '**no**'} |`;
  });
  return `| | Measured | Limit | Met |
| --- | --: | --: | --- |
${rows.join('\n')}`;
}

/** The figures of one API server. */
interface ApiFigures {
  readonly version: string;
  readonly comparisons: readonly Comparison[];
}

interface GoFigures {
  readonly reviews: readonly Comparison[];
  readonly apiServers: readonly ApiFigures[];
  readonly residentMb: { readonly ours: number; readonly theirs: number };
}

const owner = makeOwner();
const folder = makeTestFolder(owner);

type Programs = Extract<Awaited<ReturnType<typeof findKubernetes>>, { apiServer: string }>;

async function findApiServers(): Promise<readonly Programs[]> {
  const named: readonly (string | undefined)[] = options['kube-apiserver'];
  const found: Programs[] = [];
  for (const path of named.length === 0 ? [undefined] : named) {
    const programs = await findKubernetes(console.log, path);
    if ('missing' in programs) console.log(`The webhooks are not measured behind an API server: ${programs.missing}`);
    else found.push(programs);
  }
  return found;
}

/** Compares our webhook with the Go one, in all ways. Behind the API servers, both are new. */
async function compareWithGo(
  startOurs: () => Promise<Webhook>,
  program: string,
  keystone: StandInKeystone,
): Promise<GoFigures> {
  const pki = await shareTestPki();
  const startTheirs = (): Promise<Webhook> =>
    startGoWebhook(owner, { program, keystoneUrl: keystone.url, pki, folder, policyText: makePolicyText() });
  const token = issueToken(keystone);
  const targets = { ours: { webhook: await startOurs() }, theirs: { webhook: await startTheirs() } };
  const reviews = await compare(listReviewLoads(pki, token), targets, ROUNDS);
  const [ours, theirs] = [await startOurs(), await startTheirs()];
  const apiServers: ApiFigures[] = [];
  for (const programs of await findApiServers()) {
    const start = (webhook: Webhook): Promise<Cluster> =>
      startCluster(owner, webhook, { programs, folder, pki, token });
    const clusters = { ours: await start(ours), theirs: await start(theirs) };
    apiServers.push({
      version: await readVersion(programs.apiServer),
      comparisons: await compare(listApiLoads(pki), clusters, ROUNDS),
    });
    for (const { stop } of Object.values(clusters)) await stop();
  }
  return { reviews, apiServers, residentMb: { ours: readResidentMb(ours.pid), theirs: readResidentMb(theirs.pid) } };
}

function renderComparisons(comparisons: readonly Comparison[]): string {
  const rows = comparisons.map(({ review, client, ours, theirs, ratio }) => {
    const show = (slices: Comparison['ours'], name: 'perSecond' | 'processorUs' | 'p99Ms', digits = 0): string =>
      median(slices.map((slice) => slice[name])).toFixed(digits);
    const speeds = [show(ours, 'perSecond'), show(theirs, 'perSecond'), showEstimate(ratio)];
    const costs = [
      show(ours, 'processorUs'),
      show(theirs, 'processorUs'),
      show(ours, 'p99Ms', 1),
      show(theirs, 'p99Ms', 1),
    ];
    return `| ${[review, client, ...speeds, ...costs].join(' | ')} |`;
  });
  return `| | Client | per second | Go | × Go | CPU µs | Go | p99 ms | Go |
| --- | --- | --: | --: | --: | --: | --: | --: | --: |
${rows.join('\n')}`;
}

function listGoLimits({ reviews, apiServers, residentMb }: GoFigures): readonly Limit[] {
  const smallest = (comparisons: readonly Comparison[]): number =>
    Math.min(...comparisons.map(({ ratio }) => ratio.value));
  return [
    ['reviews, × Go, the smallest', smallest(reviews), 3, '', true],
    ...apiServers.map(({ version, comparisons }): Limit => [
      `behind kube-apiserver ${version}, × Go, the smallest`,
      smallest(comparisons),
      1.3,
      '',
      true,
    ]),
    [`RSS behind kube-apiserver (Go: ${residentMb.theirs.toFixed(0)} MB)`, residentMb.ours, 100, 'MB'],
  ];
}

function makeBars(label: string, { ours, theirs }: Comparison): readonly Bar[] {
  const makeBar = (name: string, slices: Comparison['ours'], reference: boolean): Bar => {
    const speeds = slices.map(({ perSecond }) => perSecond);
    return {
      label: `${label}: ${name}`,
      median: median(speeds),
      low: quantile(speeds, 0.1),
      high: quantile(speeds, 0.9),
      reference,
    };
  };
  return [makeBar('this webhook', ours, false), makeBar('Go', theirs, true)];
}

/** Draws the requests to the newest API server or, without one, the reviews over HTTP/2. */
function renderChart({ reviews, apiServers }: GoFigures): string {
  const newest = apiServers.at(-1);
  const comparisons = newest?.comparisons ?? reviews.filter(({ client }) => client.startsWith('HTTP/2'));
  const title = newest === undefined ? 'Reviews' : `Requests to kube-apiserver ${newest.version}`;
  const bars = comparisons.flatMap((one) => makeBars(`${one.review}, ${one.client}`, one));
  return renderBars(title, bars, { unit: '/s', isBetterWhen: 'longer', labelWidth: 400 });
}

function renderGoFigures({ reviews, apiServers }: GoFigures): string {
  const behind = apiServers.map(
    ({ version, comparisons }) => `## Behind kube-apiserver ${version}

Each request to the API server asks the webhook for one SubjectAccessReview, because the API server remembers none. Each
webhook has an API server and an etcd of its own on the same machine. CPU is the time of the webhook for one request.

${renderComparisons(comparisons)}
`,
  );
  return `
## Compared with the Go webhook

Both webhooks have the same policy of ${POLICY_ENTRIES} entries and are asked in turn, in rounds of 500 ms. The Go webhook asks
Keystone about each token. The ratio is the median of the rounds, and its 95 % confidence interval.

${renderComparisons(reviews)}

${behind.join('\n')}`;
}

try {
  execFileSync(process.execPath, ['scripts/build.ts'], { stdio: ['ignore', 'ignore', 'inherit'] });
  const keystone = await startTestKeystone(owner);
  const policy = join(folder, 'policy.json');
  writeFileSync(policy, makePolicyText());
  const args = ['--log-level', 'info', '--keystone-policy-file', policy];
  const command = [process.execPath, ...WEBHOOK_PROGRAM.execArgv, WEBHOOK_PATH] as const;
  const webhook = await startWebhookProcess(owner, { keystone, args, command });
  const token = issueToken(keystone);
  await webhook.reviewToken(token);
  const simpleReview = {
    ...makeAccessReview(),
    spec: { user: 'system:apiserver', nonResourceAttributes: { path: '/', verb: 'get' } },
  };
  const review = {
    body: JSON.stringify(makeCompleteAccessReview('web', 'v1')),
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
  const keystonePerSecond = countValidations(keystone) / ((performance.now() - startedAt) / 1_000);
  const program = options['go-webhook'];
  const go =
    program === undefined
      ? undefined
      : await compareWithGo(() => startWebhookProcess(owner, { keystone, args, command }), program, keystone);
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
    ['requests to Keystone', keystonePerSecond, 20, 'per second'],
    ['largest RSS', readResidentMb(webhook.pid), 200, 'MB'],
    ...(go === undefined ? [] : listGoLimits(go)),
  ];
  const report = `# Results of \`npm run bench:webhook\`

${String(ROUNDS)} rounds of ${SLICE_MS} ms for each case, with ${CONNECTIONS} connections over TLS. ${describeMachine()}, load
${loadavg()[0]?.toFixed(1) ?? '?'} in total. The machine also generates the load and runs a stand-in for Keystone. The figures are medians
of the rounds. The last column compares the time for a review with that of the first case in the same round: the median, and its 95 %
confidence interval.

${renderTable(figures)}

${renderLimits(limits)}
${go === undefined ? '' : renderGoFigures(go)}`;
  console.log(report);
  mkdirSync('bench', { recursive: true });
  writeFileSync(RESULTS, report);
  if (go !== undefined) writeFileSync(CHART, renderChart(go));
} finally {
  await owner.end();
}
