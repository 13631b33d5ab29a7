// `npm test`: builds the program, runs a real Keystone, lets tap run the tests against both, and says as its last line
// how many assertions passed. A plain `tap` could neither share one Keystone among test files nor be trusted to say
// why tests are missing.
//
// usage: node scripts/test.ts [--stress | --packaged [--made]] [TEST-FILE...]
// --stress runs the attacks on the cache in full size, one file at a time.
// --packaged makes the single executable of this platform and tests that instead of the bundles; with --made, the one
// that `npm run package` has made.

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

/** Test files by what is tested. */
const ALL = /^test\/(?!package\/)/;
const STRESS = /^test\/stress\//;
/** What users do, what is packaged, and what works differently inside an executable. */
const PACKAGED = /^test\/(?:e2e|package)\/|^test\/stress\/keyring\.test\.ts$/;

let running: ChildProcess | undefined;

type Server = Pick<Keystone, 'readLog' | 'stop'>;

interface Selection {
  readonly full: boolean;
  readonly files: readonly string[];
}

// Not exitCode: after a failure a server may still be starting, and would keep this process.
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
    const env = { ...(await prepareWorld(dir, servers, selection)), ...packaged };
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

/** The first signal ends what runs now, and the rest follows in order. Without a child, leaving is enough. */
function interrupt(signal: NodeJS.Signals): void {
  if (running === undefined) process.exit(128 + constants.signals[signal]);
  running.kill(signal);
}

/** Returns what the tests' environment must hold: where the world is described, or why there is none. */
async function prepareWorld(dir: string, servers: Server[], selection: Selection): Promise<Record<string, string>> {
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
      : { missing: 'no file of this run imports it' },
  ]);
  const env: Record<string, string> = {};
  let address: FederationAddress | undefined;
  if ('missing' in federation) env['CKA_FEDERATION_MISSING'] = federation.missing;
  else {
    await federation.admitUsers(tenancy);
    address = federation;
  }
  const world: TestEnvironment = {
    http: toAddress(http),
    tls: toAddress(tls),
    mutualTls: toAddress(mutualTls),
    pki,
    tenancy,
    ...(address === undefined ? {} : { federation: address }),
  };
  const file = join(dir, 'environment.json');
  writeFileSync(file, JSON.stringify(world), { mode: 0o600 });
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
  // Not above: an identity provider takes a while to load.
  const { startFederation } = await import('./federation/federation.ts');
  const federation = await startFederation(home, pki, join(dir, 'federation'));
  servers.push(federation);
  return federation;
}

/** @throws in CI, which has no excuse */
function allowMissing(what: string, reason: string): void {
  const isCi = /^(?:true|1)$/.test(process.env['CI'] ?? '');
  if (isCi) throw new Error(`CI must test against ${what}, but there is none: ${reason}`);
  console.error(`The tests that need ${what} are skipped: ${reason}`);
}

function toAddress({ url, adminPassword, accessLog }: KeystoneAddress): KeystoneAddress {
  return { url, adminPassword, accessLog };
}

/** tap 21 compiles its plugins into .tap at its first use, and a run that has to do that itself fails. */
async function buildTap(): Promise<void> {
  if (existsSync(join(root, '.tap/plugins'))) return;
  await runNode('building tap', [tapProgram(), 'build']);
}

function selectTests(args: readonly string[]): Selection {
  const full = args.includes('--stress');
  const named = args.filter((arg) => !arg.startsWith('--'));
  const chosen = full ? STRESS : args.includes('--packaged') ? PACKAGED : ALL;
  return { full, files: named.length > 0 ? named : listTestFiles().filter((file) => chosen.test(file)) };
}

/** Whether a test file has tests of the federation lane, which takes seconds to start. */
function needsFederation(file: string): boolean {
  const path = resolve(root, file);
  return existsSync(path) && readFileSync(path, 'utf8').includes('/support/federation.ts');
}

async function runTests({ full, files }: Selection, world: Record<string, string>): Promise<number> {
  const coverage = ['--allow-incomplete-coverage', '--allow-empty-coverage', '--coverage-report=text-summary'];
  // Beyond tap's 30 s: a whole file of log-ins against a real server takes its time on a small machine. Beyond tap's
  // jobs, which leave a processor free: many files mostly wait.
  const size = full ? ['--timeout=3600', '--jobs=1'] : ['--timeout=600', `--jobs=${availableParallelism()}`];
  const options = ['--reporter=tap', ...size, ...coverage];
  const counts = { passed: 0, failed: 0, skipped: 0 };
  const report = reportTap(counts);
  const env = { ...inheritedEnv(), ...world, ...(full ? { CKA_STRESS: 'full' } : {}) };
  const status = await runProgram([tapProgram(), 'run', ...options, ...mix(files)], env, report);
  if (status !== 0 && counts.failed === 0) {
    console.log(`tap ended with status ${String(status)} for a reason that is no failed assertion; it counts as one.`);
    counts.failed = 1;
  }
  console.log(describeCounts(counts));
  return counts.failed > 0 ? status || 1 : status;
}

/** From both ends in turn: files that compute stand at one end of the alphabet and those that wait at the other. */
function mix(files: readonly string[]): string[] {
  return [...new Set(files.flatMap((file, index) => [file, files.at(-1 - index) ?? file]))];
}

/** A developer's own OpenStack login and an outer run's world must not reach the tests. */
function inheritedEnv(): NodeJS.ProcessEnv {
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

/** Returns where the executable of this platform is, which is made unless it is said to be there. */
async function findPackaged(isMade: boolean): Promise<{ CKA_PACKAGED?: string }> {
  const target = hostTarget();
  const path = join(root, executablePath(target));
  if (!isMade) {
    await runNode('making the executable', [...nodeFlags, join(root, 'scripts/package.ts'), '--target', target.name]);
  } else if (!existsSync(path)) {
    throw new Error(`--made: there is no ${path}; run "npm run package" first`);
  }
  return { CKA_PACKAGED: path };
}

function tapProgram(): string {
  const manifest = createRequire(import.meta.url).resolve('tap/package.json');
  return join(dirname(manifest), 'dist/esm/run.mjs');
}

async function runNode(what: string, args: string[]): Promise<void> {
  const status = await runProgram(args, inheritedEnv());
  if (status !== 0) throw new Error(`${what} failed with status ${String(status)}`);
}

/** Runs Node and returns its status. `output` gets what it prints, where that is not for the human as it is. */
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
