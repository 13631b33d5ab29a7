// `npm run mutation -- FOLDER [FILE...]`: changes the code of a folder in many ways, one at a time, and lists the changes
// that no unit test notices. The report is .mutation/FOLDER.html, with dashes instead of slashes.
//
// usage: node scripts/mutation.ts FOLDER [FILE...]

import { join } from 'node:path';
import { Stryker } from '@stryker-mutator/core';
import { TEST_RUNNER } from './mutation/tap-test-runner.ts';
import { WORDING } from './mutation/wording.ts';

interface Target {
  /** Test files of the folder: tests that need no server and no build. */
  readonly tests: readonly string[];
  /** Source files that such tests cannot cover. */
  readonly except?: readonly string[];
}

const unit = (...names: readonly string[]): string[] => names.map((name) => `test/unit/${name}.test.ts`);

const TARGETS: Readonly<Record<string, Target>> = {
  'src/plugin/fast-path': { tests: unit('cached-credential', 'fingerprint', 'fingerprint-inputs', 'token-cache') },
  'src/plugin/cache': {
    tests: unit(
      'cache-inventory',
      'cache-part',
      'checksum',
      'keyring',
      'open-token-cache',
      'private-cache-files',
      'refusals',
      'saved-secret',
      'sha256',
      'token-cache',
    ),
    // It runs in a process of its own, in which test/stress/keyring.test.ts tests it with a real keyring.
    except: ['src/plugin/cache/keyring-process.ts'],
  },
  'src/plugin/config': {
    tests: unit(
      'cloud-folders',
      'common-options',
      'clouds-yaml',
      'fingerprint',
      'go-program-compatibility',
      'layers-of-settings',
      'option-names',
      'resolve-config',
      'unsupported-methods',
      'yaml-mapping',
    ),
  },
  'src/shared/keystone': {
    tests: unit(
      'auth-url',
      'explain-response',
      'keystone-client',
      'keystone-discovery',
      'keystone-errors',
      'keystone-scope',
      'keystone-token',
      'timestamp',
      'token-comparison',
      'verify-token',
    ),
  },
  'src/webhook/authz': {
    tests: ['test/webhook/authorizer.test.ts', 'test/webhook/policy.test.ts', 'test/webhook/policy-grammar.test.ts'],
  },
  // In a process of the tests, the servers are stand-ins and time is virtual.
  'src/webhook/issuer': {
    tests: [
      'test/webhook/issuer-audiences.test.ts',
      'test/webhook/issuer-keys.test.ts',
      'test/webhook/issuer.test.ts',
      'test/property/signing-keys.test.ts',
      ...unit('issuer-routes', 'signing-key-stores', 'token-exchange-parts'),
    ],
  },
};

/** Stops a run of `npm run mutation` when a change makes the tests weaker than this. */
const MIN_SCORE = 85;

const OUTPUT = '.mutation';

async function main([folder, ...files]: readonly string[]): Promise<number> {
  const target = folder === undefined ? undefined : TARGETS[folder];
  if (folder === undefined || target === undefined) {
    console.error(`usage: npm run mutation -- FOLDER [FILE...]; the folders are ${Object.keys(TARGETS).join(', ')}`);
    return 2;
  }
  const report = join(OUTPUT, folder.replaceAll('/', '-'));
  const mutate = files.length > 0 ? files : [`${folder}/**/*.ts`, ...(target.except ?? []).map((file) => `!${file}`)];
  const plugin = (name: string): string => join(import.meta.dirname, 'mutation', name);
  const results = await new Stryker({
    mutate: [...mutate],
    plugins: [plugin('tap-test-runner.ts'), plugin('wording.ts')],
    testRunner: TEST_RUNNER,
    tapFiles: target.tests,
    ignorers: [WORDING],
    coverageAnalysis: 'perTest',
    // The processes share two processors with others: only a loop without an end takes this long.
    timeoutMS: 30_000,
    // As the runner of the tests allows a process.
    dryRunTimeoutMinutes: 30,
    maxTestRunnerReuse: 400,
    reporters: ['clear-text', 'html', 'progress-append-only'],
    clearTextReporter: { reportTests: false, allowColor: false },
    htmlReporter: { fileName: `${report}.html` },
    thresholds: { high: 95, low: MIN_SCORE, break: MIN_SCORE },
    tempDirName: join(OUTPUT, 'sandbox'),
    ignorePatterns: [OUTPUT, '.tap', '.ci', 'bench', 'dist', 'docs', 'out', 'packaging'],
    allowConsoleColors: false,
    warnings: { slow: false, unknownOptions: true, preprocessorErrors: true, unserializableOptions: true },
  }).runMutationTest();
  return results.length > 0 ? Number(process.exitCode ?? 0) : 1;
}

process.exitCode = await main(process.argv.slice(2));
