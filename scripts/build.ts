/**
 * Bundles the program: the hit path, which loads in no time because it holds nothing but node built-ins; the slow path,
 * which it loads on a miss; and what only some of those need. The build fails, naming the intruder, when anything but our own hit
 * path gets into the first.
 */
import { build as bundle } from 'esbuild';
import type { BuildOptions, Metafile, Plugin } from 'esbuild';
import { chmod, writeFile } from 'node:fs/promises';
import { basename, join, resolve } from 'node:path';

const MAIN = 'dist/client-keystone-auth.cjs';
const SLOW = 'dist/slow.cjs';

/** The same hit path for a single executable, where the rest is not in files. What is not installed is in `out`. */
const EXECUTABLE = 'out/executable.cjs';
const BUNDLES = 'out/bundles.json';

/** The second program, k8s-keystone-auth; of the first it has nothing but the way to Keystone. */
const WEBHOOK = 'dist/k8s-keystone-auth.cjs';

/** The same for a single executable, with everything in one. */
const WEBHOOK_EXECUTABLE = 'out/k8s-keystone-auth.cjs';
const WEBHOOK_BUNDLES = 'out/k8s-keystone-auth.bundles.json';

/** Folders that it may not hold: nobody is asked anything on a server, and nothing is kept on its disk. */
const NOT_IN_WEBHOOK = /^src\/plugin\//;

/** Files that the hit path may hold. */
const HIT_PATH =
  /^src\/plugin\/main\.ts$|^src\/shared\/base\/(host|errors|file-stamp|json|process-identity|secret)\.ts$|^src\/plugin\/(fast-path|exec|cache)\//;

/** The same in a single executable; what is in `packaged/` is loaded on a miss only. */
const HIT_PATH_PACKAGED = new RegExp(`${HIT_PATH.source}|^src\\/plugin\\/packaged\\/`);

/** Leaves the import of `name` to be required from `file` at run time. */
function apart(name: RegExp, file: string): Plugin {
  return {
    name: `${file} apart`,
    setup(build) {
      build.onResolve({ filter: name }, () => ({ path: file, external: true }));
    },
  };
}

/** Bundles another file of ours instead of the one that is imported. */
function instead(name: RegExp, file: string): Plugin {
  return {
    name: `${file} instead`,
    setup(build) {
      build.onResolve({ filter: name }, () => ({ path: resolve(file) }));
    },
  };
}

/** yargs and its parser ask for import.meta.url, which CommonJS lacks. */
const moduleUrl = {
  define: { 'import.meta.url': '__moduleUrl' },
  banner: { js: 'const __moduleUrl=require("node:url").pathToFileURL(__filename).href;' },
};

/** Node's HTTP/2, which takes 9 ms to load, and which no request of ours speaks. */
const noHttp2: Plugin = {
  name: 'no HTTP/2',
  setup(build) {
    build.onResolve({ filter: /^node:http2$/ }, ({ path }) => ({ path, namespace: 'without' }));
    build.onLoad({ filter: /^/, namespace: 'without' }, () => ({
      contents: 'exports.constants = {}; exports.Http2ServerResponse = class {};',
    }));
  },
};

/** How got is bundled without what it would read of Node; see there. */
const gotWithout = {
  plugins: [noHttp2],
  define: { FormData: 'Never', Headers: 'Never', ReadableStream: 'Never', 'Intl.ListFormat': 'LateListFormat' },
  inject: ['scripts/lib/got-shims.ts'],
};

interface Rare {
  readonly name: RegExp;
  readonly file: string;
  readonly entry: string;
  readonly without?: Pick<BuildOptions, 'plugins' | 'define' | 'inject'>;
}

/**
 * Packages that most runs of the slow bundle do without: two hundred that wait for one login must not each load what
 * only that login needs. A file of their own each, in CommonJS.
 */
const RARE: readonly Rare[] = [
  {
    name: /^got$/,
    file: './got.cjs',
    entry: "const { default: got, HTTPError } = require('got'); module.exports = Object.assign(got, { HTTPError });",
    without: gotWithout,
  },
  { name: /^yargs$/, file: './yargs.cjs', entry: "module.exports = require('yargs').default;" },
  { name: /^yaml$/, file: './yaml-document.cjs', entry: "module.exports = require('yaml');" },
  {
    name: /^@inquirer\/prompts$/,
    file: './prompts.cjs',
    entry: "export { input, password, select } from '@inquirer/prompts';",
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

/** What of these the webhook uses, and its own: most clusters' webhooks follow no ConfigMap and synchronise nothing. */
const RARE_IN_WEBHOOK: readonly Rare[] = [
  ...RARE.filter(({ file }) => ['./got.cjs', './yaml.cjs'].includes(file)),
  {
    name: /^@kubernetes\/client-node$/,
    file: './kubernetes.cjs',
    entry: `export {
      CoreV1Api, KubeConfig, RbacAuthorizationV1Api, V1Namespace, V1RoleBinding, Watch,
    } from '@kubernetes/client-node';`,
  },
];

function refuseIntruders(metafile: Metafile, allowed: RegExp): void {
  const intruders = Object.keys(metafile.inputs).filter((file) => !allowed.test(file));
  const imports = Object.values(metafile.outputs).flatMap((output) => output.imports);
  const foreign = imports.map(({ path }) => path).filter((path) => !path.startsWith('node:') && path !== './slow.cjs');
  if (intruders.length + foreign.length > 0)
    throw new Error(`in the hit path: ${[...intruders, ...foreign].join(', ')}`);
}

function refuseFrom(metafile: Metafile, forbidden: RegExp): void {
  const intruders = Object.keys(metafile.inputs).filter((file) => forbidden.test(file));
  if (intruders.length > 0) throw new Error(`in ${WEBHOOK}: ${intruders.join(', ')}`);
}

const common = {
  bundle: true,
  platform: 'node',
  target: 'node22',
  format: 'cjs',
  minify: true,
  legalComments: 'none',
  // A dynamic import of CommonJS costs more than a require.
  supported: { 'dynamic-import': false },
} as const;

/** What `npm run package` needs to know of a bundle, so that it need not repeat how bundles are made. */
export interface Bundle {
  readonly name: string;
  /** Files of which something went into it. */
  readonly inputs: readonly string[];
}

const bundles: Bundle[] = [];

/** What has really gone into it. */
function describeBundle(outfile: string, metafile: Metafile): Bundle {
  const kept = Object.values(metafile.outputs).flatMap(({ inputs }) => Object.entries(inputs));
  const inputs = kept.filter(([, { bytesInOutput }]) => bytesInOutput > 0).map(([file]) => file);
  return { name: basename(outfile), inputs: inputs.toSorted() };
}

async function make(outfile: string, options: BuildOptions): Promise<Metafile> {
  const { metafile } = await bundle({ ...common, ...options, outfile, metafile: true });
  bundles.push(describeBundle(outfile, metafile));
  return metafile;
}

refuseIntruders(
  await make(MAIN, {
    entryPoints: ['src/plugin/main.ts'],
    plugins: [apart(/^\.\/cli\/cli\.ts$/, './slow.cjs')],
    banner: { js: '#!/usr/bin/env node' },
  }),
  HIT_PATH,
);
refuseIntruders(
  await make(EXECUTABLE, {
    entryPoints: ['src/plugin/main.ts'],
    plugins: [instead(/^\.\/cli\/cli\.ts$/, 'src/plugin/packaged/cli.ts')],
  }),
  HIT_PATH_PACKAGED,
);
await make(SLOW, {
  ...moduleUrl,
  entryPoints: ['src/plugin/cli/cli.ts'],
  plugins: [
    ...RARE.map(({ name, file }) => apart(name, file)),
    apart(/^\.\.\/commands\/run-command\.ts$/, './commands.cjs'),
  ],
});
await make('dist/commands.cjs', {
  ...moduleUrl,
  entryPoints: ['src/plugin/commands/run-command.ts'],
  plugins: RARE.map(({ name, file }) => apart(name, file)),
});
await make('dist/keyring.cjs', {
  entryPoints: ['src/plugin/cache/keyring-process.ts'],
  // It has native parts, which no bundle can hold.
  external: ['@napi-rs/keyring'],
});
for (const { file, entry, without } of RARE) {
  await make(join('dist', file), {
    ...moduleUrl,
    ...without,
    define: { ...moduleUrl.define, ...without?.define },
    stdin: { contents: entry, resolveDir: '.' },
  });
}
// Apart from those above, which are what the plugin's packages are made of.
const webhook = await bundle({
  ...common,
  ...moduleUrl,
  entryPoints: ['src/webhook/main.ts'],
  outfile: WEBHOOK,
  metafile: true,
  plugins: RARE_IN_WEBHOOK.map(({ name, file }) => apart(name, file)),
  banner: { js: `#!/usr/bin/env node\n${moduleUrl.banner.js}` },
});
refuseFrom(webhook.metafile, NOT_IN_WEBHOOK);
for (const { file, entry } of RARE_IN_WEBHOOK.filter((one) => !RARE.includes(one))) {
  await bundle({ ...common, ...moduleUrl, stdin: { contents: entry, resolveDir: '.' }, outfile: join('dist', file) });
}
const whole = await bundle({
  ...common,
  ...moduleUrl,
  entryPoints: ['src/webhook/main.ts'],
  outfile: WEBHOOK_EXECUTABLE,
  metafile: true,
});
refuseFrom(whole.metafile, NOT_IN_WEBHOOK);
await Promise.all([MAIN, WEBHOOK].map((file) => chmod(file, 0o755)));
await writeFile(BUNDLES, `${JSON.stringify(bundles, null, 2)}\n`);
const webhookBundles = [describeBundle(WEBHOOK_EXECUTABLE, whole.metafile)];
await writeFile(WEBHOOK_BUNDLES, `${JSON.stringify(webhookBundles, null, 2)}\n`);
