/**
 * The bundles in a single executable. Each is compiled from memory when it is first loaded; nothing is unpacked, and a
 * cache hit loads none. Without packaging, the same bundles are files and this module is not used.
 */
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { getRawAsset } from 'node:sea';
import { compileFunction } from 'node:vm';
import { makeProcessHost } from '../../../shared/base/host.ts';
import { loadKeyringAddon } from '../keyring-addon.ts';

type Require = (name: string) => unknown;
type BundleFunction = (
  exports: object,
  require: Require,
  module: { exports: unknown },
  file: string,
  folder: string,
) => void;

/** The parameters of the function that wraps a bundle, as in CommonJS. */
const BUNDLE_PARAMETERS = ['exports', 'require', 'module', '__filename', '__dirname'];

/** The package that the keyring bundle requires, and the asset with its native library. */
const ADDON = { package: '@napi-rs/keyring', asset: 'keyring.node' };

const { execPath } = makeProcessHost();
const requireBuiltin: Require = createRequire(execPath);
const modules = new Map<string, { exports: unknown }>();

/** The file name of a bundle: a path that cannot exist, because the executable is not a folder. */
export const resolveBundlePath = (asset: string): string => join(execPath, asset);

const readAsset = (asset: string): Buffer => Buffer.from(getRawAsset(asset));

const requireFromBundle: Require = (name) => {
  if (name === ADDON.package) return loadKeyringAddon(makeProcessHost(), readAsset(ADDON.asset));
  return name.startsWith('./') ? loadBundle(name.slice(2)) : requireBuiltin(name);
};

/** Loads a bundle, which runs on the first call, and returns its exports. */
export function loadBundle(asset: string): unknown {
  const existing = modules.get(asset);
  if (existing !== undefined) return existing.exports;
  const filename = resolveBundlePath(asset);
  // The bundles are ASCII, because esbuild escapes all other characters.
  const run = compileFunction(readAsset(asset).toString('latin1'), BUNDLE_PARAMETERS, {
    filename,
  }) as BundleFunction;
  const module: { exports: unknown } = { exports: {} };
  modules.set(asset, module);
  run(module.exports as object, requireFromBundle, module, filename, execPath);
  return module.exports;
}
