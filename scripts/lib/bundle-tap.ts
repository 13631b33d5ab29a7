// Bundles tap into one file. Loading its 250 modules takes each test process a quarter of a second of processor time,
// and there is one process for each test file.

import { readFile } from 'node:fs/promises';
import { join } from 'node:path';

import type { Plugin } from 'esbuild';

import { writeBundle } from './write-bundle.ts';

/**
 * tap finds out with hooks on every promise, timer and socket which test has caused an error that nobody handles. Each
 * test with many requests would take a fifth more processor time. Here, such an error belongs to the innermost test that
 * runs, which is the same, because tests run one after the other.
 */
const withoutAsyncHooks: Plugin = {
  name: 'without async hooks',
  setup(context) {
    context.onResolve({ filter: /^(?:node:)?async_hooks$/ }, ({ path, importer }) =>
      importer.includes('async-hook-domain') ? { path, namespace: 'without' } : undefined,
    );
    context.onLoad({ filter: /^/, namespace: 'without' }, () => ({
      contents: `export const executionAsyncId = () => 0;
        export const createHook = () => ({ enable: () => undefined, disable: () => undefined });`,
    }));
  },
};

const MATCH_START = 'const pattern = this.expect;';

/** For tap, a list matches every longer list too, so that `[]` matches all lists. Here, the lengths must be the same. */
const withWholeLists: Plugin = {
  name: 'with whole lists',
  setup(context) {
    context.onLoad({ filter: /[\\/]tcompare[\\/].*[\\/]match\.js$/ }, async ({ path }) => {
      const text = await readFile(path, 'utf8');
      if (!text.includes(MATCH_START)) throw new Error(`${path} is not as expected`);
      const check = 'if (Array.isArray(obj) && Array.isArray(pattern) && obj.length !== pattern.length) return false;';
      return { contents: text.replace(MATCH_START, `${MATCH_START}\n${check}`) };
    });
  },
};

/**
 * Writes the bundle. tap leaves functions out of a stack whose file is in a folder `node_modules/@tapjs`.
 *
 * @param cache a folder for files of test runs
 * @returns the path of the bundle
 */
export function bundleTap(cache: string): Promise<string> {
  return writeBundle(import.meta.resolve('tap'), join(cache, 'node_modules/@tapjs/tap.mjs'), {
    format: 'esm',
    plugins: [withoutAsyncHooks, withWholeLists],
    // For packages of tap that are CommonJS modules.
    banner: { js: "import{createRequire as makeRequire}from'node:module';const require=makeRequire(import.meta.url);" },
  });
}
