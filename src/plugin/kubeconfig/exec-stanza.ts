/** The part of a kubeconfig that makes kubectl run this program. */
import { isJsonObject, listAt, objectAt, textAt } from '../../shared/base/json.ts';
import type { JsonObject } from '../../shared/base/json.ts';

const API_GROUP = 'client.authentication.k8s.io';
const NAME = 'client-keystone-auth';

/** What differs from stanza to stanza. */
export interface StanzaSettings {
  /** What kubectl runs. */
  readonly command: string;
  /** After `get-token`. */
  readonly flags: readonly string[];
  readonly env: Readonly<Record<string, string>>;
}

/** The exec section that kubectl shall have. */
export function makeExecStanza({ command, flags, env }: StanzaSettings): JsonObject {
  const variables = Object.entries(env).map(([name, value]) => ({ name, value }));
  return {
    apiVersion: `${API_GROUP}/v1`,
    command,
    args: ['get-token', ...flags],
    ...(variables.length === 0 ? {} : { env: variables }),
    interactiveMode: 'IfAvailable',
    provideClusterInfo: true,
    installHint: `${NAME} logs in to OpenStack Keystone for kubectl; install it, and put it on your PATH`,
  };
}

/** kubectl writes null for what a stanza lacks; that is no difference. */
const isNothing = (value: unknown): boolean =>
  value === null || value === undefined || (Array.isArray(value) && value.length === 0);

/** A stanza without what says nothing. */
export function trimStanza(stanza: JsonObject): JsonObject {
  return Object.fromEntries(Object.entries(stanza).filter(([, value]) => !isNothing(value)));
}

/**
 * How a user of a kubeconfig logs in: with a stanza of ours, with one that kubectl no longer takes or that the Go program's users
 * have, with the provider that kubectl once had, with a token that stands there, or in a way that is none of our business.
 */
export type UserKind = 'ours' | 'old' | 'auth-provider' | 'token' | 'other';

/** Whether a command is this program, or the Go program of its name, by whatever path. */
export function isPluginCommand(command: string | undefined): boolean {
  const name = (command ?? '').split(/[/\\]/).at(-1) ?? '';
  return name.replace(/\.(?:exe|cjs)$/i, '') === NAME;
}

/** Says how a user logs in. */
export function classifyUser(user: JsonObject): UserKind {
  const exec = objectAt(user, 'exec');
  if (exec !== undefined) {
    if (!isPluginCommand(textAt(exec, 'command'))) return 'other';
    const isWhole = textAt(exec, 'apiVersion') === `${API_GROUP}/v1` && textAt(exec, 'interactiveMode') !== undefined;
    return isWhole ? 'ours' : 'old';
  }
  if (objectAt(user, 'auth-provider') !== undefined) {
    return textAt(objectAt(user, 'auth-provider'), 'name') === 'openstack' ? 'auth-provider' : 'other';
  }
  return textAt(user, 'token') !== undefined ? 'token' : 'other';
}

/** The arguments of a stanza. */
export function listStanzaArguments(exec: JsonObject): string[] {
  return listAt(exec, 'args').filter((argument) => typeof argument === 'string');
}

/** The variables of a stanza. */
export function readStanzaVariables(exec: JsonObject): Record<string, string> {
  const pairs = listAt(exec, 'env').flatMap((entry) => {
    const [name, value] = isJsonObject(entry) ? [textAt(entry, 'name'), textAt(entry, 'value')] : [];
    return name === undefined || value === undefined ? [] : [[name, value] as const];
  });
  return Object.fromEntries(pairs);
}

/** What a user may log in with; kubectl takes one of them, and not always the one that is meant. */
const CREDENTIALS = ['exec', 'auth-provider', 'token', 'tokenFile', 'username', 'password'];

/** The same user with this stanza in the place of its credential; all else that it holds stays. */
export function withExecStanza(user: JsonObject, stanza: JsonObject): JsonObject {
  const old = objectAt(user, 'exec');
  const same = old !== undefined && JSON.stringify(order(trimStanza(old))) === JSON.stringify(order(stanza));
  const others = Object.fromEntries(Object.entries(user).filter(([name]) => !CREDENTIALS.includes(name)));
  return { ...others, exec: same ? old : stanza };
}

function order(stanza: JsonObject): JsonObject {
  return Object.fromEntries(Object.entries(stanza).toSorted(([one], [other]) => (one < other ? -1 : 1)));
}
