/**
 * Makes Bun report no crash. Its report has the arguments of the command, in which a secret can be, and on macOS and
 * Windows Bun also sends the report elsewhere. No option turns this off. The two places that begin a report load the
 * address of its heading. There, an instruction that does not exist takes the place of the load: Bun then finds that it
 * crashed while it reported a crash, says so in one line, and ends. Source: Bun's src/crash_handler/lib.rs.
 */
import type { BunSource } from '../targets.ts';
import { findCodeReferences } from './code-references.ts';

/** The first line of a report. */
const HEADING = /(?<!=)={60}\n/g;

/** Where a report begins: after a signal or an exception, and after an error of Bun's own code. */
const BEGINNINGS = 2;

/** Instructions that never exist. Sources: Intel's manual, volume 2, UD2; Arm's reference manual, C6.2, UDF. */
const NO_INSTRUCTION: Readonly<Record<BunSource['processor'], Buffer>> = {
  x64: Buffer.from([0x0f, 0x0b]),
  arm64: Buffer.alloc(4),
};

/** What Bun then says, in two places, and what it says instead. On Linux, most crashes before a run begins are this one. */
const [LAST_WORDS, REASON] = ['panicked during a panic. Aborting.', 'Bun crashed. Is /proc not mounted?'];
const PLACES_OF_LAST_WORDS = 2;

/** Returns the offsets of the instructions that begin a report. */
export function findCrashReports(program: Buffer, processor: BunSource['processor']): number[] {
  const headings = [...program.toString('latin1').matchAll(HEADING)];
  if (headings.length !== 1) throw new Error(`this Bun has ${headings.length} headings of crash reports, not one`);
  return headings.flatMap(({ index }) => findCodeReferences(program, index, processor));
}

/**
 * Replaces the beginnings of reports in place.
 *
 * @throws Error when they are not found as expected
 */
export function silenceCrashReport(program: Buffer, processor: BunSource['processor']): void {
  const reports = findCrashReports(program, processor);
  if (reports.length !== BEGINNINGS)
    throw new Error(`this Bun begins a crash report in ${reports.length} places, not in ${BEGINNINGS}`);
  for (const at of reports) NO_INSTRUCTION[processor].copy(program, at);
}

/**
 * Makes a crash on Linux name its likely reason.
 *
 * @throws Error when what Bun says of a crash is not found as expected
 */
export function nameReasonOfCrash(program: Buffer): void {
  let places = 0;
  for (let at = program.indexOf(LAST_WORDS); at !== -1; at = program.indexOf(LAST_WORDS, at)) {
    program.write(REASON, at);
    places += 1;
  }
  if (places !== PLACES_OF_LAST_WORDS)
    throw new Error(`this Bun says "${LAST_WORDS}" in ${places} places, not in ${PLACES_OF_LAST_WORDS}`);
}
