/**
 * `npm run bench:issuer`: measures what an exchange at the issuer costs, beside a TokenReview at the webhook, and how many
 * requests an API server answers with either kind of token. It builds the programs and writes bench/ISSUER.md.
 *
 * The speed of a busy machine changes from second to second. Therefore the cases alternate in short rounds, and a ratio
 * compares two cases of the same round. The machine also generates the load and runs the stand-in for Keystone, so the
 * processor times tell more than the speeds.
 *
 * The second part needs the kube-apiserver that scripts/build-kube-apiserver.ts builds. All of it takes about five minutes.
 *
 * usage: npm run bench:issuer [-- --rounds 10]
 */
import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { loadavg } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { WEBHOOK_PATH } from '../test/support/built-programs.ts';
import { makeIssuerCommandLine } from '../test/support/issuer-settings.ts';
import { countValidations, issueToken, startTestKeystone } from '../test/support/webhook-keystone.ts';
import { startServerProcess, startWebhookProcess } from '../test/support/webhook-process.ts';
import type { WebhookProcess } from '../test/support/webhook-process.ts';
import { makeTestFolder, shareTestPki } from '../test/support/webhook-settings.ts';
import { API_REQUESTS, startApiCases } from './bench-issuer/api-requests.ts';
import { EXCHANGES, listExchangeCases } from './bench-issuer/exchange-loads.ts';
import { runRounds } from './bench-issuer/rounds.ts';
import type { BenchSlice } from './bench-issuer/rounds.ts';
import { findKubernetes } from './kubernetes/find-kubernetes.ts';
import { readVersion } from './kubernetes/kube-apiserver.ts';
import { describeMachine, estimate, median, showEstimate } from './lib/estimate.ts';
import type { Estimate } from './lib/estimate.ts';
import { findFreePort } from './lib/free-port.ts';
import { makeOwner } from './lib/owner.ts';
import { WEBHOOK_PROGRAM } from './package/node-binary/executable.ts';

const { values: options } = parseArgs({ options: { rounds: { type: 'string', default: '10' } } });
const ROUNDS = Number(options.rounds);
if (!Number.isInteger(ROUNDS) || ROUNDS < 1) throw new Error('--rounds must be a whole number from 1 on');
const RESULTS = 'bench/ISSUER.md';

/** A plugin exchanges again two minutes before the end of a token that is valid for ten. */
const SECONDS_BETWEEN_EXCHANGES = 480;

/** The stand-in for Keystone gets as many questions as it can answer. */
const NO_LIMIT = ['--keystone-rate', '9999', '--keystone-concurrency', '64', '--log-level', 'info'];

type Slices = ReadonlyMap<string, readonly BenchSlice[]>;
type Figure = (slice: BenchSlice) => number;

const owner = makeOwner();
for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.once(signal, () => {
    void owner.end().finally(() => process.exit(1));
  });
}

function find(slices: Slices, name: string): readonly BenchSlice[] {
  const found = slices.get(name);
  if (found === undefined) throw new Error(`${name} was not measured`);
  return found;
}

const medianOf = (slices: readonly BenchSlice[], figure: Figure): number => median(slices.map(figure));

/** How many times as large a figure is in one case as in another. */
function compareCases(slices: Slices, one: string, other: string, figure: Figure): Estimate {
  const others = find(slices, other).map(figure);
  return estimate(find(slices, one).map((slice, round) => figure(slice) / (others[round] ?? Number.NaN)));
}

const speed: Figure = ({ perSecond }) => perSecond;
const processor =
  (process: string): Figure =>
  ({ processorUs }) =>
    processorUs[process] ?? Number.NaN;
/** Of all processes of a case. */
const allProcessors: Figure = ({ processorUs }) => Object.values(processorUs).reduce((sum, each) => sum + each, 0);

function renderTable(
  slices: Slices,
  columns: readonly (readonly [name: string, figure: Figure, digits: number])[],
): string {
  const all: typeof columns = [
    ['per second', speed, 0],
    ...columns,
    ['p50 ms', ({ p50Ms }) => p50Ms, 1],
    ['p99 ms', ({ p99Ms }) => p99Ms, 1],
    ['questions to Keystone', ({ questions }) => questions, 2],
  ];
  const rows = Array.from(slices, ([name, own]) => {
    const figures = all.map(([, figure, digits]) => {
      const value = medianOf(own, figure);
      return Number.isNaN(value) ? '–' : value.toFixed(digits);
    });
    return `| ${[name, ...figures].join(' | ')} |`;
  });
  return `| | ${all.map(([name]) => name).join(' | ')} |
| --- |${' --: |'.repeat(all.length)}
${rows.join('\n')}`;
}

function renderRatios(rows: readonly (readonly [name: string, ratio: Estimate])[]): string {
  return `| | × |
| --- | --: |
${rows.map(([name, ratio]) => `| ${name} | ${showEstimate(ratio)} |`).join('\n')}`;
}

function renderExchanges(slices: Slices): string {
  const cost = medianOf(find(slices, EXCHANGES.pluginExchange), processor('server'));
  const users = Math.floor((SECONDS_BETWEEN_EXCHANGES * 1e6) / cost / 1_000) * 1_000;
  const server = processor('server');
  const rows: Parameters<typeof renderRatios>[0] = [
    [
      'processor time: exchange of a new token, compared with a TokenReview of a new token',
      compareCases(slices, EXCHANGES.newExchange, EXCHANGES.newReview, server),
    ],
    [
      'processor time: exchange of a known token, compared with a TokenReview of a known token',
      compareCases(slices, EXCHANGES.knownExchange, EXCHANGES.knownReview, server),
    ],
    [
      'processor time: exchange of a new token with RS256, compared with ES256',
      compareCases(slices, EXCHANGES.newExchangeRsa, EXCHANGES.newExchange, server),
    ],
    [
      'exchanges of new tokens per second, compared with TokenReviews of new tokens',
      compareCases(slices, EXCHANGES.newExchange, EXCHANGES.newReview, speed),
    ],
  ];
  return `## Exchanges beside TokenReviews

Both servers ask the same stand-in for Keystone, with no limit of the rate; by default, each asks about 15 new tokens per second.
Keystone is an https server. A new token costs two requests to it, for the token and for the groups, on a connection for this
token. For five seconds, a known token gets the same JWT again, without a signature. As a plugin does it, each exchange has a
connection of its own too, on which the plugin reads the discovery document before.

${renderTable(slices, [['CPU µs', processor('server'), 0]])}

${renderRatios(rows)}

A plugin exchanges every ${SECONDS_BETWEEN_EXCHANGES / 60} minutes while its user works. At ${(cost / 1_000).toFixed(1)} ms of processor time for an exchange, one
processor serves ${users.toLocaleString('en')} users who work at the same time. The webhook is asked about each of these users every two minutes, by
each API server.
`;
}

function renderApi(version: string, slices: Slices): string {
  const { warmJwt, warmWebhook, newJwt, newWebhook } = API_REQUESTS;
  const rows: Parameters<typeof renderRatios>[0] = [
    [
      'requests per second with known tokens: JWT, compared with the webhook',
      compareCases(slices, warmJwt, warmWebhook, speed),
    ],
    [
      'requests per second with new tokens: JWT, compared with the webhook',
      compareCases(slices, newJwt, newWebhook, speed),
    ],
    [
      'processor time of the API server with new tokens: JWT, compared with the webhook',
      compareCases(slices, newJwt, newWebhook, processor('API server')),
    ],
    [
      'processor time of the API server and of the other server with new tokens: JWT, compared with the webhook',
      compareCases(slices, newJwt, newWebhook, allProcessors),
    ],
  ];
  return `
## Requests to kube-apiserver ${version}

One API server has the documented AuthenticationConfiguration of the issuer, and another one the webhook. Both authorize with
RBAC, and have the default lifetimes of their caches: 10 seconds for a token, and 2 minutes for an answer of the webhook. A known
token was sent before. A new one is another one for each request: the worst case. 64 requests run at a time.

${renderTable(slices, [
  ['API server CPU µs', processor('API server'), 0],
  ['issuer CPU µs', processor('issuer'), 0],
  ['webhook CPU µs', processor('webhook'), 0],
])}

${renderRatios(rows)}
`;
}

/** The programs run with the options and memory limits of the image. */
const COMMAND = [process.execPath, ...WEBHOOK_PROGRAM.execArgv, WEBHOOK_PATH] as const;

try {
  execFileSync(process.execPath, ['scripts/build.ts'], { stdio: ['ignore', 'ignore', 'inherit'] });
  const [pki, folder] = [await shareTestPki(), makeTestFolder(owner)];
  const keystone = await startTestKeystone(owner, { tls: pki.server });
  const [file, ...words] = COMMAND;

  async function startIssuer(algorithm: string): Promise<WebhookProcess & { readonly url: string }> {
    const keyFile = join(folder, `${algorithm}.json`);
    execFileSync(file, [
      ...words,
      ...['issuer', 'rotate', '--create', '--signing-keys-file', keyFile, '--signing-alg', algorithm],
    ]);
    const port = await findFreePort();
    const url = `https://127.0.0.1:${port}`;
    const args = [...NO_LIMIT, '--signing-alg', algorithm];
    const commandLine = await makeIssuerCommandLine(owner, { keystone, keyFile, port, url, args });
    return { ...(await startServerProcess(owner, commandLine, COMMAND)), url };
  }

  const webhook = await startWebhookProcess(owner, { keystone, args: NO_LIMIT, command: COMMAND });
  const issuer = await startIssuer('ES256');
  const makeToken = (): string => issueToken(keystone);
  const countQuestions = (): number => countValidations(keystone);
  const ca = readFileSync(pki.ca);
  const exchanges = await runRounds(
    listExchangeCases({
      webhook,
      issuer,
      rsaIssuer: await startIssuer('RS256'),
      ca,
      issueToken: makeToken,
      countQuestions,
    }),
    ROUNDS,
  );
  const programs = await findKubernetes(console.log);
  let apiPart = '';
  if ('missing' in programs) console.log(`The API servers are not measured: ${programs.missing}`);
  else {
    const cases = await startApiCases(owner, {
      programs,
      folder,
      pki,
      webhook,
      issuer,
      issuerUrl: issuer.url,
      issueToken: makeToken,
      countQuestions,
    });
    apiPart = renderApi(await readVersion(programs.apiServer), await runRounds(cases, ROUNDS));
  }
  const report = `# Results of \`npm run bench:issuer\`

${String(ROUNDS)} ${ROUNDS === 1 ? 'round' : 'rounds'}. ${describeMachine()}, load ${loadavg()[0]?.toFixed(1) ?? '?'} in total. The machine also
generates the load and runs a stand-in for Keystone. The figures are medians of the rounds. A ratio compares two cases of the
same round: the median, and its 95 % confidence interval. CPU is the processor time of a server for one response.

${renderExchanges(exchanges)}${apiPart}`;
  console.log(report);
  mkdirSync('bench', { recursive: true });
  writeFileSync(RESULTS, report);
} finally {
  await owner.end();
}
