/**
 * `npm run bar:webhook`: everything that the webhook promises under load and attack, in full size: the tests of
 * identities, floods, outages, reloads and restarts over both protocols, and then the benchmark with its limits.
 *
 * usage: npm run bar:webhook [-- ARGUMENTS OF bench:webhook]
 */
import { spawnSync } from 'node:child_process';

const TESTS = [
  'test/stress/webhook.test.ts',
  ...[
    'hostile-clients',
    'hostile-http2-clients',
    'http2',
    'keystone-authenticator',
    'keystone-outage',
    'rolling-restart',
    'server',
    'slow-keystone',
  ].map((name) => `test/webhook/${name}.test.ts`),
];

/** Runs a script and returns its exit status. */
const run = (...words: readonly string[]): number =>
  spawnSync(process.execPath, words, { stdio: 'inherit' }).status ?? 1;

const tests = run('scripts/test.ts', '--stress', ...TESTS);
const benchmark = run('scripts/bench-webhook.ts', ...process.argv.slice(2));
process.exitCode = Math.max(tests, benchmark);
