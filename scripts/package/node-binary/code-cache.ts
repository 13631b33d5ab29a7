/**
 * An executable carries its scripts compiled too. Usually V8 compiles at once what runs at once, and the rest when it is
 * called, which is most of a run; with `--no-lazy` it compiles all. It takes code only under the flags that it was
 * compiled under, so the code is then said to be compiled under none, which is true of what V8 does with it. What it does
 * not take, it compiles anew. Code is of one version of V8 on one platform.
 * Its header (V8's code-serializer.h): magic number, version, length of the source, flags; 32 bits each.
 *
 * As a program: compiles `SCRIPT...` in the current folder to `SCRIPT.code`, in the form that src/plugin/packaged/bundles.ts asks
 * for.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { compileFunction, Script } from 'node:vm';
import { compiledAssetName, BUNDLE_PARAMETERS } from '../../../src/plugin/packaged/bundle-format.ts';

/** Compiles everything, and the same each time: hash tables have no seed of the run. */
export const EAGER_FLAGS = ['--no-lazy', '--no-rehash-snapshot'];

const VERSIONS_BYTES = 8;
const FLAGS_AT = 12;

/**
 * Says of all compiled code in a blob, in place, that it was compiled under the flags of this process.
 *
 * @throws where there is none
 */
export function overwriteCodeFlags(blob: Buffer): void {
  const ours = new Script('').createCachedData();
  const versions = ours.subarray(0, VERSIONS_BYTES);
  let at = blob.indexOf(versions);
  if (at < 0) throw new Error('the blob holds no compiled code');
  for (; at >= 0; at = blob.indexOf(versions, at + 1)) ours.copy(blob, at + FLAGS_AT, FLAGS_AT, FLAGS_AT + 4);
}

if (import.meta.main) {
  for (const name of process.argv.slice(2)) {
    const { cachedData } = compileFunction(readFileSync(name, 'latin1'), BUNDLE_PARAMETERS, {
      filename: name,
      produceCachedData: true,
    });
    if (cachedData === undefined) throw new Error(`${name} was not compiled`);
    writeFileSync(compiledAssetName(name), cachedData);
  }
}
