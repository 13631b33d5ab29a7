/**
 * Writes an ad-hoc code signature into a Mach-O file. Macs with Apple's own processor do not run unsigned code. An
 * ad-hoc signature is a list of hashes and needs no key. Source of the layouts: Apple's header mach-o/loader.h and
 * XNU's kern/cs_blobs.h.
 */
import { createHash } from 'node:crypto';

const MAGIC_64 = 0xfeedfacf;
const HEADER_BYTES = 32;
const LC_SEGMENT_64 = 0x19;
const LC_CODE_SIGNATURE = 0x1d;
const SIGNATURE_COMMAND_BYTES = 16;
const SECTION_BYTES = 80;
const SECTIONS_AT = 72;
const CPU_ARM64 = 0x0100000c;

/** A segment, with the position of its load command and of its contents. */
interface Segment {
  readonly name: string;
  readonly at: number;
  readonly fileOffset: number;
  readonly fileBytes: number;
}

/** The parts of a thin 64-bit Mach-O file that signing needs. */
interface MachO {
  readonly cpu: number;
  readonly commands: number;
  readonly commandBytes: number;
  readonly segments: readonly Segment[];
  /** The offset of the first section's contents, where the room for load commands ends. */
  readonly contentsAt: number;
  readonly signature: { readonly offset: number; readonly size: number } | undefined;
}

const text = (bytes: Buffer): string => bytes.toString('latin1').replace(/\0.*$/s, '');

/**
 * Reads the headers of a program.
 *
 * @throws Error when it is not a thin 64-bit Mach-O file
 */
function readMachO(program: Buffer): MachO {
  if (program.readUInt32LE(0) !== MAGIC_64) throw new Error('not a thin 64-bit Mach-O file');
  const commands = program.readUInt32LE(16);
  const segments: Segment[] = [];
  let contentsAt = Number.POSITIVE_INFINITY;
  let signature: MachO['signature'];
  let at = HEADER_BYTES;
  for (let index = 0; index < commands; index += 1) {
    const command = program.readUInt32LE(at);
    if (command === LC_CODE_SIGNATURE) {
      signature = { offset: program.readUInt32LE(at + 8), size: program.readUInt32LE(at + 12) };
    }
    if (command === LC_SEGMENT_64) {
      segments.push({
        name: text(program.subarray(at + 8, at + 24)),
        at,
        fileOffset: Number(program.readBigUInt64LE(at + 40)),
        fileBytes: Number(program.readBigUInt64LE(at + 48)),
      });
      const sections = program.readUInt32LE(at + 64);
      for (let section = 0; section < sections; section += 1) {
        // Zero-filled sections have no contents and therefore no offset.
        const offset = program.readUInt32LE(at + SECTIONS_AT + section * SECTION_BYTES + 48);
        if (offset > 0) contentsAt = Math.min(contentsAt, offset);
      }
    }
    at += program.readUInt32LE(at + 4);
  }
  return {
    cpu: program.readUInt32LE(4),
    commands,
    commandBytes: program.readUInt32LE(20),
    segments,
    contentsAt,
    signature,
  };
}

function findSegment(name: string, { segments }: MachO): Segment {
  const segment = segments.find((candidate) => candidate.name === name);
  if (segment === undefined) throw new Error(`the Mach-O file has no segment ${name}`);
  return segment;
}

// Source: kern/cs_blobs.h. All numbers in a signature are big-endian.
const EMBEDDED_SIGNATURE = 0xfade0cc0;
const CODE_DIRECTORY = 0xfade0c02;
const REQUIREMENTS = 0xfade0c01;
const CMS_WRAPPER = 0xfade0b01;
const SLOT_CODE_DIRECTORY = 0;
const SLOT_REQUIREMENTS = 2;
const SLOT_CMS = 0x10000;
/** The first version with the position of executable code. */
const VERSION_EXEC_SEGMENT = 0x20400;
const DIRECTORY_HEADER_BYTES = 88;
const FLAG_ADHOC = 0x2;
const EXEC_MAIN_BINARY = 0x1n;
const HASH_SHA256 = 2;
const HASH_BYTES = 32;
const PAGE_SHIFT = 12;
const PAGE_BYTES = 1 << PAGE_SHIFT;

const hash = (bytes: Uint8Array): Buffer => createHash('sha256').update(bytes).digest();
const roundUp = (size: number, to: number): number => Math.ceil(size / to) * to;

function wrap(magic: number, body: Buffer): Buffer {
  const head = Buffer.alloc(8);
  head.writeUInt32BE(magic, 0);
  head.writeUInt32BE(head.length + body.length, 4);
  return Buffer.concat([head, body]);
}

const NO_REQUIREMENTS = wrap(REQUIREMENTS, Buffer.alloc(4));
const NO_CERTIFICATE = wrap(CMS_WRAPPER, Buffer.alloc(0));

/** Computes the layout of a code directory for `bytes` of code. */
function computeLayout(identifier: string, bytes: number): { hashesAt: number; pages: number; size: number } {
  const pages = Math.ceil(bytes / PAGE_BYTES);
  const hashesAt = DIRECTORY_HEADER_BYTES + identifier.length + 1 + SLOT_REQUIREMENTS * HASH_BYTES;
  return { hashesAt, pages, size: hashesAt + pages * HASH_BYTES };
}

/**
 * Makes the list of hashes: of every page of the file and, with negative slots, of the other parts of the signature.
 */
function makeDirectory(code: Buffer, identifier: string, main: Segment): Buffer {
  const { hashesAt, pages, size } = computeLayout(identifier, code.length);
  const directory = Buffer.alloc(size);
  const fields: readonly (readonly [at: number, value: number])[] = [
    [0, CODE_DIRECTORY],
    [4, size],
    [8, VERSION_EXEC_SEGMENT],
    [12, FLAG_ADHOC],
    [16, hashesAt],
    [20, DIRECTORY_HEADER_BYTES],
    [24, SLOT_REQUIREMENTS],
    [28, pages],
    [32, code.length],
  ];
  for (const [at, value] of fields) directory.writeUInt32BE(value, at);
  directory.set([HASH_BYTES, HASH_SHA256, 0, PAGE_SHIFT], 36);
  directory.writeBigUInt64BE(BigInt(main.fileOffset), 64);
  directory.writeBigUInt64BE(BigInt(main.fileBytes), 72);
  directory.writeBigUInt64BE(EXEC_MAIN_BINARY, 80);
  directory.write(identifier, DIRECTORY_HEADER_BYTES, 'latin1');
  directory.set(hash(NO_REQUIREMENTS), hashesAt - SLOT_REQUIREMENTS * HASH_BYTES);
  for (let page = 0; page < pages; page += 1) {
    directory.set(hash(code.subarray(page * PAGE_BYTES, (page + 1) * PAGE_BYTES)), hashesAt + page * HASH_BYTES);
  }
  return directory;
}

function joinBlobs(blobs: readonly (readonly [slot: number, blob: Buffer])[]): Buffer {
  const index = Buffer.alloc(4 + blobs.length * 8);
  index.writeUInt32BE(blobs.length, 0);
  let offset = 8 + index.length;
  blobs.forEach(([slot, blob], number) => {
    index.writeUInt32BE(slot, 4 + number * 8);
    index.writeUInt32BE(offset, 8 + number * 8);
    offset += blob.length;
  });
  return wrap(EMBEDDED_SIGNATURE, Buffer.concat([index, ...blobs.map(([, blob]) => blob)]));
}

/**
 * Returns the program without its signature.
 *
 * @throws Error when it is not signed, or not at its end
 */
export function removeMachOSignature(program: Buffer): Buffer {
  const file = readMachO(program);
  const last = findSegment('__LINKEDIT', file);
  const { signature } = file;
  const commandAt = HEADER_BYTES + file.commandBytes - SIGNATURE_COMMAND_BYTES;
  const isLast =
    signature !== undefined &&
    program.readUInt32LE(commandAt) === LC_CODE_SIGNATURE &&
    last.fileOffset + last.fileBytes === program.length &&
    signature.offset + signature.size === program.length;
  if (!isLast) throw new Error('the Mach-O file has no signature at its end');
  const code = Buffer.from(program.subarray(0, signature.offset));
  code.fill(0, commandAt, commandAt + SIGNATURE_COMMAND_BYTES);
  code.writeUInt32LE(file.commands - 1, 16);
  code.writeUInt32LE(file.commandBytes - SIGNATURE_COMMAND_BYTES, 20);
  code.writeBigUInt64LE(BigInt(signature.offset - last.fileOffset), last.at + 48);
  return code;
}

/**
 * Returns the program with an ad-hoc signature at its end.
 *
 * @throws Error when the program is signed already, or has no room for the load command
 */
export function signAdHoc(program: Buffer, identifier: string): Buffer {
  const file = readMachO(program);
  if (file.signature !== undefined) throw new Error('the Mach-O file is signed already');
  const commandAt = HEADER_BYTES + file.commandBytes;
  if (commandAt + SIGNATURE_COMMAND_BYTES > file.contentsAt)
    throw new Error('the Mach-O file has no room for a load command');

  const offset = roundUp(program.length, 16);
  // The index has entries for three blobs.
  const fixed = 8 + 4 + 3 * 8 + NO_REQUIREMENTS.length + NO_CERTIFICATE.length;
  const size = roundUp(fixed + computeLayout(identifier, offset).size, 16);
  const code = Buffer.concat([program], offset);

  code.writeUInt32LE(file.commands + 1, 16);
  code.writeUInt32LE(file.commandBytes + SIGNATURE_COMMAND_BYTES, 20);
  for (const [index, value] of [LC_CODE_SIGNATURE, SIGNATURE_COMMAND_BYTES, offset, size].entries()) {
    code.writeUInt32LE(value, commandAt + index * 4);
  }
  // The signature is part of the last segment, in the file and in memory.
  const last = findSegment('__LINKEDIT', file);
  const bytes = offset + size - last.fileOffset;
  const page = file.cpu === CPU_ARM64 ? 16_384 : 4_096;
  code.writeBigUInt64LE(BigInt(roundUp(bytes, page)), last.at + 32);
  code.writeBigUInt64LE(BigInt(bytes), last.at + 48);

  const signature = joinBlobs([
    [SLOT_CODE_DIRECTORY, makeDirectory(code, identifier, findSegment('__TEXT', file))],
    [SLOT_REQUIREMENTS, NO_REQUIREMENTS],
    [SLOT_CMS, NO_CERTIFICATE],
  ]);
  return Buffer.concat([code, Buffer.concat([signature], size)]);
}
