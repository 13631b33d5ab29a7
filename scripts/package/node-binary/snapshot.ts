/**
 * Makes V8 keep the hash seed of its snapshot. V8 starts from a snapshot of its heap and then rebuilds its hash tables
 * with a new seed, which takes a fifth of the start. The new seed protects against attackers who choose names that
 * collide. They cannot do that to a plugin that runs for a second. V8 has a flag for this (`--no-rehash-snapshot`), but
 * with it V8 rejects all code that was compiled without it, including Node's. Therefore the snapshot itself is marked.
 * Source of the header layout: V8's snapshot.cc (number of contexts, whether it can be rehashed, two checksums, V8's
 * version). The checksums cover what follows and are for debugging only.
 */

const VERSION_BYTES = 64;
/** Offsets relative to the version. */
const CONTEXTS_AT = -16;
const REHASHABLE_AT = -12;
/** The number of contexts in Node's snapshot. */
const CONTEXTS = 4;

/** Returns the offset of the rehash flag in the header of V8's snapshot; undefined if there is no snapshot. */
export function findRehashFlag(program: Buffer, v8: string): number | undefined {
  const version = Buffer.alloc(VERSION_BYTES);
  version.write(v8, 'latin1');
  const offsets: number[] = [];
  for (let at = program.indexOf(version); at >= 0; at = program.indexOf(version, at + 1)) {
    if (program.readUInt32LE(at + CONTEXTS_AT) === CONTEXTS) offsets.push(at + REHASHABLE_AT);
  }
  return offsets.length === 1 ? offsets[0] : undefined;
}

/**
 * Marks V8's snapshot, in place, as one that keeps its seed.
 *
 * @param v8 the version of V8 in the program
 * @throws Error when the flag is not found: this Node may store its snapshot in another way
 */
export function disableRehashing(program: Buffer, v8: string): void {
  const at = findRehashFlag(program, v8);
  if (at === undefined || program.readUInt32LE(at) !== 1)
    throw new Error(`this Node contains no snapshot of V8 ${v8} that is rehashed; check how it stores its snapshot`);
  program.writeUInt32LE(0, at);
}
