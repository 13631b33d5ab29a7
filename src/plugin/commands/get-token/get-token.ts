import { getClusterToken } from '../../login/cluster-token.ts';
import { openLoginContext } from '../../login/open-login-context.ts';
import { API_VERSIONS, renderExecCredential } from '../../exec/exec-credential.ts';
import { PLUGIN_OPTION_GROUPS } from '../../config/option.ts';
import type { OptionGroup } from '../../config/option.ts';
import { readConfig } from '../../config/read-config.ts';
import { OPTIONS } from '../../auth-methods/registry.ts';
import { openKubeconfig } from '../../kubeconfig/kubeconfig.ts';
import { isPluginUser } from '../../kubeconfig/user-kind.ts';
import { PluginError } from '../../../shared/base/errors.ts';
import type { Host } from '../../../shared/base/host.ts';
import type { CommandResult, Command, Invocation } from '../command.ts';
import { warnAboutShownToken } from '../shown-token.ts';
import { offerSetUp } from './offer-set-up.ts';

/** Groups of options that say how a run behaves, and nothing about a login. */
const RUN_GROUPS: readonly OptionGroup[] = ['Command', 'Cache', 'Run', 'Browser', 'TLS'];

const LOGIN_GROUPS: readonly OptionGroup[] = PLUGIN_OPTION_GROUPS.filter((group) => !RUN_GROUPS.includes(group));

/** A kubeconfig that cannot be read has no login that kubectl could use. */
function hasOwnUser(host: Host): boolean {
  try {
    const kubeconfig = openKubeconfig(host, undefined);
    return kubeconfig.listNames('user').some((name) => isPluginUser(kubeconfig.find('user', name)?.value ?? {}));
  } catch (error) {
    if (error instanceof PluginError) return false;
    throw error;
  }
}

/** Whether the user sees this program for the first time: neither the shell nor the kubeconfig has a login. */
async function isUnconfigured({ usedContext, host, flags }: Invocation): Promise<boolean> {
  if (usedContext !== undefined || hasOwnUser(host)) return false;
  const { config } = await readConfig(host, flags, OPTIONS);
  const [ofFlags, ofVariables] = config.layers;
  return !OPTIONS.some(
    ({ name, group }) =>
      LOGIN_GROUPS.includes(group) && (ofFlags?.has(name) === true || ofVariables?.has(name) === true),
  );
}

/** Gets a token for a person: on a terminal, or with the login of a context that is selected. */
export const getTokenCommand: Command = {
  words: ['get-token'],
  task: 'Log in',
  summary: 'print a token as an ExecCredential for kubectl (the default command)',
  options: [],
  getTokenOptions: 'everything',
  examples: [
    {
      line: 'get-token --os-cloud prod',
      summary: 'print the cached token for a cloud of clouds.yaml, or log in to it',
    },
  ],
  async run(call): Promise<CommandResult> {
    if (!call.isNamed && call.host.columns() !== undefined && (await isUnconfigured(call))) return offerSetUp(call);
    const login = await openLoginContext(call.runContext);
    const { token, expiresAt } = await getClusterToken(login);
    warnAboutShownToken(call, expiresAt, 'kubectl runs this program itself; see --help for other commands');
    const document = renderExecCredential(login.apiVersion ?? API_VERSIONS[0], token, expiresAt);
    return { lines: [document.trimEnd()] };
  },
};
