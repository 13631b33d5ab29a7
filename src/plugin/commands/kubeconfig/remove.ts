import { ConfigError, UsageError } from '../../../shared/base/errors.ts';
import { textAt } from '../../../shared/base/json.ts';
import type { Kubeconfig } from '../../kubeconfig/kubeconfig.ts';
import { kindOf } from '../../kubeconfig/exec-stanza.ts';
import { OUTPUT } from '../command.ts';
import type { Answer, Call, Command } from '../command.ts';
import { finish } from './save-options.ts';
import { DRY_RUN, KUBECONFIG } from './options.ts';

/** The context and the user that are meant. */
function findPair(kubeconfig: Kubeconfig, { words }: Call): { context: string; user: string; cluster: string } {
  const context = words[0] ?? kubeconfig.current;
  if (context === undefined) throw new UsageError('there is no current context', { hint: 'name one' });
  const found = kubeconfig.find('context', context);
  if (found === undefined) {
    throw new UsageError(`the kubeconfig has no context "${context}"`, { hint: 'see "kubeconfig show"' });
  }
  const user = textAt(found.value, 'user') ?? '';
  const login = kubeconfig.find('user', user);
  // One whose user is gone is of no use to anybody.
  if (login !== undefined && !['ours', 'old'].includes(kindOf(login.value))) {
    throw new ConfigError(`the user of context "${context}" does not log in with client-keystone-auth`, {
      hint: 'remove it with "kubectl config delete-context"',
    });
  }
  return { context, user, cluster: textAt(found.value, 'cluster') ?? '' };
}

async function remove(call: Call): Promise<Answer> {
  const { openKubeconfig } = await import('../../kubeconfig/kubeconfig.ts');
  const kubeconfig = openKubeconfig(call.host, call.own.text('kubeconfig'));
  const { context, user, cluster } = findPair(kubeconfig, call);
  kubeconfig.remove('context', context);
  kubeconfig.unsetCurrent(context);
  const others = kubeconfig.names('context').filter((name) => {
    return textAt(kubeconfig.find('context', name)?.value, 'user') === user;
  });
  if (others.length === 0) kubeconfig.remove('user', user);
  const ofUser = others.length === 0 ? `and user ${user} are` : `is; user ${user}, which others have too, is not`;
  return finish(call, kubeconfig, {
    said: [`Context ${context} ${ofUser} removed. Cluster ${cluster} stays.`],
    data: { context, user: others.length === 0 ? user : null },
  });
}

/** Takes out what `add` puts in. */
export const kubeconfigRemove: Command = {
  words: ['kubeconfig', 'remove'],
  about: 'remove a context that logs in with this program, and its user where no other context has it',
  details: ['The cluster stays, and so do the tokens that are kept.'],
  arguments: [{ name: 'CONTEXT', help: 'context to remove; the current one when absent' }],
  options: [KUBECONFIG, DRY_RUN, OUTPUT],
  takes: 'run',
  examples: [{ line: 'kubeconfig remove --dry-run', about: 'show what would be removed with the current context' }],
  run: remove,
};
