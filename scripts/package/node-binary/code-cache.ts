/**
 * Compiles the scripts that an executable carries. Without compiled code, V8 spends most of a run compiling. By
 * default, V8 compiles a function when it is called; with `--no-lazy`, it compiles everything. V8 accepts compiled code
 * only under the flags that it was compiled under, so this file overwrites the flags in the code with those of a run.
 * If V8 does not accept the code, it compiles the script again. Compiled code belongs to one version of V8 on one
 * platform. Source of the header layout: V8's code-serializer.h (magic number, version, length of the source, flags; 32
 * bits each).
 *
 * As a program, it compiles `SCRIPT...` in the current folder to `SCRIPT.code`, in the form that
 * src/plugin/packaged/node/bundles.ts expects.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { compileFunction, Script } from 'node:vm';
import { compiledAssetName, BUNDLE_PARAMETERS } from '../../../src/plugin/packaged/node/bundle-format.ts';

/** Flags that compile with the same result each time: hash tables do not get the seed of the run. */
export const COMPILE_FLAGS = ['--no-rehash-snapshot'];

/** Flags that compile everything. */
export const EAGER_FLAGS = ['--no-lazy', ...COMPILE_FLAGS];

const VERSIONS_BYTES = 8;
const FLAGS_AT = 12;

/**
 * Overwrites the flags of all compiled code in a blob with the flags of this process, in place.
 *
 * @throws Error when the blob contains no compiled code
 */
export function overwriteCodeFlags(blob: Buffer): void {
  const ours = new Script('').createCachedData();
  const versions = ours.subarray(0, VERSIONS_BYTES);
  let at = blob.indexOf(versions);
  if (at < 0) throw new Error('the blob contains no compiled code');
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
