/** Reads the configured login, to write it to an exec stanza. */
import { ConfigError } from '../../../shared/base/errors.ts';
import { readKeystoneTls } from '../../login/keystone-tls.ts';
import { readTokenExchange } from '../../login/token-exchange.ts';
import { readAuthUrl } from '../../../shared/keystone/auth-url.ts';
import type { Setting } from '../../../shared/options/layer.ts';
import type { Option, OptionName } from '../../config/option.ts';
import type { ResolvedConfig } from '../../config/resolve-config.ts';
import { chooseMethod } from '../../auth-methods/choose-method.ts';
import { OPTIONS } from '../../auth-methods/registry.ts';
import { readCloudNames, readConfig } from '../../config/read-config.ts';
import type { Invocation } from '../command.ts';
import { makeStanzaLogin } from './stanza-login.ts';
import type { StanzaLogin } from './stanza-login.ts';

/** Options that concern a single run. */
const SINGLE_RUN_OPTIONS: readonly OptionName[] = ['verbose', 'log-format', 'force-refresh', 'api-version'];

/** Secrets that work once are useless in a file. */
const SINGLE_USE_SECRETS: readonly OptionName[] = ['passcode', 'code'];

/** These are written only if a flag sets them: the variables of the user stay in effect when kubectl runs. */
const isRunOrCacheOption = ({ group }: Option): boolean => group === 'Run' || group === 'Cache';

/** Lists the settings of flags and variables; what a file sets for a cloud stays in that file. */
function listSettings(config: ResolvedConfig): (readonly [Option, Setting])[] {
  const [flags, variables] = config.layers;
  const flagSettings = new Set(flags?.values() ?? []);
  const settings = new Set([...flagSettings, ...(variables?.values() ?? [])]);
  return OPTIONS.flatMap((option) => {
    const setting = config.setting(option.name);
    if (setting === undefined || !settings.has(setting) || SINGLE_RUN_OPTIONS.includes(option.name)) return [];
    return isRunOrCacheOption(option) && !flagSettings.has(setting) ? [] : [[option, setting] as const];
  });
}

/** The flag that names the cloud which is used because it is the only one in clouds.yaml. */
async function listCloudFlags({ host, flags }: Invocation, config: ResolvedConfig): Promise<string[]> {
  if (!hasFileSettings(config) || config.has('os-cloud')) return [];
  const [only] = await readCloudNames(host, flags, OPTIONS);
  return only === undefined ? [] : [`--os-cloud=${only}`];
}

const hasFileSettings = ({ layers }: ResolvedConfig): boolean => layers.length > 2;

function rejectCurrentFolder(config: ResolvedConfig): void {
  for (const { name } of OPTIONS) {
    const { consentHint, origin } = config.setting(name) ?? {};
    if (consentHint === undefined || origin === undefined) continue;
    throw new ConfigError(`${origin} is in the current folder, but kubectl can run in other folders`, {
      hint: consentHint,
    });
  }
}

/** Whether a command writes secrets to the kubeconfig (`--with-secrets`). */
export interface SecretsChoice {
  readonly withSecrets: boolean;
}

/**
 * Reads the settings of flags and variables, and the name of the cloud.
 *
 * @throws ConfigError if the settings are invalid, or the URL of Keystone is not set
 */
export async function readConfiguredLogin(call: Invocation, { withSecrets }: SecretsChoice): Promise<StanzaLogin> {
  const { host, flags } = call;
  const { config } = await readConfig(host, flags, OPTIONS);
  const { method } = chooseMethod(config);
  if (readAuthUrl(config) === undefined && method.worksWithoutKeystoneUrl?.(config) !== true) {
    throw new ConfigError('the URL of Keystone is not set', {
      hint: 'source an openrc, set OS_CLOUD, or give --keystone-url',
    });
  }
  rejectCurrentFolder(config);
  readKeystoneTls(config, host);
  readTokenExchange(config, host);
  const canHoldSecret = ({ name }: Option): boolean => withSecrets && !SINGLE_USE_SECRETS.includes(name);
  const cloudFlags = await listCloudFlags(call, config);
  const login = makeStanzaLogin(listSettings(config), canHoldSecret, host);
  // The method that is inferred now, from a password for example, must not change with the variables of another shell.
  const needsMethod = !hasFileSettings(config) && !config.has('auth-type');
  const methodFlags = needsMethod ? [`--auth-type=${method.name}`] : [];
  return { ...login, flags: [...cloudFlags, ...login.flags, ...methodFlags] };
}
