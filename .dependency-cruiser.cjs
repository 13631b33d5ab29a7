/** The layer rule of ARCHITECTURE.md: imports point left, and siblings share types only. */
const base = '^src/(errors|file-stamp|secret|header-token|json|kin|printable|quote|exposed|version|host)\\.ts$';

/** What each layer may import values from, besides itself, `base` and node's built-ins. */
const layers = {
  exec: [],
  config: [],
  keystone: [],
  oidc: [],
  cache: [],
  prompt: [],
  browser: [],
  kubeconfig: [],
  hit: ['exec', 'cache'],
  methods: ['config', 'keystone', 'oidc', 'prompt', 'browser'],
  login: ['exec', 'config', 'keystone', 'cache', 'prompt', 'hit', 'methods'],
  webhook: ['config', 'keystone', 'oidc'],
};

const own = (folders) => folders.map((folder) => `^src/${folder}/`);

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
      from: { path: '^src', orphan: true, pathNot: '^src/(webhook/)?main\\.ts$' },
      to: {},
    },
    {
      name: 'base-imports-base',
      comment: 'errors, secret, json, host and their like know nothing of the rest',
      severity: 'error',
      from: { path: base },
      to: { path: '^src', pathNot: base, dependencyTypesNot: ['type-only'] },
    },
    ...Object.entries(layers).map(([layer, left]) => ({
      name: `${layer}-imports-left`,
      severity: 'error',
      from: { path: `^src/${layer}/` },
      to: { path: '^src', pathNot: [base, ...own([layer, ...left])], dependencyTypesNot: ['type-only'] },
    })),
    {
      name: 'get-token-imports-left',
      severity: 'error',
      from: { path: '^src/get-token\\.ts$' },
      to: { path: '^src/(cli/|main\\.ts)', dependencyTypesNot: ['type-only'] },
    },
    {
      name: 'commands-stand-apart',
      comment: 'a bundle of its own, which cli/cli.ts opens; nothing else knows of it',
      severity: 'error',
      from: { path: '^src', pathNot: '^src/(commands/|cli/cli\\.ts$)' },
      to: { path: '^src/commands/' },
    },
    {
      name: 'commands-import-left',
      severity: 'error',
      from: { path: '^src/commands/' },
      to: { path: '^src/(cli/cli|main)\\.ts$|^src/(webhook|packaged)/' },
    },
    {
      name: 'nothing-imports-main',
      severity: 'error',
      from: { path: '^(src|scripts)' },
      to: { path: '^src/main\\.ts$' },
    },
    {
      name: 'sources-need-no-tests',
      severity: 'error',
      from: { path: '^src' },
      to: { path: '^(test|scripts)' },
    },
    {
      name: 'the-webhook-is-another-program',
      comment: 'k8s-keystone-auth shares the way to Keystone with the plugin; the plugin has nothing of it',
      severity: 'error',
      from: { path: '^src', pathNot: '^src/webhook/' },
      to: { path: '^src/webhook/' },
    },
    {
      name: 'main-loads-hit-and-cli',
      comment: 'main is tiny: the hit path, the host, and the door to everything slow',
      severity: 'error',
      from: { path: '^src/main\\.ts$' },
      to: { path: '^src', pathNot: '^src/(hit/lookup|host|cli/cli)\\.ts$' },
    },
    {
      name: 'packaged-loads-bundles',
      comment: 'it stands in for cli/ in an executable: what it loads is bundled already',
      severity: 'error',
      from: { path: '^src/packaged/' },
      to: { path: '^src', pathNot: [base, '^src/(packaged|cache)/'], dependencyTypesNot: ['type-only'] },
    },
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    tsPreCompilationDeps: true,
    tsConfig: { fileName: 'tsconfig.json' },
    enhancedResolveOptions: { exportsFields: ['exports'], conditionNames: ['import', 'require', 'node', 'default'] },
  },
};
