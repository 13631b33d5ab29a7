import { UsageError } from '../../../shared/base/errors.ts';
import { API_VERSIONS } from '../../exec/exec-credential.ts';
import type { ApiVersion } from '../../exec/exec-credential.ts';
import type { CommandOption } from '../command-option.ts';
import { makeCommandOption } from '../command.ts';
import type { Invocation } from '../command.ts';

const shorten = (version: ApiVersion): string => version.split('/').at(-1) ?? version;

const NAMES = API_VERSIONS.map(shorten);

/** kubectl has the same option with the whole name, so both are accepted. */
export const STANZA_VERSION_OPTION: CommandOption = makeCommandOption({
  name: 'exec-api-version',
  help: `API version of the exec stanza: ${NAMES.join(', or ')} for kubectl older than 1.22 (${NAMES[0] ?? ''})`,
});

/**
 * Reads the API version of the stanzas to write.
 *
 * @throws UsageError
 */
export function chooseStanzaVersion({ ownConfig }: Invocation): ApiVersion {
  const text = ownConfig.text('exec-api-version') ?? API_VERSIONS[0];
  const version = API_VERSIONS.find((candidate) => candidate === text || shorten(candidate) === text);
  if (version !== undefined) return version;
  throw new UsageError(`--exec-api-version must be ${NAMES.join(' or ')}, not "${text}"`, {
    hint: 'kubectl older than 1.22 needs v1beta1, and kubectl since 1.24 accepts both',
  });
}
