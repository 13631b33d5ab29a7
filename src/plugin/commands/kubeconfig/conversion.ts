/** Which commands change how a user of a kubeconfig logs in, so that their messages agree. */
import { textAt } from '../../../shared/base/json.ts';
import { PROGRAM_NAME } from '../../../shared/base/program.ts';
import type { Kubeconfig } from '../../kubeconfig/kubeconfig.ts';
import { classifyUser } from '../../kubeconfig/user-kind.ts';
import type { UserKind } from '../../kubeconfig/user-kind.ts';
import { quoteForShell } from '../quote-for-shell.ts';

/** The kinds of users that `kubeconfig convert` converts. */
export const CONVERTIBLE_KINDS: readonly UserKind[] = ['old', 'token-command', 'auth-provider'];

const formatCommand = (...words: readonly string[]): string => `"${PROGRAM_NAME} kubeconfig ${words.join(' ')}"`;

function findContext(kubeconfig: Kubeconfig, user: string): { name: string; cluster: string } | undefined {
  for (const name of kubeconfig.listNames('context')) {
    const { value } = kubeconfig.find('context', name) ?? {};
    if (textAt(value, 'user') === user) return { name, cluster: textAt(value, 'cluster') ?? '' };
  }
  return undefined;
}

/** Names the command that converts a user, as phrases for a hint; none if no command does. */
export function describeConversion(kubeconfig: Kubeconfig, user: string): string[] {
  const kind = classifyUser(kubeconfig.find('user', user)?.value ?? {});
  const context = findContext(kubeconfig, user);
  const names = context === undefined ? ['--all'] : [quoteForShell(context.name)];
  if (CONVERTIBLE_KINDS.includes(kind)) return [`convert it with ${formatCommand('convert', ...names)}`];
  if (kind !== 'token' || context === undefined) return [];
  return [`replace its token with ${formatCommand('convert', ...names, '--static-token')}`];
}

/** Names what gives the person a login with this plugin if the user of a context cannot be converted, as a hint. */
export function describeAlternative(kubeconfig: Kubeconfig, user: string): string {
  const context = findContext(kubeconfig, user);
  if (classifyUser(kubeconfig.find('user', user)?.value ?? {}) === 'none') {
    const name = quoteForShell(context?.name ?? user);
    return `log in with your current settings: ${formatCommand('add', `--name=${name}`, `--user=${quoteForShell(user)}`)}`;
  }
  const cluster = quoteForShell(context?.cluster ?? '');
  return `add another context for its cluster: ${formatCommand('add', `--cluster=${cluster}`)}`;
}
