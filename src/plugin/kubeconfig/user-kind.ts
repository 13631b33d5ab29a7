/** How a user of a kubeconfig logs in. */
import { objectAt, textAt } from '../../shared/base/json.ts';
import type { JsonObject } from '../../shared/base/json.ts';
import type { ApiVersion } from '../exec/exec-credential.ts';
import { API_GROUP, isPluginCommand, requiresInteractiveMode } from './exec-stanza.ts';
import { readTokenCommand } from './token-command.ts';

/**
 * How a user of a kubeconfig logs in: with a current exec stanza of this plugin; with one that has another API version,
 * as users of the Go program have; with a command that prints a Keystone token, as Magnum writes it; with the auth
 * provider that kubectl no longer supports; with a static token; in another way; or not at all.
 */
export type UserKind = 'ours' | 'old' | 'token-command' | 'auth-provider' | 'token' | 'other' | 'none';

function classifyExec(exec: JsonObject, current: ApiVersion): UserKind {
  if (!isPluginCommand(textAt(exec, 'command'))) return isConvertible(exec) ? 'token-command' : 'other';
  const hasMode = !requiresInteractiveMode(current) || textAt(exec, 'interactiveMode') !== undefined;
  return textAt(exec, 'apiVersion') === current && hasMode ? 'ours' : 'old';
}

function isConvertible(exec: JsonObject): boolean {
  const login = readTokenCommand(exec);
  return login !== undefined && !('problem' in login);
}

/**
 * Tells how a user logs in.
 *
 * @param current the API version that an exec stanza should have; others are old
 */
export function classifyUser(user: JsonObject, current: ApiVersion = `${API_GROUP}/v1`): UserKind {
  const [exec, provider] = [objectAt(user, 'exec'), objectAt(user, 'auth-provider')];
  if (exec !== undefined) return classifyExec(exec, current);
  if (provider !== undefined) return textAt(provider, 'name') === 'openstack' ? 'auth-provider' : 'other';
  if (textAt(user, 'token') !== undefined) return 'token';
  return Object.values(user).every((value) => value === null) ? 'none' : 'other';
}

/** Whether a user logs in with an exec stanza of this plugin or of the Go program. */
export function isPluginUser(user: JsonObject): boolean {
  return ['ours', 'old'].includes(classifyUser(user));
}
