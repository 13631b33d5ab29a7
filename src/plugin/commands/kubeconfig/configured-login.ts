/** What is configured now, as the arguments and variables of a stanza. */
import { readAuthUrl } from '../../../shared/keystone/auth-url.ts';
import type { Setting } from '../../../shared/options/layer.ts';
import { resolvePath } from '../../../shared/base/file-path.ts';
import { describeSources } from '../../../shared/options/option.ts';
import type { Option } from '../../../shared/options/option.ts';
import { readCloudNames, readConfig } from '../../config/read-config.ts';
import type { ResolvedConfig } from '../../../shared/options/resolve-config.ts';
import { readTlsSettings } from '../../../shared/http/tls-settings.ts';
import { ConfigError } from '../../../shared/base/errors.ts';
import type { Host } from '../../../shared/base/host.ts';
import { chooseMethod } from '../../auth-methods/choose-method.ts';
import { OPTIONS } from '../../auth-methods/registry.ts';
import { Secret } from '../../../shared/base/secret.ts';
import type { Invocation } from '../command.ts';

/** A login as a stanza has it. */
export interface ConfiguredLogin {
  readonly flags: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  /** How to set the secrets that are set now and were left out. */
  readonly leftOut: readonly string[];
}

/** What is said of one run alone. */
const OF_THIS_RUN = ['verbose', 'log-format', 'force-refresh', 'api-version'];

/** What works once is no good in a file. */
const WORKS_ONCE = ['passcode', 'code'];

/** How runs go is written down only where somebody says so now; the user's own variables go on to count. */
const isOfRuns = ({ group }: Option): boolean => group === 'Run' || group === 'Cache';

/**
 * One setting in a stanza: as a flag where it may be seen, which no variable of a shell replaces; else as a variable.
 *
 * @param host where files are to be found from any folder
 */
export function formatStanzaSetting(
  option: Option,
  value: string | Secret,
  host?: Host,
): { readonly flag: string } | { readonly name: string; readonly value: string } | undefined {
  const [name] = option.env ?? [];
  if (value instanceof Secret) return name === undefined ? undefined : { name, value: value.reveal() };
  // kubectl runs in other folders than this one.
  const isPath = option.kind === 'file' || option.name === 'cache-dir';
  const whole = isPath && host !== undefined ? resolvePath(value, host) : value;
  if (option.flag === false) return name === undefined ? undefined : { name, value: whole };
  return { flag: option.kind === 'switch' && whole === 'true' ? `--${option.name}` : `--${option.name}=${whole}` };
}

function listGiven(config: ResolvedConfig): { option: Option; setting: Setting }[] {
  const [flags, variables] = config.layers;
  const given = new Set([...(flags?.values() ?? []), ...(variables?.values() ?? [])]);
  const flagged = new Set(flags?.values() ?? []);
  return OPTIONS.flatMap((option) => {
    const setting = config.setting(option.name);
    if (setting === undefined || !given.has(setting) || OF_THIS_RUN.includes(option.name)) return [];
    return isOfRuns(option) && !flagged.has(setting) ? [] : [{ option, setting }];
  });
}

/** The cloud that is meant where nobody has named one, or nothing. */
async function nameCloud({ host, flags }: Invocation, config: ResolvedConfig): Promise<string[]> {
  const isFromFile = config.layers.length > 2;
  if (!isFromFile || config.has('os-cloud')) return [];
  const [only] = await readCloudNames(host, flags, OPTIONS);
  return only === undefined ? [] : [`--os-cloud=${only}`];
}

function refuseCurrentFolder(config: ResolvedConfig): void {
  for (const { name } of OPTIONS) {
    const { consentHint, origin } = config.setting(name) ?? {};
    if (consentHint === undefined || origin === undefined) continue;
    throw new ConfigError(`${origin}, which is in the current folder, where kubectl will not always be`, {
      hint: consentHint,
    });
  }
}

/**
 * Reads the settings and writes them as a stanza has them: what a file says of a cloud stays there.
 *
 * @param withSecrets whether secrets may stand in a kubeconfig
 * @throws ConfigError where the settings are wrong, or nothing says where Keystone is
 */
export async function readConfiguredLogin(call: Invocation, withSecrets: boolean): Promise<ConfiguredLogin> {
  const { host, flags: given } = call;
  const { config } = await readConfig(host, given, OPTIONS);
  const method = chooseMethod(config);
  if (readAuthUrl(config) === undefined && method.worksWithoutKeystoneUrl?.(config) !== true) {
    throw new ConfigError('nothing says where Keystone is', {
      hint: 'source an openrc, set OS_CLOUD, or give --keystone-url',
    });
  }
  refuseCurrentFolder(config);
  readTlsSettings(config, host);
  const flags = await nameCloud(call, config);
  const env: Record<string, string> = {};
  const leftOut: string[] = [];
  for (const { option, setting } of listGiven(config)) {
    if (setting.value instanceof Secret && (!withSecrets || WORKS_ONCE.includes(option.name))) {
      leftOut.push(describeSources(option));
      continue;
    }
    const written = formatStanzaSetting(option, setting.value, host);
    if (written === undefined) continue;
    if ('flag' in written) flags.push(written.flag);
    else env[written.name] = written.value;
  }
  // What is inferred now, from a password that is set, must not become something else in another shell.
  const isFromFile = config.layers.length > 2;
  if (!isFromFile && !config.has('auth-type')) flags.push(`--auth-type=${method.name}`);
  return { flags, env, leftOut };
}

/** Variables whose values may be shown: those of the options that are no secrets. */
export function listHarmlessVariables(): ReadonlySet<string> {
  const harmless = OPTIONS.filter(({ secret }) => secret !== true);
  return new Set(harmless.flatMap(({ env = [], legacyEnv = [] }) => [...env, ...legacyEnv]));
}
