// Loaded into the test process and into the programs under test by `npm test -- --jitter SEED`: delays things at random,
// as a busy machine does, so that a race that needs a busy machine shows on a quiet one. Nothing happens earlier, in
// another order, or in another way than a program must expect.
//
// scripts/lib/bundle-jitter.ts makes one file of this, because a program under test is loaded without TypeScript.

import { syncBuiltinESMExports } from 'node:module';
import { basename } from 'node:path';

import { delayCalls } from './calls.ts';
import { Delays, makeRandom } from './delays.ts';
import { delayProcesses } from './processes.ts';
import { delaySockets } from './sockets.ts';

/** Replaced by the seed of the run. */
declare const JITTER_SEED: string;

const program = basename(process.argv[1] ?? '');
// Runs of one program must differ from each other, but a test file must not differ from itself.
const run = program.endsWith('.test.ts') ? '' : String(process.pid);
const delays = new Delays(makeRandom(`${JITTER_SEED} ${program} ${run}`));
delaySockets(delays);
delayCalls(delays);
delayProcesses(delays);
syncBuiltinESMExports();
