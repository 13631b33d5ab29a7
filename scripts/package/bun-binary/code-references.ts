/**
 * Finds the instructions of a program that load the address of one of its bytes. Sources: System V ABI, "Program
 * Header"; Apple's mach-o/loader.h; Microsoft's "PE Format"; Intel's manual, volume 2, LEA and MOV; Arm's reference
 * manual, C6.2, ADRP and ADD (immediate).
 */
import type { BunSource } from '../targets.ts';

/** A part of a program that is loaded to one place. */
interface LoadedPart {
  readonly at: number;
  readonly size: number;
  readonly address: number;
  readonly isCode: boolean;
}

const readNumber = (program: Buffer, at: number): number => Number(program.readBigUInt64LE(at));

function listElfParts(program: Buffer): LoadedPart[] {
  const headers = readNumber(program, 32);
  return Array.from({ length: program.readUInt16LE(56) }, (_, index) => headers + index * 56)
    .filter((at) => program.readUInt32LE(at) === 1)
    .map((at) => ({
      at: readNumber(program, at + 8),
      size: readNumber(program, at + 32),
      address: readNumber(program, at + 16),
      isCode: (program.readUInt32LE(at + 4) & 1) !== 0,
    }));
}

const LC_SEGMENT_64 = 0x19;
const VM_PROT_EXECUTE = 4;

function listMachOParts(program: Buffer): LoadedPart[] {
  const parts: LoadedPart[] = [];
  let at = 32;
  for (let left = program.readUInt32LE(16); left > 0; left -= 1) {
    if (program.readUInt32LE(at) === LC_SEGMENT_64) {
      parts.push({
        at: readNumber(program, at + 40),
        size: readNumber(program, at + 48),
        address: readNumber(program, at + 24),
        isCode: (program.readUInt32LE(at + 60) & VM_PROT_EXECUTE) !== 0,
      });
    }
    at += program.readUInt32LE(at + 4);
  }
  return parts;
}

const IMAGE_SCN_MEM_EXECUTE = 0x20000000;

function listPeParts(program: Buffer): LoadedPart[] {
  const header = program.readUInt32LE(0x3c);
  const sections = header + 24 + program.readUInt16LE(header + 20);
  return Array.from({ length: program.readUInt16LE(header + 6) }, (_, index) => sections + index * 40).map((at) => ({
    at: program.readUInt32LE(at + 20),
    size: program.readUInt32LE(at + 16),
    address: program.readUInt32LE(at + 12),
    isCode: (program.readUInt32LE(at + 36) & IMAGE_SCN_MEM_EXECUTE) !== 0,
  }));
}

function listParts(program: Buffer): LoadedPart[] {
  if (program.toString('latin1', 1, 4) === 'ELF') return listElfParts(program);
  return program.toString('latin1', 0, 2) === 'MZ' ? listPeParts(program) : listMachOParts(program);
}

const LEA = 0x8d;

/** `mov register, address` or `lea register, [rip + distance]`. */
function findX64(program: Buffer, { at: start, size, address: base }: LoadedPart, address: number): number[] {
  const found: number[] = [];
  for (let at = start + 1; at + 6 <= start + size; at += 1) {
    const byte = program[at] ?? 0;
    if (byte === LEA) {
      const [prefix = 0, registers = 0] = [program[at - 1], program[at + 1]];
      const isRelative = (prefix === 0x48 || prefix === 0x4c) && (registers & 0xc7) === 0x05;
      if (isRelative && base + at + 6 - start + program.readInt32LE(at + 2) === address) found.push(at - 1);
    } else if (byte >= 0xb8 && byte <= 0xbf && program.readUInt32LE(at + 1) === address) found.push(at);
  }
  return found;
}

/** How many instructions may be between the two that load an address. */
const MOST_BETWEEN = 12;

/** `adrp register, page` and, soon after it, `add register, register, #offset`. */
function findArm64(program: Buffer, { at: start, size, address: base }: LoadedPart, address: number): number[] {
  const found: number[] = [];
  const end = start + size - 4;
  for (let at = start; at <= end; at += 4) {
    const word = program.readUInt32LE(at);
    if ((word & 0x1f000000) !== 0x10000000 || word >>> 31 !== 1) continue;
    // 21 bits with a sign: two low ones, and the others.
    const pages = (((word >>> 5) << 2) | ((word >>> 29) & 3)) & 0x1fffff;
    const page = Math.floor((base + at - start) / 4096) + (pages >= 0x100000 ? pages - 0x200000 : pages);
    if (page !== Math.floor(address / 4096)) continue;
    const register = word & 31;
    const add = (0x91000000 | ((address % 4096) << 10) | (register << 5)) >>> 0;
    for (let next = at + 4; next <= Math.min(end, at + MOST_BETWEEN * 4); next += 4) {
      if ((program.readUInt32LE(next) & ~31) >>> 0 === add) {
        found.push(next);
        break;
      }
    }
  }
  return found;
}

/** Returns the offsets of the instructions that load the address of the byte at an offset. */
export function findCodeReferences(program: Buffer, offset: number, processor: BunSource['processor']): number[] {
  const parts = listParts(program);
  const part = parts.find(({ at, size }) => at <= offset && offset < at + size);
  if (part === undefined) return [];
  const address = part.address + offset - part.at;
  const find = processor === 'x64' ? findX64 : findArm64;
  return parts.filter(({ isCode }) => isCode).flatMap((code) => find(program, code, address));
}
