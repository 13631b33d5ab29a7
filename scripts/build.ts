/**
 * Bundles both programs. The fast path of the plugin gets a bundle of its own that loads quickly, because it imports
 * only Node built-ins. It loads the bundle of the slow path on a cache miss. Packages that few runs need get their own
 * bundles. The build fails and names the file if another file gets into the fast path.
 */
import { build as bundle } from 'esbuild';
import type { BuildOptions, Metafile, Plugin } from 'esbuild';
import { chmod, readFile, writeFile } from 'node:fs/promises';
import { basename, join, resolve } from 'node:path';

const MAIN = 'dist/client-keystone-auth.cjs';
const SLOW = 'dist/slow.cjs';

/** The fast path for a single executable, which loads the other bundles from memory. */
const EXECUTABLE = 'out/executable.cjs';
const BUNDLES = 'out/bundles.json';

/** The fast path and the keyring helper for an executable of Bun, which takes the other bundles from `dist`. */
const BUN_EXECUTABLE = 'out/bun-executable.cjs';
const BUN_KEYRING = 'out/bun-keyring.cjs';

/** The webhook. It shares only src/shared with the plugin. */
const WEBHOOK = 'dist/k8s-keystone-auth.cjs';

/** The issuer, which the webhook's program loads for the commands of that name. */
const ISSUER = 'dist/issuer.cjs';

/** The webhook and the issuer for a single executable, in one bundle. */
const WEBHOOK_EXECUTABLE = 'out/k8s-keystone-auth.cjs';
const WEBHOOK_BUNDLES = 'out/k8s-keystone-auth.bundles.json';

/** Files that the webhook must not contain. */
const NOT_IN_WEBHOOK = /^src\/plugin\//;

/** Files that the fast path may contain. */
const FAST_PATH =
  /^src\/plugin\/main\.ts$|^src\/shared\/base\/(block|host|errors|file-stamp|json|process-identity|read-file|rename-over|write-private-file|secret|terminal-text)\.ts$|^src\/plugin\/(fast-path|exec|cache)\//;

/** The same for a single executable. The files in `packaged/` run on a cache miss only. */
const FAST_PATH_PACKAGED = new RegExp(`${FAST_PATH.source}|^src\\/plugin\\/packaged\\/`);

/** Bundles that the fast path loads on a cache miss only. */
const SLOW_PATHS = new Set(['./slow.cjs', './keyring.cjs']);

/** Replaces an import of `name` with a `require` of `file` at run time. */
function requireAtRunTime(name: RegExp, file: string): Plugin {
  return {
    name: `require ${file}`,
    setup(build) {
      build.onResolve({ filter: name }, () => ({ path: file, external: true }));
    },
  };
}

/** Bundles another source file instead of the imported one. */
function replaceImport(name: RegExp, file: string): Plugin {
  return {
    name: `replace with ${file}`,
    setup(build) {
      build.onResolve({ filter: name }, () => ({ path: resolve(file) }));
    },
  };
}

/** yargs and its parser read import.meta.url, which CommonJS does not have. */
const moduleUrl = { define: { 'import.meta.url': 'moduleUrl' }, inject: ['scripts/lib/module-url-shim.ts'] };

/**
 * Parts of got that no request of ours uses, by how got imports them, and what takes their place: HTTP/2 (got's own and
 * Node's, which takes 9 ms to load), the cache, the decompression, the cache of names, and the channels for observers.
 * Together, they are half of got.
 */
const UNUSED_IN_GOT: readonly (readonly [name: RegExp, replacement: string])[] = [
  [/^node:http2$/, 'exports.constants = {}; exports.Http2ServerResponse = class {};'],
  [/^\.\/utils\/http2-client\.js$/, 'export default { globalAgent: undefined };'],
  [/^cacheable-request$/, 'export default undefined; export class CacheError extends Error {}'],
  [/^\.\/utils\/decompress-response\.js$/, 'export default undefined;'],
  [/^\.\/utils\/dns-cache\.js$/, 'export default undefined;'],
  [
    /\/diagnostics-channel\.js$/,
    `const ignore = () => undefined;
    export {
      ignore as generateRequestId, ignore as publishRequestCreate, ignore as publishRequestStart,
      ignore as publishResponseStart, ignore as publishResponseEnd, ignore as publishRetry, ignore as publishError,
      ignore as publishRedirect,
    };`,
  ],
];

/** Leaves out what {@link UNUSED_IN_GOT} lists. A request that used it would fail with a TypeError. */
const withoutUnusedParts: Plugin = {
  name: 'without unused parts of got',
  setup(build) {
    for (const [index, [name, contents]] of UNUSED_IN_GOT.entries()) {
      const namespace = `without ${index}`;
      build.onResolve({ filter: name }, ({ path }) => ({ path, namespace }));
      build.onLoad({ filter: /^/, namespace }, () => ({ contents }));
    }
  },
};

/** The built-ins that got imports as a whole, and what it imports of them by name. */
const WHOLE_IN_GOT: Readonly<Record<string, readonly string[]>> = {
  'node:http': ['ServerResponse'],
  'node:https': [],
  'node:net': [],
  'node:process': [],
};

/**
 * Imports whole built-ins as they are. esbuild would copy each of their properties, and so create everything that Bun
 * creates on first use: for `node:process`, a twentieth of a login.
 */
const withoutCopies: Plugin = {
  name: 'without copies of built-ins',
  setup(build) {
    build.onResolve({ filter: /^node:/ }, ({ path, kind }) =>
      kind === 'import-statement' && path in WHOLE_IN_GOT ? { path, namespace: 'whole' } : { path, external: true },
    );
    build.onLoad({ filter: /^/, namespace: 'whole' }, ({ path }) => ({
      contents: `const whole = require('${path}');
        export default whole;
        export const { ${WHOLE_IN_GOT[path]?.join(', ') ?? ''} } = whole;`,
    }));
  },
};

/** What few runs use, and what is imported of it by name. */
const LATE: Readonly<Record<string, readonly string[]>> = {
  'node:child_process': ['execFile', 'execFileSync', 'spawn'],
  'node:timers/promises': ['setTimeout'],
  'node:tty': ['isatty', 'ReadStream', 'WriteStream'],
  which: ['sync'],
};

/** @throws Error if our own source imports a name that {@link LATE} lacks: it would be undefined */
function checkLateNames(source: string, path: string): void {
  const imports = new RegExp(String.raw`^import \{([^}]*)\} from '${path}';$`, 'gm');
  const names = [...source.matchAll(imports)].flatMap(([, list = '']) => list.split(',').map((name) => name.trim()));
  for (const name of names.map((each) => each.split(' as ')[0] ?? '').filter((each) => each !== ''))
    if (LATE[path]?.includes(name) !== true) throw new Error(`LATE in scripts/build.ts lacks ${name} of ${path}`);
}

/** Loads what {@link LATE} lists when it is first used. */
const lateModules: Plugin = {
  name: 'late modules',
  setup(build) {
    const names = new RegExp(`^(?:${Object.keys(LATE).join('|')})$`);
    build.onResolve({ filter: names }, async ({ path, namespace, importer }) => {
      if (namespace === 'late module') return path.startsWith('node:') ? { path, external: true } : undefined;
      if (importer.endsWith('.ts')) checkLateNames(await readFile(importer, 'utf8'), path);
      return { path, namespace: 'late module' };
    });
    build.onLoad({ filter: /^/, namespace: 'late module' }, ({ path }) => ({
      contents: `module.exports = {
        ${(LATE[path] ?? []).map((name) => `get ${name}() { return require('${path}').${name}; }`).join(',')}
      };`,
      resolveDir: '.',
    }));
  },
};

/** The parser of yargs makes a `require` for configuration files, which it never reads here. */
const withoutRequire: Plugin = {
  name: 'without a require of the parser',
  setup(build) {
    build.onResolve({ filter: /^node:module$/ }, ({ path }) => ({ path, namespace: 'no require' }));
    build.onLoad({ filter: /^/, namespace: 'no require' }, () => ({
      contents: 'export const createRequire = undefined;',
    }));
  },
};

/** What the bundles of our own code leave for later, or leave out. */
const OWN_PLUGINS = [lateModules, withoutRequire];

/** How got is bundled without unused parts (see also scripts/lib/got-shims.ts). */
const gotReplacements = {
  // The first one that resolves a name decides.
  plugins: [withoutUnusedParts, lateModules, withoutCopies],
  define: { FormData: 'Never', Headers: 'Never', ReadableStream: 'Never', 'Intl.ListFormat': 'LateListFormat' },
  inject: ['scripts/lib/got-shims.ts'],
};

/**
 * Measures text for yargs without string-width, which takes two thirds of the time of `--help`: it has tables of wide
 * characters, and the help has none, as a test checks.
 */
const withoutWideCharacters: Plugin = {
  name: 'without wide characters',
  setup(build) {
    build.onResolve({ filter: /^string-width$/ }, ({ path }) => ({ path, namespace: 'without' }));
    build.onLoad({ filter: /^/, namespace: 'without' }, () => ({ contents: 'export default (text) => text.length;' }));
  },
};

/**
 * Loads string-width when a table has the first text that is not ASCII: its tables of wide characters take a third of
 * the time of loading all commands.
 */
const lateStringWidth: Plugin = {
  name: 'late string-width',
  setup(build) {
    build.onResolve({ filter: /^string-width$/ }, ({ path }) => ({ path, namespace: 'late' }));
    build.onResolve({ filter: /^\.\/string-width\.cjs$/ }, ({ path }) => ({ path, external: true }));
    build.onLoad({ filter: /^/, namespace: 'late' }, () => ({
      contents:
        "export default (text) => (/^[ -~]*$/.test(text) ? text.length : require('./string-width.cjs').default(text));",
    }));
  },
};

/** A package that gets a bundle of its own. */
interface SeparatePackage {
  readonly name: RegExp;
  readonly file: string;
  readonly entry: string;
  readonly replacements?: Pick<BuildOptions, 'plugins' | 'define' | 'inject'>;
}

/**
 * Packages that most runs of the slow path do not need. Two hundred runs that wait for one login must not each load
 * what only that login needs.
 */
const SEPARATE: readonly SeparatePackage[] = [
  {
    name: /^got$/,
    file: './got.cjs',
    entry: "const { default: got, HTTPError } = require('got'); module.exports = Object.assign(got, { HTTPError });",
    replacements: gotReplacements,
  },
  { name: /^saxes$/, file: './saxes.cjs', entry: "export { SaxesParser } from 'saxes';" },
  { name: /^socks$/, file: './socks.cjs', entry: "export { SocksClient } from 'socks';" },
  {
    name: /^yargs$/,
    file: './yargs.cjs',
    entry: "module.exports = require('yargs').default;",
    replacements: { plugins: [withoutWideCharacters] },
  },
  { name: /^string-width$/, file: './string-width.cjs', entry: "export { default } from 'string-width';" },
  { name: /^yaml$/, file: './yaml-document.cjs', entry: "module.exports = require('yaml');" },
  {
    name: /^@inquirer\/prompts$/,
    file: './prompts.cjs',
    entry: "export { input, password, select } from '@inquirer/prompts';",
  },
  {
    name: /^js-yaml$/,
    file: './yaml.cjs',
    // Without its serializer.
    entry: `export {
      defineMappingTag, defineScalarTag, loadAll, mergeTag, nullCoreTag, Schema, seqTag, strTag, YAMLException,
    } from 'js-yaml';`,
  },
];

/** The same for the webhook. Most webhooks do not watch ConfigMaps or synchronize. */
const SEPARATE_IN_WEBHOOK: readonly SeparatePackage[] = [
  ...SEPARATE.filter(({ file }) => ['./got.cjs', './socks.cjs', './yaml.cjs', './yargs.cjs'].includes(file)),
  {
    name: /^@kubernetes\/client-node$/,
    file: './kubernetes.cjs',
    entry: `export {
      CoreV1Api, KubeConfig, Observable, RbacAuthorizationV1Api, V1Namespace, V1RoleBinding, V1Secret, Watch,
    } from '@kubernetes/client-node';`,
  },
];

function checkFastPath(metafile: Metafile, allowed: RegExp): void {
  const intruders = Object.keys(metafile.inputs).filter((file) => !allowed.test(file));
  const imports = Object.values(metafile.outputs).flatMap((output) => output.imports);
  const foreign = imports.map(({ path }) => path).filter((path) => !path.startsWith('node:') && !SLOW_PATHS.has(path));
  if (intruders.length + foreign.length > 0)
    throw new Error(`the fast path must not contain: ${[...intruders, ...foreign].join(', ')}`);
}

function checkWebhook(metafile: Metafile, forbidden: RegExp): void {
  const intruders = Object.keys(metafile.inputs).filter((file) => forbidden.test(file));
  if (intruders.length > 0) throw new Error(`${WEBHOOK} must not contain: ${intruders.join(', ')}`);
}

const common = {
  bundle: true,
  platform: 'node',
  target: 'node22',
  format: 'cjs',
  minify: true,
  legalComments: 'none',
  // A dynamic import of CommonJS is slower than a require.
  supported: { 'dynamic-import': false },
} as const;

/** What `npm run package` needs to know about a bundle. */
export interface Bundle {
  readonly name: string;
  /** Files that contributed to it. */
  readonly inputs: readonly string[];
}

const bundles: Bundle[] = [];

/** Describes a bundle by the files that contributed bytes to it. */
function describeBundle(outfile: string, metafile: Metafile): Bundle {
  const contents = Object.values(metafile.outputs).flatMap(({ inputs }) => Object.entries(inputs));
  const inputs = contents.filter(([, { bytesInOutput }]) => bytesInOutput > 0).map(([file]) => file);
  return { name: basename(outfile), inputs: inputs.toSorted() };
}

async function make(outfile: string, options: BuildOptions): Promise<Metafile> {
  const { metafile } = await bundle({ ...common, ...options, outfile, metafile: true });
  bundles.push(describeBundle(outfile, metafile));
  return metafile;
}

/** Makes a bundle for an executable of Bun. It contains no package that those for Node lack, so it is not listed. */
async function makeForBun(outfile: string, options: BuildOptions): Promise<Metafile> {
  const { metafile } = await bundle({ ...common, ...options, outfile, metafile: true });
  return metafile;
}

checkFastPath(
  await make(MAIN, {
    entryPoints: ['src/plugin/main.ts'],
    plugins: [requireAtRunTime(/^\.\/cli\/cli\.ts$/, './slow.cjs')],
    banner: { js: '#!/usr/bin/env node' },
  }),
  FAST_PATH,
);
checkFastPath(
  await make(EXECUTABLE, {
    entryPoints: ['src/plugin/main.ts'],
    plugins: [replaceImport(/^\.\/cli\/cli\.ts$/, 'src/plugin/packaged/node/cli.ts')],
  }),
  FAST_PATH_PACKAGED,
);
checkFastPath(
  await makeForBun(BUN_EXECUTABLE, {
    entryPoints: ['src/plugin/main.ts'],
    plugins: [
      replaceImport(/^\.\/cli\/cli\.ts$/, 'src/plugin/packaged/bun/cli.ts'),
      requireAtRunTime(/^\.\.\/\.\.\/cli\/cli\.ts$/, './slow.cjs'),
      requireAtRunTime(/^\.\.\/\.\.\/cache\/keyring-process\.ts$/, './keyring.cjs'),
    ],
  }),
  FAST_PATH_PACKAGED,
);
await makeForBun(BUN_KEYRING, {
  entryPoints: ['src/plugin/cache/keyring-process.ts'],
  plugins: [replaceImport(/^@napi-rs\/keyring$/, 'src/plugin/packaged/bun/keyring.ts')],
});
await make(SLOW, {
  ...moduleUrl,
  entryPoints: ['src/plugin/cli/cli.ts'],
  plugins: [
    ...OWN_PLUGINS,
    ...SEPARATE.map(({ name, file }) => requireAtRunTime(name, file)),
    requireAtRunTime(/^\.\.\/commands\/run-command\.ts$/, './commands.cjs'),
  ],
});
await make('dist/commands.cjs', {
  ...moduleUrl,
  entryPoints: ['src/plugin/commands/run-command.ts'],
  plugins: [...OWN_PLUGINS, lateStringWidth, ...SEPARATE.map(({ name, file }) => requireAtRunTime(name, file))],
});
await make('dist/keyring.cjs', {
  entryPoints: ['src/plugin/cache/keyring-process.ts'],
  // It has native parts, which a bundle cannot contain.
  external: ['@napi-rs/keyring'],
});
for (const { file, entry, replacements } of SEPARATE) {
  await make(join('dist', file), {
    ...moduleUrl,
    ...replacements,
    define: { ...moduleUrl.define, ...replacements?.define },
    inject: [...moduleUrl.inject, ...(replacements?.inject ?? [])],
    stdin: { contents: entry, resolveDir: '.' },
  });
}
// Not added to `bundles`, which lists the bundles of the plugin.
const separateInWebhook = SEPARATE_IN_WEBHOOK.map(({ name, file }) => requireAtRunTime(name, file));
const webhook = await bundle({
  ...common,
  ...moduleUrl,
  entryPoints: ['src/webhook/main.ts'],
  outfile: WEBHOOK,
  metafile: true,
  plugins: [...separateInWebhook, requireAtRunTime(/^\.\/run-issuer\.ts$/, './issuer.cjs')],
  banner: { js: '#!/usr/bin/env node' },
});
checkWebhook(webhook.metafile, NOT_IN_WEBHOOK);
const issuer = await bundle({
  ...common,
  ...moduleUrl,
  entryPoints: ['src/webhook/cli/issuer/run-issuer.ts'],
  outfile: ISSUER,
  metafile: true,
  plugins: separateInWebhook,
});
checkWebhook(issuer.metafile, NOT_IN_WEBHOOK);
for (const { file, entry } of SEPARATE_IN_WEBHOOK.filter((each) => !SEPARATE.includes(each))) {
  await bundle({ ...common, ...moduleUrl, stdin: { contents: entry, resolveDir: '.' }, outfile: join('dist', file) });
}
const whole = await bundle({
  ...common,
  ...moduleUrl,
  entryPoints: ['src/webhook/main.ts'],
  outfile: WEBHOOK_EXECUTABLE,
  metafile: true,
  plugins: [withoutWideCharacters],
});
checkWebhook(whole.metafile, NOT_IN_WEBHOOK);
await Promise.all([MAIN, WEBHOOK].map((file) => chmod(file, 0o755)));
await writeFile(BUNDLES, `${JSON.stringify(bundles, null, 2)}\n`);
const webhookBundles = [describeBundle(WEBHOOK_EXECUTABLE, whole.metafile)];
await writeFile(WEBHOOK_BUNDLES, `${JSON.stringify(webhookBundles, null, 2)}\n`);
