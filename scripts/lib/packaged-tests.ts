// Which tests `npm test -- --packaged` runs: those of what differs between an executable and the bundles.

/** Folders of which all tests are about executables. */
const FOLDERS: readonly string[] = ['test/package/'];

/** Other tests, and what differs in an executable. */
const FILES: Readonly<Record<string, string>> = {
  'test/e2e/broken-pipe.test.ts': 'how it writes to stdout and ends',
  'test/e2e/completion.test.ts': 'shells start it by its name, and the completion contains its path',
  'test/e2e/doctor-exec-stanza.test.ts': 'doctor compares its path with the one in the stanza',
  'test/e2e/documents.test.ts': 'the documents install it',
  'test/e2e/fast-path.test.ts': 'the fast path is a bundle of its own, and opens other files',
  'test/e2e/first-steps.test.ts': 'the stanza contains its path, and the terminal is opened from it',
  'test/e2e/help.test.ts': 'help and version come from an asset',
  'test/e2e/kubeconfig.test.ts': 'the stanza contains its path',
  'test/e2e/kubectl.test.ts': 'kubectl starts it: the process, its signals and the terminal that they share',
  'test/e2e/login-web.test.ts': 'it starts a browser with its own environment',
  'test/e2e/login.test.ts': 'it prompts on a terminal, and loads the keyring',
  'test/e2e/messages-to-the-user.test.ts': 'it finds the terminal of the user',
  'test/e2e/prompts.test.ts': 'it prompts on a terminal, and signals end it',
  'test/e2e/token-exchange.test.ts':
    'the whole exchange: the issuer over its TLS, two tokens in its cache, its fast path',
  'test/contract/connections.test.ts': 'Bun has another HTTP client',
  'test/contract/tls-and-proxy.test.ts': 'Bun has another TLS library, and other sockets',
  'test/security/last-resort.test.ts':
    'Bun reports an error that nothing handles in another way, and ends in another way',
  'test/security/tls-servers.test.ts': 'Bun has another TLS library',
  'test/security/weak-certificates.test.ts': 'Bun has another TLS library, without security levels',
  'test/stress/prompt-signals.test.ts': 'Bun has other streams of terminals, and other signals',
  'test/security/child-environment.test.ts':
    'it removes variables of Node from its environment and its child processes',
  'test/stress/keyring.test.ts': 'the keyring is an asset, and runs in a process of its own',
};

/** Tests in test/e2e that run the plugin, or a part of it, but would find the same in an executable. */
const SAME_IN_BUNDLES: Readonly<Record<string, string>> = {
  'test/e2e/chromium.test.ts': 'what a browser shows',
  'test/e2e/doctor-cluster.test.ts': 'what doctor says about kubectl and the cluster',
  'test/e2e/fleet.test.ts': 'clients in other languages, and scripts that install any program',
  'test/e2e/oldest-kubectl.test.ts': 'what kubectl 1.20 does with a stanza; kubectl.test.ts starts the executable',
  'test/e2e/recording.test.ts': 'the picture in the README',
  'test/e2e/release.test.ts': 'the script that makes a release, with files in place of executables',
  'test/e2e/token-exchange-authorization.test.ts': 'what the cluster allows; kubectl.test.ts starts the executable',
  'test/e2e/worked-examples.test.ts': 'a copy of the project, which it builds',
};

/** Whether the test of an executable runs this test file. */
export function isPackagedTest(path: string): boolean {
  return FOLDERS.some((folder) => path.startsWith(folder)) || path in FILES;
}

/** Lists the files outside of test/package for which it is decided whether an executable differs. */
export function listDecidedTests(): readonly string[] {
  return [...Object.keys(FILES), ...Object.keys(SAME_IN_BUNDLES)];
}
