/** Writes archives reproducibly: fixed times, no owner, members in the order that the caller gives. */
import { buffer } from 'node:stream/consumers';
import { promisify } from 'node:util';
import { gzip } from 'node:zlib';
import { pack } from 'tar-stream';
import { ZipFile } from 'yazl';

/** A file in an archive. */
export interface ArchiveMember {
  readonly name: string;
  readonly contents: Buffer;
  readonly executable: boolean;
}

/** Higher levels take several times as long and save only a few percent. */
const COMPRESSION_LEVEL = 5;

const compress = promisify<Buffer, object, Buffer>(gzip);

/** Compresses bytes. The header has no name and no time. */
export async function compressWithGzip(bytes: Buffer): Promise<Buffer> {
  return compress(bytes, { level: COMPRESSION_LEVEL });
}

const getMode = ({ executable }: ArchiveMember): number => (executable ? 0o755 : 0o644);

/** Writes a `.tar.gz`. All files are from 1970. */
export async function writeTarGz(members: readonly ArchiveMember[]): Promise<Buffer> {
  const archive = pack();
  for (const member of members) {
    archive.entry({ name: member.name, mode: getMode(member), mtime: new Date(0) }, member.contents);
  }
  archive.finalize();
  return compressWithGzip(await buffer(archive));
}

/**
 * Writes a `.zip`. All files are from July 1980: the format starts in 1980, and yazl changes times close to its start.
 */
export async function writeZip(members: readonly ArchiveMember[]): Promise<Buffer> {
  const archive = new ZipFile();
  const options = {
    // A zip file holds local times, so the same local time gives the same bytes in every time zone.
    mtime: new Date(1980, 6, 1),
    forceDosTimestamp: true,
    compressionLevel: COMPRESSION_LEVEL,
  };
  for (const member of members) {
    archive.addBuffer(member.contents, member.name, { ...options, mode: 0o100000 | getMode(member) });
  }
  archive.end();
  return buffer(archive.outputStream);
}
