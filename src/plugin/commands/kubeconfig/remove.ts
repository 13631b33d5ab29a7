import { ConfigError, UsageError } from '../../../shared/base/errors.ts';
import { textAt } from '../../../shared/base/json.ts';
import type { Kubeconfig } from '../../kubeconfig/kubeconfig.ts';
import { classifyUser } from '../../kubeconfig/exec-stanza.ts';
import { OUTPUT_OPTION } from '../command.ts';
import type { CommandResult, Invocation, Command } from '../command.ts';
import { saveOrPreview } from './save-or-preview.ts';
import { DRY_RUN_OPTION, KUBECONFIG_OPTION } from './options.ts';

/** The context and the user that are meant. */
function findPair(kubeconfig: Kubeconfig, { args }: Invocation): { context: string; user: string; cluster: string } {
  const context = args[0] ?? kubeconfig.currentContext;
  if (context === undefined) throw new UsageError('there is no current context', { hint: 'name one' });
  const found = kubeconfig.find('context', context);
  if (found === undefined) {
    throw new UsageError(`the kubeconfig has no context "${context}"`, { hint: 'see "kubeconfig show"' });
  }
  const user = textAt(found.value, 'user') ?? '';
  const login = kubeconfig.find('user', user);
  // One whose user is gone is of no use to anybody.
  if (login !== undefined && !['ours', 'old'].includes(classifyUser(login.value))) {
    throw new ConfigError(`the user of context "${context}" does not log in with client-keystone-auth`, {
      hint: 'remove it with "kubectl config delete-context"',
    });
  }
  return { context, user, cluster: textAt(found.value, 'cluster') ?? '' };
}

async function remove(call: Invocation): Promise<CommandResult> {
  const { openKubeconfig } = await import('../../kubeconfig/kubeconfig.ts');
  const kubeconfig = openKubeconfig(call.host, call.ownConfig.text('kubeconfig'));
  const { context, user, cluster } = findPair(kubeconfig, call);
  kubeconfig.remove('context', context);
  kubeconfig.unsetCurrentContext(context);
  const others = kubeconfig.listNames('context').filter((name) => {
    return textAt(kubeconfig.find('context', name)?.value, 'user') === user;
  });
  if (others.length === 0) kubeconfig.remove('user', user);
  const ofUser = others.length === 0 ? `and user ${user} are` : `is; user ${user}, which others have too, is not`;
  return saveOrPreview(call, kubeconfig, {
    messages: [`Context ${context} ${ofUser} removed. Cluster ${cluster} stays.`],
    data: { context, user: others.length === 0 ? user : null },
  });
}

/** Takes out what `add` puts in. */
export const kubeconfigRemoveCommand: Command = {
  words: ['kubeconfig', 'remove'],
  summary: 'remove a context that logs in with this program, and its user where no other context has it',
  details: ['The cluster stays, and so do the tokens that are kept.'],
  arguments: [{ name: 'CONTEXT', help: 'context to remove; the current one when absent' }],
  options: [KUBECONFIG_OPTION, DRY_RUN_OPTION, OUTPUT_OPTION],
  getTokenOptions: 'run',
  examples: [{ line: 'kubeconfig remove --dry-run', summary: 'show what would be removed with the current context' }],
  run: remove,
};
