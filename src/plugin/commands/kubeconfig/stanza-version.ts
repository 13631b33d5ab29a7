import { UsageError } from '../../../shared/base/errors.ts';
import { objectAt, textAt } from '../../../shared/base/json.ts';
import type { JsonObject } from '../../../shared/base/json.ts';
import { API_VERSIONS } from '../../exec/exec-credential.ts';
import type { ApiVersion } from '../../exec/exec-credential.ts';
import type { CommandOption } from '../command-option.ts';
import { makeCommandOption } from '../command.ts';
import type { Invocation } from '../command.ts';

const shorten = (version: ApiVersion): string => version.split('/').at(-1) ?? version;

const NAMES = API_VERSIONS.map(shorten);

const [NEWEST, KNOWN_TO_ALL] = API_VERSIONS;

/** kubectl has the same option with the whole name, so both are accepted. */
export const STANZA_VERSION_OPTION: CommandOption = makeCommandOption({
  name: 'exec-api-version',
  help:
    `API version of the exec stanza: ${NAMES.join(', or ')} for kubectl older than 1.22 ` +
    `(${shorten(KNOWN_TO_ALL)} where a login of an older kubectl is replaced, else ${shorten(NEWEST)})`,
});

/**
 * Reads the API version that the user asks for; undefined if any will do.
 *
 * @throws UsageError
 */
export function readStanzaVersion({ ownConfig }: Invocation): ApiVersion | undefined {
  const text = ownConfig.text('exec-api-version');
  const version = API_VERSIONS.find((candidate) => candidate === text || shorten(candidate) === text);
  if (version !== undefined || text === undefined) return version;
  throw new UsageError(`--exec-api-version must be ${NAMES.join(' or ')}, not "${text}"`, {
    hint: 'kubectl older than 1.22 needs v1beta1, and kubectl since 1.24 accepts both',
  });
}

/**
 * Chooses the API version of a stanza. Any kubectl can have used a login of an older version, or the auth provider, and
 * must be able to read the stanza that replaces it.
 *
 * @param user whose login the stanza replaces
 * @throws UsageError
 */
export function chooseStanzaVersion(call: Invocation, user: JsonObject | undefined): ApiVersion {
  const version = readStanzaVersion(call);
  if (version !== undefined) return version;
  const exec = objectAt(user, 'exec');
  const isOfOldKubectl =
    exec === undefined ? objectAt(user, 'auth-provider') !== undefined : textAt(exec, 'apiVersion') !== NEWEST;
  return isOfOldKubectl ? KNOWN_TO_ALL : NEWEST;
}
