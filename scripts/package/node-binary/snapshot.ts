/**
 * V8 starts from a snapshot of its heap, and then makes its hash tables anew, with a seed of this run: a fifth of all that
 * a start does, against those who know the seed and choose names that fall on one place. Nobody who chooses names gets
 * them into a plugin that lives for a second. V8's flag against it (`--no-rehash-snapshot`) makes V8 refuse all code that
 * was compiled without the flag, Node's own too; so the snapshot itself says that it is not to be rehashed.
 * Its header (V8's snapshot.cc): the number of contexts, whether it can be rehashed, two checksums, V8's version. The
 * checksums are of what follows, and are for debugging only.
 */

const VERSION_BYTES = 64;
/** From the version back to the two numbers before. */
const CONTEXTS_AT = -16;
const REHASHABLE_AT = -12;
/** Node's snapshot has so many. */
const CONTEXTS = 4;

/** Where the header of V8's snapshot says whether it can be rehashed; undefined where there is no snapshot. */
export function findRehashFlag(program: Buffer, v8: string): number | undefined {
  const version = Buffer.alloc(VERSION_BYTES);
  version.write(v8, 'latin1');
  const found: number[] = [];
  for (let at = program.indexOf(version); at >= 0; at = program.indexOf(version, at + 1)) {
    if (program.readUInt32LE(at + CONTEXTS_AT) === CONTEXTS) found.push(at + REHASHABLE_AT);
  }
  return found.length === 1 ? found[0] : undefined;
}

/**
 * Marks V8's snapshot, in place, as one that keeps its seed.
 *
 * @param v8 the version of V8 that the program holds
 * @throws where it is not found: then this Node keeps it in another way, which wants to be looked at
 */
export function disableRehashing(program: Buffer, v8: string): void {
  const at = findRehashFlag(program, v8);
  if (at === undefined || program.readUInt32LE(at) !== 1) throw new Error(`no snapshot of V8 ${v8} that is rehashed`);
  program.writeUInt32LE(0, at);
}
