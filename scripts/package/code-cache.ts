/**
 * The main script of an executable is carried compiled too. Node would have V8 compile what runs at once only, and the
 * rest when it is called, which is most of a hit; with `--no-lazy` it compiles all. V8 takes code only under the flags
 * that it was compiled under, so the code is then said to be compiled under none, which is true of what V8 does with it.
 * Its header (V8's code-serializer.h): magic number, versions, length of the source, flags; 32 bits each.
 */
import { Script } from 'node:vm';

/** Compiles everything. */
export const EAGER = '--no-lazy';

const VERSIONS_BYTES = 8;
const FLAGS_AT = 12;

/**
 * Says of the compiled code in a blob, in place, that it was compiled under the flags of this process.
 *
 * @throws where there is not exactly one piece of code
 */
export function takeFlagsOff(blob: Buffer): void {
  const ours = new Script('').createCachedData();
  const versions = ours.subarray(0, VERSIONS_BYTES);
  const at = blob.indexOf(versions);
  if (at < 0 || blob.includes(versions, at + 1)) throw new Error('the blob does not hold one piece of compiled code');
  ours.copy(blob, at + FLAGS_AT, FLAGS_AT, FLAGS_AT + 4);
}
