/**
 * Bundles the program: the hit path, which loads in no time because it holds nothing but node built-ins; the slow path,
 * which it loads on a miss; and what only some of those need. The build fails, naming the intruder, when anything but our own hit
 * path gets into the first.
 */
import { build as bundle } from 'esbuild';
import type { Metafile, Plugin } from 'esbuild';
import { chmod } from 'node:fs/promises';
import { join } from 'node:path';

const MAIN = 'dist/client-keystone-auth.cjs';
const SLOW = 'dist/slow.cjs';

/** Files that the hit path may hold. */
const HIT_PATH = /^src\/(main|host|errors|file-stamp|json|kin|secret)\.ts$|^src\/(hit|exec|cache)\//;

/** Leaves the import of `name` to be required from `file` at run time. */
function apart(name: RegExp, file: string): Plugin {
  return {
    name: `${file} apart`,
    setup(build) {
      build.onResolve({ filter: name }, () => ({ path: file, external: true }));
    },
  };
}

/**
 * Packages that most runs of the slow bundle do without: two hundred that wait for one login must not each load what
 * only that login needs. A file of their own each, in CommonJS.
 */
const RARE = [
  {
    name: /^got$/,
    file: './got.cjs',
    entry: "const { default: got, HTTPError } = require('got'); module.exports = Object.assign(got, { HTTPError });",
  },
  { name: /^yargs$/, file: './yargs.cjs', entry: "module.exports = require('yargs').default;" },
  {
    name: /^@inquirer\/prompts$/,
    file: './prompts.cjs',
    entry: "export { input, password } from '@inquirer/prompts';",
  },
  {
    name: /^js-yaml$/,
    file: './yaml.cjs',
    // Without its writer.
    entry: `export {
      defineMappingTag, defineScalarTag, loadAll, mergeTag, nullCoreTag, Schema, seqTag, strTag, YAMLException,
    } from 'js-yaml';`,
  },
];

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

/** yargs and its parser ask for import.meta.url, which CommonJS lacks. */
const moduleUrl = {
  define: { 'import.meta.url': '__moduleUrl' },
  banner: { js: 'const __moduleUrl=require("node:url").pathToFileURL(__filename).href;' },
};

const main = await bundle({
  ...common,
  entryPoints: ['src/main.ts'],
  outfile: MAIN,
  plugins: [apart(/^\.\/cli\/cli\.ts$/, './slow.cjs')],
  banner: { js: '#!/usr/bin/env node' },
});
refuseIntruders(main.metafile);
await bundle({
  ...common,
  ...moduleUrl,
  entryPoints: ['src/cli/cli.ts'],
  outfile: SLOW,
  plugins: RARE.map(({ name, file }) => apart(name, file)),
});
await bundle({
  ...common,
  entryPoints: ['src/cache/keyring-process.ts'],
  outfile: 'dist/keyring.cjs',
  // It has native parts, which no bundle can hold.
  external: ['@napi-rs/keyring'],
});
for (const { file, entry } of RARE) {
  await bundle({ ...common, ...moduleUrl, stdin: { contents: entry, resolveDir: '.' }, outfile: join('dist', file) });
}
await chmod(MAIN, 0o755);
