/** Reads single files of archives. A pinned integrity vouches for every archive that is read here. */
import { buffer } from 'node:stream/consumers';
import { promisify } from 'node:util';
import { inflateRaw } from 'node:zlib';
import { extract } from 'tar-stream';

const inflate = promisify<Buffer, Buffer>(inflateRaw);

/**
 * Returns one file of an uncompressed tar archive.
 *
 * @throws Error when the archive does not contain it
 */
export async function readTarMember(archive: Buffer, name: string): Promise<Buffer> {
  const entries = extract();
  entries.end(archive);
  for await (const entry of entries) {
    if (entry.header.name === name) return await buffer(entry);
    entry.resume();
  }
  throw new Error(`the tar archive does not contain ${name}`);
}

/**
 * Returns one file of a zip archive. No installed package reads zip archives, and this needs neither `unzip` nor
 * Python. Source: PKWARE's APPNOTE.TXT, sections 4.3.7 (local header), 4.3.12 (central directory) and 4.3.16 (end
 * record).
 *
 * @throws Error when the archive does not contain it
 */
export async function readZipMember(archive: Buffer, name: string): Promise<Buffer> {
  // Start at the end record and the central directory: local headers may lack sizes.
  const end = archive.lastIndexOf(Buffer.from('PK\x05\x06', 'latin1'));
  if (end < 0) throw new Error('this is not a zip archive');
  const count = archive.readUInt16LE(end + 10);
  let at = archive.readUInt32LE(end + 16);
  for (let index = 0; index < count; index += 1) {
    const method = archive.readUInt16LE(at + 10);
    const compressedSize = archive.readUInt32LE(at + 20);
    const nameLength = archive.readUInt16LE(at + 28);
    if (archive.toString('utf8', at + 46, at + 46 + nameLength) === name) {
      const local = archive.readUInt32LE(at + 42);
      const start = local + 30 + archive.readUInt16LE(local + 26) + archive.readUInt16LE(local + 28);
      const data = archive.subarray(start, start + compressedSize);
      if (method === 0) return data;
      if (method === 8) return inflate(data);
      throw new Error(`${name} is compressed with the unknown method ${method}`);
    }
    at += 46 + nameLength + archive.readUInt16LE(at + 30) + archive.readUInt16LE(at + 32);
  }
  throw new Error(`the zip archive does not contain ${name}`);
}
