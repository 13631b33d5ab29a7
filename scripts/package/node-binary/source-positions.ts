/**
 * Node has V8 look at every object of its heap at each start (`CpuProfiler::UseDetailedSourcePositionsForProfiling`), so that
 * a profiler can later tell inlined functions apart: a twentieth of a cache hit. Nobody profiles a plugin, and V8 finds the
 * lines of an error's stack when they are asked for. No option turns it off, so that function returns at once.
 * An exported symbol of ELF (System V ABI, chapters 4 and 5), which stripping leaves in.
 */

const SYMBOL = '_ZN2v811CpuProfiler38UseDetailedSourcePositionsForProfilingEPNS_7IsolateE';

/** By the machine that ELF names: `ret`. */
const RETURN: Readonly<Record<number, Buffer>> = { 62: Buffer.from('c3', 'hex'), 183: Buffer.from('c0035fd6', 'hex') };

const MACHINE_AT = 0x12;
const SEGMENTS = { table: 0x20, bytes: 0x36, count: 0x38 };
const SECTIONS = { table: 0x28, bytes: 0x3a, count: 0x3c };
const LOAD = 1;
const DYNAMIC_SYMBOLS = 11;
const SYMBOL_BYTES = 24;

const wordAt = (program: Buffer, at: number): number => Number(program.readBigUInt64LE(at));

/** Offsets of the entries of one of ELF's two tables. */
function entries(program: Buffer, { table, bytes, count }: typeof SEGMENTS): number[] {
  const [start, size] = [wordAt(program, table), program.readUInt16LE(bytes)];
  return Array.from({ length: program.readUInt16LE(count) }, (_, index) => start + index * size);
}

function findAddress(program: Buffer): number | undefined {
  const sections = entries(program, SECTIONS);
  const symbols = sections.find((at) => program.readUInt32LE(at + 4) === DYNAMIC_SYMBOLS);
  const names = symbols === undefined ? undefined : sections[program.readUInt32LE(symbols + 40)];
  if (symbols === undefined || names === undefined) return undefined;
  const texts = wordAt(program, names + 24);
  const wanted = program.indexOf(`\0${SYMBOL}\0`, texts, 'latin1') + 1;
  const [first, bytes] = [wordAt(program, symbols + 24), wordAt(program, symbols + 32)];
  for (let at = first; at < first + bytes; at += SYMBOL_BYTES) {
    if (texts + program.readUInt32LE(at) === wanted) return wordAt(program, at + 8);
  }
  return undefined;
}

/** Where in the file that function begins; undefined where it is not found. */
function findFunction(program: Buffer): number | undefined {
  const address = findAddress(program);
  if (address === undefined) return undefined;
  for (const at of entries(program, SEGMENTS)) {
    const [offset, start, length] = [8, 16, 32].map((field) => wordAt(program, at + field));
    if (program.readUInt32LE(at) !== LOAD || offset === undefined || start === undefined || length === undefined)
      continue;
    if (address >= start && address < start + length) return offset + address - start;
  }
  return undefined;
}

/** The first bytes of that function, to read or to overwrite, and those that it would return with. */
function findStart(program: Buffer): { readonly start: Buffer; readonly code: Buffer } | undefined {
  const [at, code] = [findFunction(program), RETURN[program.readUInt16LE(MACHINE_AT)]];
  return at === undefined || code === undefined ? undefined : { start: program.subarray(at, at + code.length), code };
}

/** Whether that function does nothing. */
export function isSourcePositionsDisabled(program: Buffer): boolean {
  const found = findStart(program);
  return found?.start.equals(found.code) === true;
}

/**
 * Makes that function do nothing, in place.
 *
 * @param program an ELF file
 * @throws where it is not found: then this Node is made in another way, which wants to be looked at
 */
export function disableSourcePositions(program: Buffer): void {
  const found = findStart(program);
  if (found === undefined) throw new Error(`this Node has no ${SYMBOL}`);
  found.code.copy(found.start);
}
