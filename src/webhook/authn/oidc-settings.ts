import { ConfigError } from '../../shared/base/errors.ts';
import { parseCommaList } from '../../shared/options/comma-list.ts';
import type { Config } from '../../shared/options/config.ts';
import type { NamedFile } from '../sources/read-text-file.ts';
import type { AllowedNames } from './kubernetes-name.ts';

/** The options that {@link readOidcSettings} reads. */
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

/** An OpenID Connect issuer, and how its tokens are mapped to Kubernetes users. */
export interface OidcSettings {
  /** Exactly as in its tokens. */
  readonly issuer: string;
  /** Must be among the audiences of a token. */
  readonly clientId: string;
  readonly caFile: NamedFile | undefined;
  readonly usernameClaim: string;
  readonly usernamePrefix: string;
  readonly groupsClaim: string | undefined;
  readonly groupsPrefix: string;
  readonly requiredClaims: ReadonlyMap<string, string>;
  readonly allowedNames: AllowedNames;
  readonly algorithms: readonly string[];
}

/** The algorithms with a public key; with a shared secret, anyone who knows it could make tokens. */
const ALGORITHMS: readonly string[] = [
  ...['RS256', 'RS384', 'RS512', 'ES256', 'ES384', 'ES512', 'PS256', 'PS384', 'PS512', 'EdDSA'],
];

const NO_PREFIX = '-';

function readIssuer(config: Config<OidcOptionName>): string {
  const text = config.text('oidc-issuer-url') ?? '';
  const url = URL.parse(text) ?? undefined;
  const isClean = url?.protocol === 'https:' && url.username === '' && url.password === '' && !/[?#]/.test(text);
  // Unchanged: tokens must name the issuer in the same way, up to the last slash.
  if (isClean) return text;
  throw new ConfigError(`${config.origin('oidc-issuer-url')} must be an https:// URL without user, query or fragment`, {
    hint: 'write the issuer exactly as in its tokens, such as https://dex.example.com',
  });
}

function readAlgorithms(config: Config<OidcOptionName>): readonly string[] {
  const names = parseCommaList(config.text('oidc-signing-algs') ?? 'RS256');
  const unknown = names.find((name) => !ALGORITHMS.includes(name));
  if (unknown === undefined && names.length > 0) return names;
  throw new ConfigError(`${config.origin('oidc-signing-algs')} does not support "${unknown ?? ''}"`, {
    hint: `use ${ALGORITHMS.join(', ')}`,
  });
}

function readRequiredClaims(config: Config<OidcOptionName>): ReadonlyMap<string, string> {
  const pairs = parseCommaList(config.text('oidc-required-claim')).map((pair) => {
    const [, name = '', value = ''] = /^([^=]+)=(.*)$/.exec(pair) ?? [];
    if (name === '') {
      throw new ConfigError(`${config.origin('oidc-required-claim')} must be NAME=VALUE, separated by commas`);
    }
    return [name, value] as const;
  });
  return new Map(pairs);
}

/** The defaults of kube-apiserver: user names are unique to an issuer, while email addresses are unique everywhere. */
function readUsernamePrefix(config: Config<OidcOptionName>, issuer: string, claim: string): string {
  const prefix = config.text('oidc-username-prefix');
  if (prefix === NO_PREFIX) return '';
  return prefix ?? (claim === 'email' ? '' : `${issuer}#`);
}

/**
 * Reads the settings of the OpenID Connect issuer.
 *
 * @param file returns the file that an option names
 * @returns undefined if no issuer is set
 * @throws ConfigError if a setting is missing or invalid
 */
export function readOidcSettings(
  config: Config<OidcOptionName>,
  file: (name: 'oidc-ca-file') => NamedFile | undefined,
  allowedNames: AllowedNames,
): OidcSettings | undefined {
  if (!config.has('oidc-issuer-url')) return undefined;
  const issuer = readIssuer(config);
  const clientId = config.text('oidc-client-id');
  if (clientId === undefined) {
    throw new ConfigError('--oidc-client-id is missing', {
      hint: 'set it to the client ID of the cluster; tokens for other clients are refused',
    });
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
    requiredClaims: readRequiredClaims(config),
    allowedNames,
    algorithms: readAlgorithms(config),
  };
}
