/** The exec stanza of a kubeconfig, which makes kubectl run this plugin. */
import { isJsonObject, listAt, objectAt, textAt } from '../../shared/base/json.ts';
import type { JsonObject } from '../../shared/base/json.ts';
import type { ApiVersion } from '../exec/exec-credential.ts';
import { PROGRAM_NAME } from '../../shared/base/program.ts';

export const API_GROUP = 'client.authentication.k8s.io';

/** What differs from stanza to stanza. */
export interface StanzaSettings {
  readonly apiVersion: ApiVersion;
  /** The command that kubectl runs. */
  readonly command: string;
  /** The arguments after `get-token`. */
  readonly flags: readonly string[];
  readonly env: Readonly<Record<string, string>>;
}

/**
 * Whether a stanza of this version must say how the plugin uses the terminal. `v1beta1` has a default, and kubectl 1.20
 * drops it.
 */
const requiresInteractiveMode = (apiVersion: ApiVersion): boolean => apiVersion === `${API_GROUP}/v1`;

/** Makes the exec stanza that `kubeconfig add` writes. */
export function makeExecStanza({ apiVersion, command, flags, env }: StanzaSettings): JsonObject {
  const variables = Object.entries(env).map(([name, value]) => ({ name, value }));
  return {
    apiVersion,
    command,
    args: ['get-token', ...flags],
    ...(variables.length === 0 ? {} : { env: variables }),
    ...(requiresInteractiveMode(apiVersion) ? { interactiveMode: 'IfAvailable' } : {}),
    provideClusterInfo: true,
    installHint: `${PROGRAM_NAME} logs in to OpenStack Keystone for kubectl; install it, and put it on your PATH`,
  };
}

const isEmpty = (value: unknown): boolean =>
  value === null || value === undefined || (Array.isArray(value) && value.length === 0);

/** kubectl writes null for the settings that a stanza lacks, which makes no difference. */
function withoutEmptySettings(stanza: JsonObject): JsonObject {
  return Object.fromEntries(Object.entries(stanza).filter(([, value]) => !isEmpty(value)));
}

/** Whether a command is this plugin or the Go program of the same name, at any path. */
export function isPluginCommand(command: string | undefined): boolean {
  const name = (command ?? '').split(/[/\\]/).at(-1) ?? '';
  return name.replace(/\.(?:exe|cjs)$/i, '') === PROGRAM_NAME;
}

/** Lists the arguments of an exec stanza. */
export function listStanzaArguments(exec: JsonObject): string[] {
  return listAt(exec, 'args').filter((argument) => typeof argument === 'string');
}

/** Reads the variables of an exec stanza. */
export function readStanzaVariables(exec: JsonObject): Record<string, string> {
  const pairs = listAt(exec, 'env').flatMap((entry) => {
    const [name, value] = isJsonObject(entry) ? [textAt(entry, 'name'), textAt(entry, 'value')] : [];
    return name === undefined || value === undefined ? [] : [[name, value] as const];
  });
  return Object.fromEntries(pairs);
}

/** Settings of a user that are credentials. kubectl uses one of them, and not always the expected one. */
const CREDENTIALS = ['exec', 'auth-provider', 'token', 'tokenFile', 'username', 'password'];

/** Returns the user with this stanza instead of its credentials; its other settings stay. */
export function withExecStanza(user: JsonObject, stanza: JsonObject): JsonObject {
  const old = objectAt(user, 'exec');
  const isSame = old !== undefined && formatSorted(withoutEmptySettings(old)) === formatSorted(stanza);
  const otherSettings = Object.fromEntries(Object.entries(user).filter(([name]) => !CREDENTIALS.includes(name)));
  return { ...otherSettings, exec: isSame ? old : stanza };
}

function formatSorted(stanza: JsonObject): string {
  return JSON.stringify(Object.entries(stanza).toSorted(([a], [b]) => (a < b ? -1 : 1)));
}
