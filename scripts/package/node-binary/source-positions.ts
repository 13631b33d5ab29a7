/**
 * Turns off V8's preparation for profilers. At each start, Node makes V8 visit every object of its heap
 * (`CpuProfiler::UseDetailedSourcePositionsForProfiling`), so that a profiler can distinguish inlined functions. This
 * takes a twentieth of a cache hit. The stacks of errors do not need it. No option turns it off, so the function is
 * overwritten to return immediately. It is an exported ELF symbol, which stripping keeps. Source: System V ABI,
 * chapters 4 and 5.
 */

const SYMBOL = '_ZN2v811CpuProfiler38UseDetailedSourcePositionsForProfilingEPNS_7IsolateE';

/** The code of `ret`, by ELF's number of the machine. */
const RETURN: Readonly<Record<number, Buffer>> = { 62: Buffer.from('c3', 'hex'), 183: Buffer.from('c0035fd6', 'hex') };

const MACHINE_AT = 0x12;
const SEGMENTS = { table: 0x20, bytes: 0x36, count: 0x38 };
const SECTIONS = { table: 0x28, bytes: 0x3a, count: 0x3c };
const LOAD = 1;
const DYNAMIC_SYMBOLS = 11;
const SYMBOL_BYTES = 24;

const readWord = (program: Buffer, at: number): number => Number(program.readBigUInt64LE(at));

/** Lists the offsets of the entries of one of ELF's two tables. */
function listEntries(program: Buffer, { table, bytes, count }: typeof SEGMENTS): number[] {
  const [start, size] = [readWord(program, table), program.readUInt16LE(bytes)];
  return Array.from({ length: program.readUInt16LE(count) }, (_, index) => start + index * size);
}

function findAddress(program: Buffer): number | undefined {
  const sections = listEntries(program, SECTIONS);
  const symbols = sections.find((at) => program.readUInt32LE(at + 4) === DYNAMIC_SYMBOLS);
  const names = symbols === undefined ? undefined : sections[program.readUInt32LE(symbols + 40)];
  if (symbols === undefined || names === undefined) return undefined;
  const texts = readWord(program, names + 24);
  const nameAt = program.indexOf(`\0${SYMBOL}\0`, texts, 'latin1') + 1;
  const [first, bytes] = [readWord(program, symbols + 24), readWord(program, symbols + 32)];
  for (let at = first; at < first + bytes; at += SYMBOL_BYTES) {
    if (texts + program.readUInt32LE(at) === nameAt) return readWord(program, at + 8);
  }
  return undefined;
}

/** Returns the offset of the function in the file; undefined if it is not found. */
function findFunction(program: Buffer): number | undefined {
  const address = findAddress(program);
  if (address === undefined) return undefined;
  for (const at of listEntries(program, SEGMENTS)) {
    const [offset, start, length] = [8, 16, 32].map((field) => readWord(program, at + field));
    if (program.readUInt32LE(at) !== LOAD || offset === undefined || start === undefined || length === undefined)
      continue;
    if (address >= start && address < start + length) return offset + address - start;
  }
  return undefined;
}

/** Returns the first bytes of the function, as a view, and the code that returns immediately. */
function findStart(program: Buffer): { readonly start: Buffer; readonly code: Buffer } | undefined {
  const [at, code] = [findFunction(program), RETURN[program.readUInt16LE(MACHINE_AT)]];
  return at === undefined || code === undefined ? undefined : { start: program.subarray(at, at + code.length), code };
}

/** Whether the function returns immediately. */
export function isSourcePositionsDisabled(program: Buffer): boolean {
  const match = findStart(program);
  return match?.start.equals(match.code) === true;
}

/**
 * Makes the function return immediately, in place.
 *
 * @param program an ELF file
 * @throws Error when the function is not found: this Node may be built in another way
 */
export function disableSourcePositions(program: Buffer): void {
  const match = findStart(program);
  if (match === undefined) throw new Error(`this Node does not export ${SYMBOL}`);
  match.code.copy(match.start);
}
