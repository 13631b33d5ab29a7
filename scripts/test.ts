// `npm test`: builds the programs, starts a real Keystone, runs the tests with tap, and prints the number of assertions
// as its last line. A plain `tap` cannot share one Keystone among test files, and does not explain why tests are
// missing.
//
// usage: node scripts/test.ts [--stress | --packaged [--made]] [TEST-FILE...] --stress: run the attacks on the cache in
// full size, one file at a time. --packaged: build the single executable of this platform, and test it instead of the
// bundles. With --made, test the one that `npm run package` has built.

import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { availableParallelism, constants, tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';

import { createTenancy } from '../test/support/tenancy.ts';
import type { TestEnvironment } from '../test/support/test-environment.ts';
import type { Federation, FederationAddress } from './federation/federation.ts';
import { findApache } from './federation/find-apache.ts';
import { startKeystone } from './keystone/keystone.ts';
import type { Keystone, KeystoneAddress } from './keystone/keystone.ts';
import { findKeystone } from './keystone/find-keystone.ts';
import { makePki } from './lib/pki.ts';
import { executablePath, hostTarget } from './package/targets.ts';
import type { Pki } from './lib/pki.ts';
import { describeCounts, reportTap } from './lib/test-report.ts';

const root = dirname(import.meta.dirname);
const nodeFlags = ['--disable-warning=ExperimentalWarning'];

/** Test files of a plain `npm test`. */
const ALL = /^test\/(?!package\/)/;
const STRESS = /^test\/stress\//;
/** Tests of what users do, of packages, and of what differs inside an executable. */
const PACKAGED = /^test\/(?:e2e|package)\/|^test\/stress\/keyring\.test\.ts$/;
/**
 * Files that run after the others, because Keystone sometimes reports for a moment that a user has no role in a project
 * while other tests use it. These tests create application credentials, which Keystone then rejects.
 */
const ALONE = /^test\/stress\/saved-secrets\.test\.ts$/;

let running: ChildProcess | undefined;

type Server = Pick<Keystone, 'readLog' | 'stop'>;

interface Selection {
  readonly full: boolean;
  readonly files: readonly string[];
}

// Not process.exitCode: after a failure, a server that is still starting would keep this process alive.
process.exit(await main(process.argv.slice(2)));

async function main(args: string[]): Promise<number> {
  const dir = mkdtempSync(join(tmpdir(), 'client-keystone-auth-test-'));
  const removeDir = (): void => {
    rmSync(dir, { recursive: true, force: true });
  };
  process.once('exit', removeDir);
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const)
    process.on(signal, () => {
      interrupt(signal);
    });

  const servers: Server[] = [];
  const selection = selectTests(args);
  try {
    const packaged = args.includes('--packaged') ? await findPackaged(args.includes('--made')) : {};
    if (packaged.CKA_PACKAGED === undefined) {
      await runNode('building the program', [...nodeFlags, join(root, 'scripts/build.ts')]);
    }
    await buildTap();
    const env = { ...(await prepareEnvironment(dir, servers, selection)), ...packaged };
    return await runTests(selection, env);
  } catch (error) {
    console.error(`\n${error instanceof Error ? error.message : String(error)}`);
    for (const server of servers) console.error(await server.readLog());
    console.log(describeCounts({ passed: 0, failed: 1, skipped: 0 }));
    return 1;
  } finally {
    await Promise.all(servers.map((server) => server.stop()));
    removeDir();
  }
}

/** Passes the signal to the running child, so that the cleanup follows. Without a child, exits. */
function interrupt(signal: NodeJS.Signals): void {
  if (running === undefined) process.exit(128 + constants.signals[signal]);
  running.kill(signal);
}

/** Starts the servers, and returns the variables that tell the tests where they are, or why they are missing. */
async function prepareEnvironment(
  dir: string,
  servers: Server[],
  selection: Selection,
): Promise<Record<string, string>> {
  const keystone = await findKeystone((line) => {
    console.error(line);
  });
  if ('missing' in keystone) {
    allowMissing('a real Keystone', keystone.missing);
    return { CKA_KEYSTONE_MISSING: keystone.missing, CKA_FEDERATION_MISSING: keystone.missing };
  }
  const [pki, http] = await Promise.all([makePki(join(dir, 'pki')), start({ dir: join(dir, 'keystone') })]);
  const tlsBase = { ...pki.server, clientCa: pki.ca };
  const [tenancy, tls, mutualTls, federation] = await Promise.all([
    createTenancy(http),
    start({ dir: http.dir, tls: tlsBase }),
    start({ dir: http.dir, tls: { ...tlsBase, requireClientCert: true } }),
    selection.files.some(needsFederation)
      ? prepareFederation(http, pki, dir, servers)
      : { missing: 'no test file of this run imports it' },
  ]);
  const env: Record<string, string> = {};
  let address: FederationAddress | undefined;
  if ('missing' in federation) env['CKA_FEDERATION_MISSING'] = federation.missing;
  else {
    await federation.admitUsers(tenancy);
    address = federation;
  }
  const environment: TestEnvironment = {
    http: toAddress(http),
    tls: toAddress(tls),
    mutualTls: toAddress(mutualTls),
    pki,
    tenancy,
    ...(address === undefined ? {} : { federation: address }),
  };
  const file = join(dir, 'environment.json');
  writeFileSync(file, JSON.stringify(environment), { mode: 0o600 });
  return { ...env, CKA_TEST_ENVIRONMENT: file };

  async function start(options: Parameters<typeof startKeystone>[0]): Promise<Keystone> {
    const server = await startKeystone(options);
    servers.push(server);
    return server;
  }
}

async function prepareFederation(
  home: Keystone,
  pki: Pki,
  dir: string,
  servers: Server[],
): Promise<Federation | { missing: string }> {
  const apache = await findApache((line) => {
    console.error(line);
  });
  if ('missing' in apache) {
    allowMissing('federation with a real Apache', apache.missing);
    return apache;
  }
  // Imported here, because the identity provider takes a while to load.
  const { startFederation } = await import('./federation/federation.ts');
  const federation = await startFederation(home, pki, join(dir, 'federation'));
  servers.push(federation);
  return federation;
}

/**
 * Reports that tests will be skipped.
 *
 * @throws Error in CI, where nothing may be missing
 */
function allowMissing(what: string, reason: string): void {
  const isCi = /^(?:true|1)$/.test(process.env['CI'] ?? '');
  if (isCi) throw new Error(`CI must test against ${what}, which is missing: ${reason}`);
  console.error(`The tests that need ${what} are skipped: ${reason}`);
}

function toAddress({ url, adminPassword, accessLog }: KeystoneAddress): KeystoneAddress {
  return { url, adminPassword, accessLog };
}

/** Builds tap's plugins. tap 21 needs them in .tap, and a test run that has to build them fails. */
async function buildTap(): Promise<void> {
  if (existsSync(join(root, '.tap/plugins'))) return;
  await runNode('building tap', [findTap(), 'build']);
}

function selectTests(args: readonly string[]): Selection {
  const full = args.includes('--stress');
  const files = args.filter((arg) => !arg.startsWith('--'));
  const pattern = full ? STRESS : args.includes('--packaged') ? PACKAGED : ALL;
  return { full, files: files.length > 0 ? files : listTestFiles().filter((file) => pattern.test(file)) };
}

/** Whether a test file needs the federation servers, which take seconds to start. */
function needsFederation(file: string): boolean {
  const path = resolve(root, file);
  return existsSync(path) && readFileSync(path, 'utf8').includes('/support/federation.ts');
}

async function runTests({ full, files }: Selection, environment: Record<string, string>): Promise<number> {
  const coverage = ['--allow-incomplete-coverage', '--allow-empty-coverage', '--coverage-report=text-summary'];
  // A longer timeout than tap's 30 s, because a file of logins at a real server takes long on a small machine. More
  // jobs than tap's default, which leaves one processor free, because many files mostly wait.
  const jobs = full ? 1 : availableParallelism();
  const options = ['--reporter=tap', `--timeout=${full ? 3600 : 600}`, `--jobs=${jobs}`, ...coverage];
  const counts = { passed: 0, failed: 0, skipped: 0 };
  const env = { ...filterEnvironment(), ...environment, ...(full ? { CKA_STRESS: 'full' } : {}) };
  const together = interleave(files.filter((file) => !ALONE.test(file)));
  let status = 0;
  for (const group of [together, files.filter((file) => ALONE.test(file))]) {
    if (group.length === 0) continue;
    status = (await runProgram([findTap(), 'run', ...options, ...group], env, reportTap(counts))) || status;
  }
  if (status !== 0 && counts.failed === 0) {
    console.log(`tap exited with status ${String(status)} without a failed assertion; this counts as one failure.`);
    counts.failed = 1;
  }
  console.log(describeCounts(counts));
  return counts.failed > 0 ? status || 1 : status;
}

/** Takes files from both ends in turn: those at one end of the alphabet compute, those at the other end wait. */
function interleave(files: readonly string[]): string[] {
  return [...new Set(files.flatMap((file, index) => [file, files.at(-1 - index) ?? file]))];
}

/** Returns the environment without a developer's OpenStack login and without the variables of an outer test run. */
function filterEnvironment(): NodeJS.ProcessEnv {
  return Object.fromEntries(
    Object.entries(process.env).filter(([name]) => !/^(?:OS|CKA(?!_STRESS$)|TAP)_|^TAP$/.test(name)),
  );
}

function listTestFiles(): string[] {
  const files = readdirSync(join(root, 'test'), { recursive: true, encoding: 'utf8' });
  return files
    .filter((file) => file.endsWith('.test.ts'))
    .map((file) => `test/${file.replaceAll('\\', '/')}`)
    .toSorted();
}

/** Returns the path of this platform's executable, and builds it unless it is already built. */
async function findPackaged(isMade: boolean): Promise<{ CKA_PACKAGED?: string }> {
  const target = hostTarget();
  const path = join(root, executablePath(target));
  if (!isMade) {
    await runNode('building the executable', [...nodeFlags, join(root, 'scripts/package.ts'), '--target', target.name]);
  } else if (!existsSync(path)) {
    throw new Error(`--made: ${path} does not exist; run "npm run package" first`);
  }
  return { CKA_PACKAGED: path };
}

function findTap(): string {
  const manifest = createRequire(import.meta.url).resolve('tap/package.json');
  return join(dirname(manifest), 'dist/esm/run.mjs');
}

async function runNode(step: string, args: string[]): Promise<void> {
  const status = await runProgram(args, filterEnvironment());
  if (status !== 0) throw new Error(`${step} failed with status ${String(status)}`);
}

/** Runs Node and returns its exit status. Its stdout goes to `output`, or to the terminal. */
async function runProgram(args: string[], env: NodeJS.ProcessEnv, output?: NodeJS.WritableStream): Promise<number> {
  const stdout = output === undefined ? 'inherit' : 'pipe';
  const child = spawn(process.execPath, args, { cwd: root, env, stdio: ['ignore', stdout, 'inherit'] });
  if (output !== undefined) child.stdout?.pipe(output);
  running = child;
  try {
    return await new Promise((resolve, reject) => {
      child.once('error', reject);
      child.once('close', (code) => {
        resolve(code ?? 1);
      });
    });
  } finally {
    running = undefined;
  }
}
