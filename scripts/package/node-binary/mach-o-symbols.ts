/**
 * Drops the names of local symbols from a Mach-O file, which makes Node for macOS a sixth smaller. Nothing reads them
 * at run time. Exported symbols stay. Source of the layouts: Apple's headers mach-o/loader.h and nlist.h.
 */
import { readMachO } from './mach-o.ts';

const HEADER_BYTES = 32;
const LC_SYMTAB = 0x2;
const LC_DYSYMTAB = 0xb;
const SYMBOL_BYTES = 16;
/** Marks entries of the indirect table that refer to no symbol. */
const NO_SYMBOL = 0xc0000000;

function findCommand(program: Buffer, commands: number, type: number): number {
  let at = HEADER_BYTES;
  for (let index = 0; index < commands; index += 1) {
    if (program.readUInt32LE(at) === type) return at;
    at += program.readUInt32LE(at + 4);
  }
  throw new Error(`the Mach-O file has no load command ${type}`);
}

/** Collects names in a string table, whose first entry is empty. */
function makeStringTable(): { add: (name: Buffer) => number; bytes: () => Buffer } {
  const parts: Buffer[] = [Buffer.from(' \0')];
  let length = 2;
  return {
    add(name) {
      const at = length;
      parts.push(name);
      length += name.length;
      return at;
    },
    bytes: () => Buffer.concat(parts, Math.ceil(length / 8) * 8),
  };
}

/**
 * Returns the program without the names of its local symbols.
 *
 * @throws Error when the file is signed, or its symbols are not where linkers put them
 */
export function dropLocalSymbols(program: Buffer): Buffer {
  const { commands, segments, signature } = readMachO(program);
  if (signature !== undefined) throw new Error('the Mach-O file is signed already');
  const table = findCommand(program, commands, LC_SYMTAB);
  const parts = findCommand(program, commands, LC_DYSYMTAB);
  const [symbolsAt = 0, symbols = 0, stringsAt = 0, stringBytes = 0] = [8, 12, 16, 20].map((at) =>
    program.readUInt32LE(table + at),
  );
  const [firstLocal = 0, locals = 0] = [8, 12].map((at) => program.readUInt32LE(parts + at));
  const [indirectAt = 0, indirect = 0] = [56, 60].map((at) => program.readUInt32LE(parts + at));
  const ordered = symbolsAt + symbols * SYMBOL_BYTES <= indirectAt && indirectAt + indirect * 4 <= stringsAt;
  const linkEdit = segments.at(-1);
  const last = linkEdit?.name === '__LINKEDIT' && program.length - (stringsAt + stringBytes) < 16;
  if (!ordered || !last || firstLocal !== 0)
    throw new Error('the symbols of the Mach-O file are in an unexpected order');

  const strings = makeStringTable();
  const remaining = Buffer.from(
    program.subarray(symbolsAt + locals * SYMBOL_BYTES, symbolsAt + symbols * SYMBOL_BYTES),
  );
  for (let at = 0; at < remaining.length; at += SYMBOL_BYTES) {
    const nameAt = stringsAt + remaining.readUInt32LE(at);
    remaining.writeUInt32LE(strings.add(program.subarray(nameAt, program.indexOf(0, nameAt) + 1)), at);
  }
  const indirectTable = Buffer.from(program.subarray(indirectAt, indirectAt + indirect * 4));
  for (let at = 0; at < indirectTable.length; at += 4) {
    const index = indirectTable.readUInt32LE(at);
    if (index >= NO_SYMBOL || (index & NO_SYMBOL) !== 0) continue;
    if (index < locals) throw new Error('the indirect table of the Mach-O file uses a local symbol');
    indirectTable.writeUInt32LE(index - locals, at);
  }

  const texts = strings.bytes();
  const newIndirectAt = symbolsAt + remaining.length;
  const newStringsAt = Math.ceil((newIndirectAt + indirectTable.length) / 8) * 8;
  const head = Buffer.from(program.subarray(0, symbolsAt));
  const fields: readonly (readonly [at: number, value: number])[] = [
    [table + 12, symbols - locals],
    [table + 16, newStringsAt],
    [table + 20, texts.length],
    [parts + 12, 0],
    [parts + 16, program.readUInt32LE(parts + 16) - locals],
    [parts + 24, program.readUInt32LE(parts + 24) - locals],
    [parts + 56, newIndirectAt],
  ];
  for (const [at, value] of fields) head.writeUInt32LE(value, at);
  const tables = Buffer.concat([remaining, indirectTable], newStringsAt - symbolsAt);
  const stripped = Buffer.concat([head, tables, texts]);
  // The size in memory may stay larger. Signing sets both sizes.
  stripped.writeBigUInt64LE(BigInt(stripped.length - linkEdit.fileOffset), linkEdit.at + 48);
  return stripped;
}
