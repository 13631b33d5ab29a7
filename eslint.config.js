/** Typed linting, and two of the six rules: only host.ts says `process`, and each package has one importer. */
import tseslint from 'typescript-eslint';

/** The one file that may import each package. */
const IMPORTERS = {
  yargs: 'src/plugin/commands/help.ts',
  yaml: 'src/plugin/kubeconfig/yaml.ts',
  'yargs-parser': 'src/plugin/cli/parse-command-line.ts',
  '@napi-rs/keyring': 'src/plugin/cache/keyring-process.ts',
  got: 'src/shared/http/http-client.ts',
  jose: 'src/shared/oidc/jwt.ts',
  '@inquirer/prompts': 'src/plugin/terminal/prompt.ts',
  'js-yaml': 'src/shared/options/yaml.ts',
  diff: 'src/plugin/kubeconfig/diff.ts',
  which: 'src/plugin/programs/find-program.ts',
  fastify: 'src/webhook/server/server.ts',
  pino: 'src/webhook/observability/log.ts',
  'lru-cache': 'src/webhook/authn/verdict-cache.ts',
  'prom-client': 'src/webhook/observability/metrics.ts',
  '@kubernetes/client-node': 'src/webhook/sources/cluster.ts',
};

const importers = Object.values(IMPORTERS);

function restrictPackages(allowed) {
  const packages = Object.keys(IMPORTERS).filter((name) => IMPORTERS[name] !== allowed);
  return {
    '@typescript-eslint/no-restricted-imports': [
      'error',
      {
        paths: [
          ...packages.map((name) => ({
            name,
            message: `Only ${IMPORTERS[name]} imports ${name}.`,
            allowTypeImports: false,
          })),
          { name: 'node:process', message: 'Only host.ts says process.' },
        ],
      },
    ],
  };
}

export default tseslint.config(
  { ignores: ['dist/', '.tap/', '.mutation/', 'node_modules/', '**/*.cjs'] },
  {
    files: ['**/*.ts'],
    extends: [tseslint.configs.strictTypeChecked, tseslint.configs.stylisticTypeChecked],
    languageOptions: { parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname } },
    rules: {
      '@typescript-eslint/consistent-type-imports': 'error',
      '@typescript-eslint/explicit-module-boundary-types': 'error',
      '@typescript-eslint/switch-exhaustiveness-check': 'error',
      'no-restricted-syntax': [
        'error',
        { selector: 'ExportDefaultDeclaration', message: 'Export by name.' },
        { selector: 'TSEnumDeclaration', message: 'Use a union of literals.' },
      ],
      // A method's names are bracketed where the object comes from outside and its type is an index signature.
      '@typescript-eslint/dot-notation': ['error', { allowIndexSignaturePropertyAccess: true }],
      '@typescript-eslint/restrict-template-expressions': ['error', { allowNumber: true }],
    },
  },
  {
    files: ['test/**/*.ts', 'scripts/**/*.ts'],
    rules: {
      // tap ends a subtest when its promise does.
      '@typescript-eslint/require-await': 'off',
      '@typescript-eslint/no-confusing-void-expression': ['error', { ignoreArrowShorthand: true }],
      '@typescript-eslint/no-non-null-assertion': 'error',
    },
  },
  {
    files: ['src/plugin/auth-methods/*.ts'],
    // Only some methods have anything to wait for.
    rules: { '@typescript-eslint/require-await': 'off' },
  },
  { files: ['src/**/*.ts'], ignores: importers, rules: restrictPackages(undefined) },
  ...importers.map((file) => ({ files: [file], rules: restrictPackages(file) })),
  {
    files: ['src/**/*.ts'],
    ignores: ['src/shared/base/host.ts'],
    rules: { 'no-restricted-globals': ['error', 'process', 'console'] },
  },
);
