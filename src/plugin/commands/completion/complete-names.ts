/** The hidden command `complete`, which lists names for the completion scripts. */
import { isFresh } from '../../cache/token-record.ts';
import { readCloudNames } from '../../config/read-config.ts';
import { openLoginContext } from '../../login/open-login-context.ts';
import { withToken } from '../../login/with-token.ts';
import { OPTIONS } from '../../auth-methods/registry.ts';
import { openKubeconfig } from '../../kubeconfig/kubeconfig.ts';
import type { Host } from '../../../shared/base/host.ts';
import { isPrintable } from '../../../shared/base/terminal-text.ts';
import { listAvailableScopes } from '../available-scopes.ts';
import type { CommandResult, Invocation, Command } from '../command.ts';

/** A user waits for the shell meanwhile, so this is shorter than a login's. Without `--timeout`; in ms. */
const TIMEOUT_MS = 2_000;

/** Uses a cached token only: pressing a key in a shell must not start a login. */
async function listProjects({ runContext }: Invocation): Promise<readonly string[]> {
  const login = await openLoginContext(runContext);
  const cached = await login.cache.read(login.cacheKey);
  if (cached === undefined || !isFresh(cached.record, runContext.host.now())) return [];
  const deadlineMs = login.config.text('timeout') === undefined ? TIMEOUT_MS : login.deadlineMs;
  return withToken({ ...login, deadlineMs }, cached.record, async (ask) => {
    const projects = await listAvailableScopes(ask, 'projects');
    return projects.flatMap(({ name }) => name ?? []);
  });
}

/** Reads the default kubeconfig files: the script does not pass --kubeconfig on. */
function listKubeconfigNames(host: Host, kind: 'cluster' | 'context'): Promise<readonly string[]> {
  return Promise.resolve(openKubeconfig(host, undefined).listNames(kind));
}

const LISTERS: Readonly<Record<string, (call: Invocation) => Promise<readonly string[]>>> = {
  clouds: ({ host, flags }) => readCloudNames(host, flags, OPTIONS),
  projects: listProjects,
  clusters: ({ host }) => listKubeconfigNames(host, 'cluster'),
  contexts: ({ host }) => listKubeconfigNames(host, 'context'),
};

/** Prints names that the scripts of `completion` cannot know. */
export const completeCommand: Command = {
  words: ['complete'],
  task: 'Set up',
  summary: 'print names for shell completion, one per line',
  arguments: [
    {
      name: 'KIND',
      help: `kind of name: ${Object.keys(LISTERS).join(', ')}`,
      required: true,
      choices: Object.keys(LISTERS),
    },
  ],
  options: [],
  contextUse: 'none',
  getTokenOptions: 'login',
  examples: [{ line: 'complete clouds', summary: 'list the clouds of clouds.yaml' }],
  hidden: true,
  async run(call): Promise<CommandResult> {
    const names = await LISTERS[call.args[0] ?? '']?.(call);
    // Names with control characters cannot be completed safely.
    return { lines: (names ?? []).filter(isPrintable) };
  },
};
