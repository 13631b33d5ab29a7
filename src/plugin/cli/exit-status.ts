/**
 * The exit statuses: the one source for the reporter, the manual page and docs/exit-codes.md.
 */
import type { PluginErrorCode } from '../../shared/base/errors.ts';

/** The exit statuses by name. */
export const EXIT = {
  ok: 0,
  internal: 1,
  usage: 2,
  config: 3,
  interaction: 4,
  refused: 5,
  unreachable: 6,
  protocol: 7,
  canceled: 130,
} as const;

type ExitName = keyof typeof EXIT;

const MEANINGS: Readonly<Record<ExitName, string>> = {
  ok: 'the ExecCredential is on stdout',
  internal: 'internal error; please report it, unless the cache or stdout cannot be written',
  usage: 'usage: an unknown option, a missing value, or an unexpected argument',
  config: 'configuration: a setting is invalid, two settings contradict each other, or no keyring is available',
  interaction: 'a setting is missing, and there is no terminal to prompt on',
  refused: 'Keystone, the identity provider or the issuer rejected the login',
  unreachable: 'Keystone, the identity provider or the issuer cannot be reached, is not trusted, or is unavailable',
  protocol: 'the server is not a Keystone, an identity provider or an issuer, or does not follow its protocol',
  canceled: 'canceled at a prompt',
};

const EXIT_NAMES: Readonly<Record<PluginErrorCode, ExitName>> = {
  usage: 'usage',
  'config-invalid': 'config',
  'config-conflict': 'config',
  'interaction-required': 'interaction',
  canceled: 'canceled',
  'auth-rejected': 'refused',
  'refused-before': 'refused',
  'factor-required': 'refused',
  'factor-refused': 'refused',
  'method-not-offered': 'refused',
  'password-expired': 'refused',
  'credential-unknown': 'refused',
  'request-rejected': 'refused',
  unreachable: 'unreachable',
  untrusted: 'unreachable',
  'timed-out': 'unreachable',
  unavailable: 'unreachable',
  'rate-limited': 'unreachable',
  'not-keystone': 'protocol',
  'redirect-refused': 'protocol',
  protocol: 'protocol',
  unsupported: 'config',
  cache: 'internal',
  output: 'internal',
};

/** Returns the exit status of a failure. */
export function getExitStatus(code: PluginErrorCode): number {
  return EXIT[EXIT_NAMES[code]];
}

/** One exit status, as documents describe it. */
export interface ExitStatus {
  readonly status: number;
  /** A phrase without a full stop. */
  readonly meaning: string;
  /** The error codes (`code` with `--log-format=json`) that lead to this status. */
  readonly codes: readonly string[];
}

/** Lists all exit statuses, in ascending order. */
export function listExitStatuses(): readonly ExitStatus[] {
  return (Object.keys(MEANINGS) as ExitName[]).map((name) => ({
    status: EXIT[name],
    meaning: MEANINGS[name],
    codes: [
      ...(name === 'internal' ? ['internal'] : []),
      ...Object.entries(EXIT_NAMES).flatMap(([code, target]) => (target === name ? [code] : [])),
    ],
  }));
}
