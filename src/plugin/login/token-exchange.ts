/** The settings of a token exchange: the cluster gets a JWT of an issuer, and never the Keystone token. */
import { ConfigError } from '../../shared/base/errors.ts';
import type { Host } from '../../shared/base/host.ts';
import { removeTrailingSlashes } from '../../shared/base/text.ts';
import { isPlaintextLoopback } from '../../shared/http/peer.ts';
import { readTlsSettings, trustAuthorities } from '../../shared/http/tls-settings.ts';
import type { TlsOptionName, TlsSettings } from '../../shared/http/tls-settings.ts';
import { readTrustedOrigins, rejectWeakerTls, restrictTls } from '../../shared/http/trusted-origins.ts';
import type { Issuer } from '../../shared/oidc/exchange-request.ts';
import { makeConfig } from '../../shared/options/config.ts';
import type { Setting } from '../../shared/options/layer.ts';
import { describeSources } from '../../shared/options/option.ts';
import { OPTIONS } from '../auth-methods/registry.ts';
import type { OptionName } from '../config/option.ts';
import type { ResolvedConfig } from '../config/resolve-config.ts';
import { rejectAnyUntrusted } from '../config/untrusted-settings.ts';

/** An exchange as the settings want it. */
export interface TokenExchange {
  readonly issuer: Issuer;
  /** The name of the cluster at the issuer. */
  readonly audience: string;
  /** How the issuer is trusted: its certificate is always checked, and no client certificate is shown. */
  readonly tls: TlsSettings;
}

const URL_OPTION = 'token-exchange-url';
const AUDIENCE_OPTION = 'token-exchange-audience';
const AUTHORITY_OPTION = 'token-exchange-cacert';

const MAX_AUDIENCE_CHARACTERS = 1_000;

function describeOption(name: OptionName): string {
  const option = OPTIONS.find((each) => each.name === name);
  return option === undefined ? name : describeSources(option);
}

/** @throws ConfigError if one of the two is set alone */
function requireBoth(config: ResolvedConfig): boolean {
  const [missing, ...others] = [URL_OPTION, AUDIENCE_OPTION].filter((name) => !config.has(name as OptionName));
  if (missing === undefined) return true;
  if (others.length > 0) return false;
  const present = missing === URL_OPTION ? AUDIENCE_OPTION : URL_OPTION;
  throw new ConfigError(
    `${config.origin(present)} is set, but not ${describeOption(missing as OptionName)}: a token exchange needs both`,
    { hint: `set it, or unset ${config.origin(present)}` },
    'config-conflict',
  );
}

function readIssuerUrl(config: ResolvedConfig): URL {
  const origin = config.origin(URL_OPTION);
  const text = (config.text(URL_OPTION) ?? '').trim();
  const hint = `set ${origin} to something like https://issuer.example.com`;
  const url = URL.parse(text) ?? undefined;
  if (url === undefined) throw new ConfigError(`${origin} is not a URL`, { hint });
  if (url.protocol !== 'https:' && !isPlaintextLoopback(url)) {
    throw new ConfigError(`${origin} must begin with https://: the Keystone token is sent there`, { hint });
  }
  if (url.username !== '' || url.password !== '' || url.search !== '' || url.hash !== '') {
    throw new ConfigError(`${origin} must not contain a user name, a password, a query or a fragment`, { hint });
  }
  return url;
}

function readAudience(config: ResolvedConfig): string {
  const text = config.text(AUDIENCE_OPTION) ?? '';
  if (/^[\x21-\x7e]+(?: [\x21-\x7e]+)*$/.test(text) && text.length <= MAX_AUDIENCE_CHARACTERS) return text;
  throw new ConfigError(`${config.origin(AUDIENCE_OPTION)} is not the name of a cluster`, {
    hint: 'use up to 1000 printable ASCII characters, without spaces at the ends',
  });
}

/** The authorities: those for the issuer, else those for Keystone, also if Keystone's certificate is not checked. */
function listAuthoritySettings(config: ResolvedConfig): [TlsOptionName, Setting][] {
  const own = config.setting(AUTHORITY_OPTION);
  if (own !== undefined) return [['cacert', own]];
  const { cacert, verify } = { cacert: config.setting('cacert'), verify: config.setting('verify') };
  if (cacert !== undefined) return [['cacert', cacert]];
  return verify === undefined || verify.value === 'false' ? [] : [['verify', verify]];
}

function readIssuerTls(config: ResolvedConfig, host: Host, { origin, protocol }: URL): TlsSettings {
  if (protocol === 'http:') return trustAuthorities(undefined);
  const trusted = readTrustedOrigins(host);
  if (trusted === undefined) {
    return readTlsSettings(makeConfig(new Map(listAuthoritySettings(config))), host, { ambient: host.env });
  }
  // With a list, only an option for this very server could contradict it.
  const own = config.setting(AUTHORITY_OPTION);
  const layer = makeConfig<TlsOptionName>(new Map(own === undefined ? [] : [['cacert', own]]));
  const tls = readTlsSettings(layer, host);
  rejectWeakerTls(tls, layer, origin, trusted);
  return restrictTls(tls, origin, trusted);
}

/**
 * Reads whether and where the Keystone token is exchanged; undefined if the cluster gets the Keystone token itself.
 *
 * @throws ConfigError if a setting is missing or invalid, or comes from a file that must not decide it
 */
export function readTokenExchange(config: ResolvedConfig, host: Host): TokenExchange | undefined {
  rejectAnyUntrusted(config, [URL_OPTION, AUDIENCE_OPTION, AUTHORITY_OPTION], 'the Keystone token');
  if (!requireBoth(config)) return undefined;
  if (config.has('token-kind')) {
    throw new ConfigError(
      `${config.origin('token-kind')} and ${config.origin(URL_OPTION)} exclude each other: one outputs a provider's ` +
        'token, and the other exchanges a Keystone token',
      { hint: `unset ${config.origin('token-kind')} or ${config.origin(URL_OPTION)}` },
      'config-conflict',
    );
  }
  const url = readIssuerUrl(config);
  const peer = {
    name: 'the issuer',
    setting: config.origin(URL_OPTION),
    trustHint: `set ${describeOption(AUTHORITY_OPTION)} to its authority's PEM file`,
  };
  return {
    issuer: {
      url: url.origin + removeTrailingSlashes(url.pathname),
      peer,
      audienceSetting: config.origin(AUDIENCE_OPTION),
    },
    audience: readAudience(config),
    tls: readIssuerTls(config, host, url),
  };
}

/** Warns about authorities of an issuer without an issuer. */
export function listUnusedSettings(config: ResolvedConfig): string[] {
  if (!config.has(AUTHORITY_OPTION) || config.has(URL_OPTION)) return [];
  return [`${config.origin(AUTHORITY_OPTION)} is not used, because no issuer is set (OS_TOKEN_EXCHANGE_URL)`];
}
