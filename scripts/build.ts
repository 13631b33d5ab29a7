/**
 * Bundles the program into two files: the hit path, which loads in no time because it holds nothing but node built-ins,
 * and everything else, which it loads on a miss. The build fails, naming the intruder, when anything but our own hit
 * path gets into the first.
 */
import { build as bundle } from 'esbuild';
import type { Metafile, Plugin } from 'esbuild';
import { chmod } from 'node:fs/promises';

const MAIN = 'dist/client-keystone-auth.cjs';
const SLOW = 'dist/slow.cjs';

/** Files that the hit path may hold. */
const HIT_PATH = /^src\/(main|host|errors|json|kin|secret)\.ts$|^src\/(hit|exec|cache)\//;

const slowApart: Plugin = {
  name: 'slow bundle apart',
  setup(build) {
    build.onResolve({ filter: /^\.\/cli\/cli\.ts$/ }, () => ({ path: './slow.cjs', external: true }));
  },
};

function refuseIntruders(metafile: Metafile): void {
  const intruders = Object.keys(metafile.inputs).filter((file) => !HIT_PATH.test(file));
  const imports = Object.values(metafile.outputs).flatMap((output) => output.imports);
  const foreign = imports.map(({ path }) => path).filter((path) => !path.startsWith('node:') && path !== './slow.cjs');
  if (intruders.length + foreign.length > 0)
    throw new Error(`in the hit path: ${[...intruders, ...foreign].join(', ')}`);
}

const common = {
  bundle: true,
  platform: 'node',
  target: 'node22',
  format: 'cjs',
  minify: true,
  metafile: true,
  legalComments: 'none',
  // A dynamic import of CommonJS costs more than a require.
  supported: { 'dynamic-import': false },
} as const;

const main = await bundle({
  ...common,
  entryPoints: ['src/main.ts'],
  outfile: MAIN,
  plugins: [slowApart],
  banner: { js: '#!/usr/bin/env node' },
});
refuseIntruders(main.metafile);
await bundle({
  ...common,
  entryPoints: ['src/cli/cli.ts'],
  outfile: SLOW,
  // It has native parts, which no bundle can hold.
  external: ['@napi-rs/keyring'],
  // yargs asks for import.meta.url, which CommonJS lacks.
  define: { 'import.meta.url': '__moduleUrl' },
  banner: { js: 'const __moduleUrl=require("node:url").pathToFileURL(__filename).href;' },
});
await chmod(MAIN, 0o755);
