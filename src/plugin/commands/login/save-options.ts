/** What a login shall leave behind beside a token. */
import type { CommandOption, CommandOptionName } from '../command-option.ts';
import type { Config } from '../../../shared/options/config.ts';
import { UsageError } from '../../../shared/base/errors.ts';
import { parseAccessRules, parseLifetime } from './credential-options.ts';
import type { CredentialSpec } from './application-credential.ts';

const SAVE = 'save-secret';
const CREATE = 'create-application-credential';

/** Options that say what an application credential shall be like. */
const CREDENTIAL_OPTIONS: readonly CommandOption[] = [
  {
    name: 'credential-name',
    group: 'Command',
    file: 'nowhere',
    help: "the new application credential's name; made up when absent",
  },
  {
    name: 'role',
    group: 'Command',
    file: 'nowhere',
    help: 'roles that it has, separated by commas; all of yours on the project when absent',
  },
  {
    name: 'expires',
    group: 'Command',
    file: 'nowhere',
    help: 'how long it lives, such as 12h, 90d or 52w; for ever when absent',
  },
  {
    name: 'access-rule',
    group: 'Command',
    file: 'nowhere',
    help: 'the only requests that it may make, as METHOD:SERVICE:PATH, separated by commas',
  },
];

/** All options of the command that say what to leave behind. */
export const SAVE_OPTIONS: readonly CommandOption[] = [
  {
    name: SAVE,
    group: 'Command',
    kind: 'switch',
    file: 'nowhere',
    help: "keep the password or the application credential's secret in the keyring, so that later logins ask nothing",
  },
  {
    name: CREATE,
    group: 'Command',
    kind: 'switch',
    file: 'nowhere',
    help: 'make an application credential at Keystone, and keep its secret in the keyring instead of the password',
  },
  ...CREDENTIAL_OPTIONS,
];

/** What to keep in the keyring: what one logs in with, or a new application credential. */
export type SaveOptions =
  { readonly save: 'nothing' | 'secret' } | { readonly save: 'credential'; readonly credentialSpec: CredentialSpec };

const splitList = (text: string): string[] =>
  text
    .split(',')
    .map((part) => part.trim())
    .filter((part) => part !== '');

/**
 * Reads what the command's own options ask for.
 *
 * @param now ms since 1970, UTC
 * @throws UsageError where they do not go together, or one cannot be understood
 */
export function readSaveOptions(own: Config<CommandOptionName>, now: number): SaveOptions {
  const stray = CREDENTIAL_OPTIONS.find(({ name }) => own.has(name));
  if (!own.isOn(CREATE)) {
    if (stray !== undefined) {
      throw new UsageError(`--${stray.name} is for a new application credential`, { hint: `add --${CREATE}` });
    }
    return { save: own.isOn(SAVE) ? 'secret' : 'nothing' };
  }
  if (own.isOn(SAVE)) {
    throw new UsageError(`--${SAVE} and --${CREATE} ask for different secrets to be kept`, {
      hint: 'leave one of them out',
    });
  }
  const lifetime = own.text('expires');
  return {
    save: 'credential',
    credentialSpec: {
      name: own.text('credential-name') ?? `client-keystone-auth ${new Date(now).toISOString()}`,
      roles: splitList(own.text('role') ?? ''),
      expiresAt: lifetime === undefined ? undefined : now + parseLifetime(lifetime),
      accessRules: parseAccessRules(splitList(own.text('access-rule') ?? '')),
    },
  };
}
