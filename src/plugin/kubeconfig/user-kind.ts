/** How a user of a kubeconfig logs in. */
import { objectAt, textAt } from '../../shared/base/json.ts';
import type { JsonObject } from '../../shared/base/json.ts';
import type { ApiVersion } from '../exec/exec-credential.ts';
import { API_GROUP, isPluginCommand, listStanzaArguments } from './exec-stanza.ts';
import { readTokenCommand } from './token-command.ts';

/**
 * How a user of a kubeconfig logs in: with a current exec stanza of this plugin; with another one, as users of the Go
 * program have; with a command that prints a Keystone token, as Magnum writes it; with the auth
 * provider that kubectl no longer supports; with a static token; in another way; or not at all.
 */
export type UserKind = 'ours' | 'old' | 'token-command' | 'auth-provider' | 'token' | 'other' | 'none';

function classifyExec(exec: JsonObject, required: ApiVersion | undefined): UserKind {
  if (!isPluginCommand(textAt(exec, 'command'))) return isConvertible(exec) ? 'token-command' : 'other';
  const version = textAt(exec, 'apiVersion');
  return isCurrent(exec, version) && (required ?? version) === version ? 'ours' : 'old';
}

/** Whether a stanza is as this plugin writes it. Those of the Go program have `v1beta1` too, but no command. */
function isCurrent(exec: JsonObject, version: string | undefined): boolean {
  if (version === `${API_GROUP}/v1`) return textAt(exec, 'interactiveMode') !== undefined;
  return version === `${API_GROUP}/v1beta1` && listStanzaArguments(exec).includes('get-token');
}

function isConvertible(exec: JsonObject): boolean {
  const login = readTokenCommand(exec);
  return login !== undefined && !('problem' in login);
}

/**
 * Tells how a user logs in.
 *
 * @param required the API version that an exec stanza must have; without it, any that this plugin writes
 */
export function classifyUser(user: JsonObject, required?: ApiVersion): UserKind {
  const [exec, provider] = [objectAt(user, 'exec'), objectAt(user, 'auth-provider')];
  if (exec !== undefined) return classifyExec(exec, required);
  if (provider !== undefined) return textAt(provider, 'name') === 'openstack' ? 'auth-provider' : 'other';
  if (textAt(user, 'token') !== undefined) return 'token';
  return Object.values(user).every((value) => value === null) ? 'none' : 'other';
}

/** Whether a user logs in with an exec stanza of this plugin or of the Go program. */
export function isPluginUser(user: JsonObject): boolean {
  return ['ours', 'old'].includes(classifyUser(user));
}
