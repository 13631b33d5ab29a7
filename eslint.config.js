/** Typed linting; only host.ts says `process`, each package has one importer, and one module reads files. */
import tseslint from 'typescript-eslint';

/** The one file that may import each package. */
const IMPORTERS = {
  yargs: 'src/shared/yargs/yargs.ts',
  yaml: 'src/plugin/kubeconfig/yaml.ts',
  'yargs-parser': 'src/shared/options/parse-command-line.ts',
  '@napi-rs/keyring': 'src/plugin/cache/keyring-process.ts',
  got: 'src/shared/http/http-client.ts',
  socks: 'src/shared/http/socks.ts',
  saxes: 'src/plugin/saml/xml.ts',
  jose: 'src/shared/oidc/jwt.ts',
  '@inquirer/prompts': 'src/plugin/terminal/prompt.ts',
  'js-yaml': 'src/shared/options/yaml.ts',
  diff: 'src/plugin/kubeconfig/diff.ts',
  which: 'src/plugin/programs/find-program.ts',
  pino: 'src/webhook/observability/log.ts',
  'lru-cache': 'src/webhook/authn/verdict-cache.ts',
  'prom-client': 'src/webhook/observability/metric-registry.ts',
  '@kubernetes/client-node': 'src/webhook/sources/cluster.ts',
};

/** Functions that open files, which can wait forever or read without end. */
const OPENERS = ['createReadStream', 'open', 'openAsBlob', 'openSync', 'readFile', 'readFileSync'];

/** The files that may open files themselves: each has its own checks, or opens what no setting names. */
const OPENING_FILES = [
  'src/shared/base/read-file.ts',
  // /proc
  'src/shared/base/process-identity.ts',
  // stdin
  'src/plugin/cache/keyring-process.ts',
  'src/plugin/cache/private-file.ts',
  // The terminal.
  'src/plugin/terminal/terminal.ts',
  // For writing.
  'src/shared/base/write-private-file.ts',
  'src/plugin/kubeconfig/write-file.ts',
  // A file in the executable.
  'src/plugin/packaged/bun/keyring.ts',
];

const exceptions = [...new Set([...Object.values(IMPORTERS), ...OPENING_FILES])];

function restrictImports(file) {
  const packages = Object.keys(IMPORTERS).filter((name) => IMPORTERS[name] !== file);
  const message = 'Read files with shared/base/read-file.ts, which bounds their kind and size.';
  const openers = OPENING_FILES.includes(file)
    ? []
    : ['node:fs', 'node:fs/promises'].map((name) => ({ name, importNames: OPENERS, message }));
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
          {
            name: 'node:tls',
            importNames: ['setDefaultCACertificates'],
            message: 'It changes what every connection of the process trusts.',
          },
          ...openers,
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
        // `f(x, true)` does not say what is true.
        ...[
          'Identifier[typeAnnotation.typeAnnotation.type="TSBooleanKeyword"]',
          'AssignmentPattern[right.raw=/^(true|false)$/]',
        ].map((parameter) => ({
          selector: `ExportNamedDeclaration > FunctionDeclaration > ${parameter}.params`,
          message: 'Take a boolean by its name, in an object.',
        })),
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
  { files: ['src/**/*.ts'], ignores: exceptions, rules: restrictImports(undefined) },
  ...exceptions.map((file) => ({ files: [file], rules: restrictImports(file) })),
  {
    files: ['src/**/*.ts'],
    ignores: ['src/shared/base/host.ts'],
    rules: { 'no-restricted-globals': ['error', 'process', 'console'] },
  },
);
