import { isFresh } from '../../cache/token-record.ts';
import { readCloudNames } from '../../config/read-config.ts';
import { isJsonObject, listAt, textAt } from '../../../shared/base/json.ts';
import { openLoginContext } from '../../login/open-login-context.ts';
import { withToken } from '../../login/with-token.ts';
import { OPTIONS } from '../../auth-methods/registry.ts';
import { makePrintable } from '../../../shared/base/printable.ts';
import type { CommandResult, Invocation, Command } from '../command.ts';

/** Longer than this nobody waits for a shell, in ms. */
const PATIENCE_MS = 2_000;

/** With a token that is there already: a key pressed in a shell is no reason to log in. */
async function listProjects({ runContext }: Invocation): Promise<readonly string[]> {
  const login = await openLoginContext(runContext);
  const found = await login.cache.read(login.cacheKey);
  if (found === undefined || !isFresh(found.record, runContext.host.now())) return [];
  return withToken({ ...login, deadlineMs: PATIENCE_MS }, found.record, async (ask) => {
    const body = await ask({ verb: 'GET', path: 'auth/projects', resource: 'the projects' });
    return listAt(body, 'projects')
      .filter(isJsonObject)
      .flatMap((project) => textAt(project, 'name') ?? []);
  });
}

/** Of the files that kubectl takes where no flag names one. */
async function listKubeconfig({ host }: Invocation, kind: 'cluster' | 'context'): Promise<readonly string[]> {
  const { openKubeconfig } = await import('../../kubeconfig/kubeconfig.ts');
  return openKubeconfig(host, undefined).listNames(kind);
}

const LISTS: Readonly<Record<string, (call: Invocation) => Promise<readonly string[]>>> = {
  clouds: ({ host, flags }) => readCloudNames(host, flags, OPTIONS),
  projects: listProjects,
  clusters: (call) => listKubeconfig(call, 'cluster'),
  contexts: (call) => listKubeconfig(call, 'context'),
};

/** What the scripts of `completion` ask, so that they can complete what no script can know. */
export const completeCommand: Command = {
  words: ['complete'],
  summary: 'print names for the completion of shells, one to a line',
  arguments: [
    {
      name: 'KIND',
      help: `kind of name: ${Object.keys(LISTS).join(', ')}`,
      required: true,
      choices: Object.keys(LISTS),
    },
  ],
  options: [],
  getTokenOptions: 'login',
  examples: [{ line: 'complete clouds', summary: 'the clouds of clouds.yaml' }],
  hidden: true,
  async run(call): Promise<CommandResult> {
    const names = await LISTS[call.args[0] ?? '']?.(call);
    // A name that would need more than quoting is no good on a command line.
    return { text: (names ?? []).filter((name) => makePrintable(name) === name).join('\n') };
  },
};
