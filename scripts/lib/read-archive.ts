// Readers of archives that know only what these archives use. That is enough because a pinned integrity vouches for every
// byte they will ever see; and it needs neither a new package nor tools (unzip, python3) that a machine may lack.

import { promisify } from 'node:util';
import { inflateRaw } from 'node:zlib';

const inflateRawAsync = promisify(inflateRaw);

/** Returns one file of a tar archive. */
export function readTarMember(archive: Buffer, name: string): Buffer {
  const blockSize = 512;
  for (let at = 0; at + blockSize <= archive.length;) {
    const header = archive.subarray(at, at + blockSize);
    const size = Number.parseInt(textUntilNul(header.subarray(124, 136)), 8) || 0;
    const start = at + blockSize;
    if (textUntilNul(header.subarray(0, 100)) === name) return archive.subarray(start, start + size);
    at = start + Math.ceil(size / blockSize) * blockSize;
  }
  throw new Error(`${name} is not in the tar archive`);
}

function textUntilNul(field: Buffer): string {
  const end = field.indexOf(0);
  return field.toString('latin1', 0, end < 0 ? field.length : end);
}

/** Returns one file of a zip archive. */
export async function readZipMember(archive: Buffer, name: string): Promise<Buffer> {
  // From the end record to the central directory: local headers may lack sizes, the directory never does.
  const end = archive.lastIndexOf(Buffer.from('PK\x05\x06', 'latin1'));
  if (end < 0) throw new Error('no zip archive');
  const entries = archive.readUInt16LE(end + 10);
  let at = archive.readUInt32LE(end + 16);
  for (let entry = 0; entry < entries; entry += 1) {
    const method = archive.readUInt16LE(at + 10);
    const compressedSize = archive.readUInt32LE(at + 20);
    const nameLength = archive.readUInt16LE(at + 28);
    if (archive.toString('utf8', at + 46, at + 46 + nameLength) === name) {
      const local = archive.readUInt32LE(at + 42);
      const start = local + 30 + archive.readUInt16LE(local + 26) + archive.readUInt16LE(local + 28);
      const data = archive.subarray(start, start + compressedSize);
      if (method === 0) return data;
      if (method === 8) return inflateRawAsync(data);
      throw new Error(`${name} is compressed by the unknown method ${method}`);
    }
    at += 46 + nameLength + archive.readUInt16LE(at + 30) + archive.readUInt16LE(at + 32);
  }
  throw new Error(`${name} is not in the zip archive`);
}
