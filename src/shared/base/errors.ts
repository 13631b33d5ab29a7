import type { Secret } from './secret.ts';

/** What went wrong, as a closed list: `plugin/cli/exit-status.ts` maps each to an exit status. */
export type PluginErrorCode =
  | 'usage'
  | 'config-invalid'
  | 'config-conflict'
  | 'interaction-required'
  | 'cancelled'
  | 'auth-rejected'
  | 'refused-before'
  | 'factor-required'
  | 'factor-refused'
  | 'method-not-offered'
  | 'password-expired'
  | 'credential-unknown'
  | 'request-rejected'
  | 'unreachable'
  | 'untrusted'
  | 'timed-out'
  | 'unavailable'
  | 'rate-limited'
  | 'not-keystone'
  | 'redirect-refused'
  | 'protocol'
  | 'unsupported'
  | 'cache'
  | 'output';

/** What a PluginError may carry beside its code and its message. */
export interface PluginErrorDetails {
  /** What the user can do about it, as a phrase in the imperative without a full stop. */
  hint?: string | undefined;
  /** Keystone's `x-openstack-request-id`. */
  requestId?: string | undefined;
  cause?: unknown;
}

/** A failure that a user can understand: one sentence, a hint, and a code that decides the exit status. */
export class PluginError extends Error {
  readonly code: PluginErrorCode;
  readonly hint: string | undefined;
  /** Known only after the failure has been understood. */
  requestId: string | undefined;

  constructor(code: PluginErrorCode, message: string, details: PluginErrorDetails = {}) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    this.name = new.target.name;
    this.code = code;
    this.hint = details.hint;
    this.requestId = details.requestId;
  }
}

/** The command line itself is wrong: an unknown flag, a missing value, an argument too many. */
export class UsageError extends PluginError {
  constructor(message: string, details?: PluginErrorDetails) {
    super('usage', message, details);
  }
}

/** A setting is invalid or two settings contradict each other; the message names where each came from. */
export class ConfigError extends PluginError {
  constructor(
    message: string,
    details?: PluginErrorDetails,
    code: 'config-invalid' | 'config-conflict' = 'config-invalid',
  ) {
    super(code, message, details);
  }
}

/** Something is missing and nobody can be asked for it. */
export class InteractionRequired extends PluginError {
  constructor(message: string, details?: PluginErrorDetails) {
    super('interaction-required', message, details);
  }
}

/** Keystone understood the request and refused it; asking again with the same credential is pointless. */
export class AuthRejected extends PluginError {}

/** What Keystone still wants of one whose first factors it has accepted (Keystone API, "auth receipt"). */
export interface Receipt {
  /** To be shown with the rest. */
  readonly id: Secret;
  /** Keystone's names of the methods that are missing: any one of these lists will do. */
  readonly missingMethodSets: readonly (readonly string[])[];
}

/** Keystone accepted what it got and wants more factors. */
export class AdditionalFactorRequired extends PluginError {
  readonly receipt: Receipt;

  constructor(message: string, receipt: Receipt, details?: PluginErrorDetails) {
    super('factor-required', message, details);
    this.receipt = receipt;
  }
}

/** No answer from Keystone, or one from something in front of it that says "not now". */
export class KeystoneUnreachable extends PluginError {}

/** An answer that Keystone would not give. */
export class KeystoneProtocolError extends PluginError {}

/** The cache could not be read or written; never a reason to withhold a token. */
export class CacheError extends PluginError {
  constructor(message: string, details?: PluginErrorDetails) {
    super('cache', message, details);
  }
}

/** Says a failed file operation without a path that nobody asked for: `EACCES`, `ENOSPC`. */
export function getErrorCode(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : 'unknown error';
}
