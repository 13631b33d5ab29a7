/** The import rule of docs/architecture.md: imports point one way, and nothing but types may cross between siblings. */

/** For each folder of src/, the folders that it may import, besides itself and what those to its left import. */
const SHARED = {
  base: [],
  options: ['base'],
  yargs: ['base', 'options'],
  http: ['base', 'options'],
  keystone: ['base', 'options', 'http'],
  oidc: ['base', 'options', 'http'],
};

const everyShared = Object.keys(SHARED).map((folder) => `shared/${folder}`);

/** Values from these folders of the same program; all of src/shared as well. Types may cross. */
const PLUGIN = {
  exec: [],
  programs: [],
  cache: ['programs'],
  config: [],
  terminal: [],
  browser: ['programs'],
  kerberos: ['programs'],
  saml: [],
  kubeconfig: [],
  'fast-path': ['exec', 'cache'],
  'auth-methods': ['programs', 'config', 'terminal', 'browser', 'kerberos', 'saml'],
  login: ['exec', 'cache', 'config', 'terminal', 'kerberos', 'fast-path', 'auth-methods'],
  // It replaces cli/cli.ts, and imports it as another bundle.
  packaged: ['programs', 'cache', 'cli'],
};

const WEBHOOK = {
  review: [],
  observability: ['review'],
  sources: ['observability'],
  authn: ['review'],
  authz: ['review', 'authn'],
  sync: ['review', 'sources', 'authn'],
  server: ['review', 'observability', 'authn', 'authz'],
  issuer: ['review', 'observability', 'sources', 'authn', 'server'],
  cli: ['review', 'observability', 'sources', 'authn', 'authz', 'sync', 'server', 'issuer'],
};

const inside = (folders) => folders.map((folder) => `^src/${folder}/`);

const layers = (program, table, shared) =>
  Object.entries(table).map(([folder, allowed]) => ({
    name: `${program}-${folder}-imports-one-way`,
    severity: 'error',
    from: { path: `^src/${program}/${folder}/` },
    to: {
      path: '^src',
      pathNot: inside([...shared, ...[folder, ...allowed].map((name) => `${program}/${name}`)]),
      dependencyTypesNot: ['type-only'],
    },
  }));

module.exports = {
  forbidden: [
    {
      name: 'no-circular',
      severity: 'error',
      from: { path: '^src' },
      to: { circular: true, dependencyTypesNot: ['type-only'], viaOnly: { dependencyTypesNot: ['type-only'] } },
    },
    {
      name: 'no-orphans',
      severity: 'error',
      from: { path: '^src', orphan: true, pathNot: '^src/(plugin|webhook)/main\\.ts$' },
      to: {},
    },
    {
      name: 'shared-imports-neither-program',
      comment: 'not even their types',
      severity: 'error',
      from: { path: '^src/shared/' },
      to: { path: '^src/(plugin|webhook)/' },
    },
    {
      name: 'programs-import-shared-only',
      comment: 'the plugin and the webhook never import each other, not even types',
      severity: 'error',
      from: { path: '^src/(plugin|webhook)/' },
      to: { path: '^src/(plugin|webhook)/', pathNot: '^src/$1/' },
    },
    ...layers('shared', SHARED, []),
    ...layers('plugin', PLUGIN, everyShared),
    ...layers('webhook', WEBHOOK, everyShared),
    {
      name: 'commands-stand-apart',
      comment: 'they are a bundle of their own, which only cli/cli.ts opens',
      severity: 'error',
      from: { path: '^src/plugin/', pathNot: '^src/plugin/(commands/|cli/cli\\.ts$)' },
      to: { path: '^src/plugin/commands/' },
    },
    {
      name: 'commands-import-one-way',
      severity: 'error',
      from: { path: '^src/plugin/commands/' },
      to: { path: '^src/plugin/(cli/cli|main)\\.ts$|^src/plugin/packaged/' },
    },
    {
      name: 'nothing-imports-main',
      severity: 'error',
      from: { path: '^(src|scripts)' },
      to: { path: '^src/(plugin|webhook)/main\\.ts$' },
    },
    {
      name: 'sources-need-no-tests',
      severity: 'error',
      from: { path: '^src' },
      to: { path: '^(test|scripts)' },
    },
    {
      name: 'main-loads-fast-path-and-cli',
      comment: 'main is tiny: the fast path, the host, and the import of everything that is slow to load',
      severity: 'error',
      from: { path: '^src/plugin/main\\.ts$' },
      to: { path: '^src', pathNot: '^src/(plugin/(fast-path/find-cached-credential|cli/cli)|shared/base/host)\\.ts$' },
    },
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    tsPreCompilationDeps: true,
    tsConfig: { fileName: 'tsconfig.json' },
    enhancedResolveOptions: { exportsFields: ['exports'], conditionNames: ['import', 'require', 'node', 'default'] },
  },
};
