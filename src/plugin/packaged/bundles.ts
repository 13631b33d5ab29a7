/**
 * The bundles inside a single executable. They are compiled from memory, when they are asked for: nothing is unpacked,
 * and a cache hit never gets here. Outside an executable none of this exists; there the same bundles are files.
 */
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { getAssetKeys, getRawAsset } from 'node:sea';
import { compileFunction } from 'node:vm';
import { makeProcessHost } from '../../shared/base/host.ts';
import { loadKeyringAddon } from './keyring-addon.ts';
import { compiledAssetName, BUNDLE_PARAMETERS } from './bundle-format.ts';

type Require = (name: string) => unknown;
type Body = (exports: object, require: Require, module: { exports: unknown }, file: string, folder: string) => void;

/** What the build gives the native part of the keyring as its name. */
const ADDON = { package: '@napi-rs/keyring', asset: 'keyring.node' };

const { execPath } = makeProcessHost();
const requireBuiltin: Require = createRequire(execPath);
const loaded = new Map<string, { exports: unknown }>();

/** Where a bundle seems to be: in a folder that cannot exist, because the executable is a file. */
export const resolveBundlePath = (asset: string): string => join(execPath, asset);

const read = (asset: string): Buffer => Buffer.from(getRawAsset(asset));

/** The compiled form of a bundle; on some platforms there is none. */
const readCode = (asset: string): Buffer | undefined =>
  getAssetKeys().includes(compiledAssetName(asset)) ? read(compiledAssetName(asset)) : undefined;

const requireHere: Require = (name) => {
  if (name === ADDON.package) return loadKeyringAddon(makeProcessHost(), read(ADDON.asset));
  return name.startsWith('./') ? loadBundle(name.slice(2)) : requireBuiltin(name);
};

/** Gives what a bundle exports, running it the first time. */
export function loadBundle(asset: string): unknown {
  const known = loaded.get(asset);
  if (known !== undefined) return known.exports;
  const filename = resolveBundlePath(asset);
  // The bundles are ASCII: esbuild writes everything else as an escape.
  const body = compileFunction(read(asset).toString('latin1'), BUNDLE_PARAMETERS, {
    filename,
    cachedData: readCode(asset),
  }) as Body;
  const module: { exports: unknown } = { exports: {} };
  loaded.set(asset, module);
  body(module.exports as object, requireHere, module, filename, execPath);
  return module.exports;
}
