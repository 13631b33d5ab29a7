// Removes the signature of a Portable Executable file, which is invalid after any change.
// Source: Microsoft, "PE Format", sections "Optional Header Data Directories" and "The Attribute Certificate Table".

const PE_OFFSET_AT = 0x3c;
const COFF_HEADER_BYTES = 24;
const PE32_PLUS = 0x20b;
const DIRECTORIES_AT = 112;
const CERTIFICATE_TABLE = 4;
const DIRECTORY_BYTES = 8;
const CHECKSUM_AT = 64;

/** Positions and values in the headers of a program for Windows. */
interface PortableExecutable {
  readonly machine: number;
  /** The position of the certificate table's entry, and its content. */
  readonly certificates: { readonly at: number; readonly offset: number; readonly size: number };
  readonly checksumAt: number;
}

/**
 * Reads the headers of a program.
 *
 * @throws Error when it is not a 64-bit PE file
 */
function readPortableExecutable(program: Buffer): PortableExecutable {
  const pe = program.readUInt32LE(PE_OFFSET_AT);
  if (program.toString('latin1', pe, pe + 4) !== 'PE\0\0') throw new Error('not a PE file');
  const optional = pe + COFF_HEADER_BYTES;
  if (program.readUInt16LE(optional) !== PE32_PLUS) throw new Error('not a 64-bit PE file');
  const at = optional + DIRECTORIES_AT + CERTIFICATE_TABLE * DIRECTORY_BYTES;
  return {
    machine: program.readUInt16LE(pe + 4),
    certificates: { at, offset: program.readUInt32LE(at), size: program.readUInt32LE(at + 4) },
    checksumAt: optional + CHECKSUM_AT,
  };
}

/**
 * Returns the program without its signature.
 *
 * @throws Error when the signature is not at the end of the file
 */
export function removeSignature(program: Buffer): Buffer {
  const { certificates, checksumAt } = readPortableExecutable(program);
  const { at, offset, size } = certificates;
  if (size === 0) return program;
  if (offset + size !== program.length) throw new Error('the signature is not at the end of the PE file');
  const unsigned = Buffer.from(program.subarray(0, offset));
  unsigned.fill(0, at, at + DIRECTORY_BYTES);
  // Only drivers need a checksum.
  unsigned.writeUInt32LE(0, checksumAt);
  return unsigned;
}
