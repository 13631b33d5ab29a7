import type { Config } from '../../shared/options/config.ts';
import { ConfigError } from '../../shared/base/errors.ts';
import type { OidcSettings } from './oidc-authenticator.ts';

/** The options of the webhook that {@link readOidcSettings} reads. */
export type OidcOptionName =
  | 'oidc-issuer-url'
  | 'oidc-client-id'
  | 'oidc-ca-file'
  | 'oidc-username-claim'
  | 'oidc-username-prefix'
  | 'oidc-groups-claim'
  | 'oidc-groups-prefix'
  | 'oidc-required-claim'
  | 'oidc-signing-algs';

/** Those with a public key. Others would let whoever knows that key make tokens. */
const ALGORITHMS: readonly string[] = [
  ...['RS256', 'RS384', 'RS512', 'ES256', 'ES384', 'ES512', 'PS256', 'PS384', 'PS512', 'EdDSA'],
];

const NO_PREFIX = '-';

const list = (text: string): readonly string[] =>
  text
    .split(',')
    .map((part) => part.trim())
    .filter((part) => part !== '');

function readIssuer(config: Config<OidcOptionName>): string {
  const text = config.text('oidc-issuer-url') ?? '';
  const url = URL.canParse(text) ? new URL(text) : undefined;
  const clean = url?.protocol === 'https:' && url.username === '' && url.password === '' && !/[?#]/.test(text);
  // As it is: tokens must name it in the same way, to the last slash.
  if (clean) return text;
  throw new ConfigError(`${config.origin('oidc-issuer-url')} must be an https:// URL without query`, {
    hint: 'write the issuer as its tokens do, such as https://dex.example.com',
  });
}

function readAlgorithms(config: Config<OidcOptionName>): readonly string[] {
  const names = list(config.text('oidc-signing-algs') ?? 'RS256');
  const unknown = names.find((name) => !ALGORITHMS.includes(name));
  if (unknown === undefined && names.length > 0) return names;
  throw new ConfigError(`${config.origin('oidc-signing-algs')} knows no "${unknown ?? ''}"`, {
    hint: `it knows ${ALGORITHMS.join(', ')}`,
  });
}

function readRequired(config: Config<OidcOptionName>): ReadonlyMap<string, string> {
  const pairs = list(config.text('oidc-required-claim') ?? '').map((pair) => {
    const [, name = '', value = ''] = /^([^=]+)=(.*)$/.exec(pair) ?? [];
    if (name === '') {
      throw new ConfigError(`${config.origin('oidc-required-claim')} must be NAME=VALUE, with commas between several`);
    }
    return [name, value] as const;
  });
  return new Map(pairs);
}

/** kube-apiserver's defaults: two issuers must not both have an alice, while an address is its owner's alone. */
function readUsernamePrefix(config: Config<OidcOptionName>, issuer: string, claim: string): string {
  const prefix = config.text('oidc-username-prefix');
  if (prefix === NO_PREFIX) return '';
  return prefix ?? (claim === 'email' ? '' : `${issuer}#`);
}

/**
 * Reads what is set of an OpenID Connect issuer.
 *
 * @param file reads the path of a file's option
 * @returns undefined where no issuer is set
 * @throws ConfigError
 */
export function readOidcSettings(
  config: Config<OidcOptionName>,
  file: (name: 'oidc-ca-file') => string | undefined,
): OidcSettings | undefined {
  if (!config.has('oidc-issuer-url')) return undefined;
  const issuer = readIssuer(config);
  const clientId = config.text('oidc-client-id');
  if (clientId === undefined) {
    throw new ConfigError('--oidc-client-id is missing', { hint: 'tokens for other clients must not count here' });
  }
  const usernameClaim = config.text('oidc-username-claim') ?? 'sub';
  const groupsPrefix = config.text('oidc-groups-prefix') ?? '';
  return {
    issuer,
    clientId,
    caFile: file('oidc-ca-file'),
    usernameClaim,
    usernamePrefix: readUsernamePrefix(config, issuer, usernameClaim),
    groupsClaim: config.text('oidc-groups-claim'),
    groupsPrefix: groupsPrefix === NO_PREFIX ? '' : groupsPrefix,
    requiredClaims: readRequired(config),
    algorithms: readAlgorithms(config),
  };
}
