import type { Secret } from './secret.ts';

/** What went wrong, as a closed list: `plugin/cli/exit-status.ts` maps each to an exit status. */
export type PluginErrorCode =
  | 'usage'
  | 'config-invalid'
  | 'config-conflict'
  | 'interaction-required'
  | 'canceled'
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

/** What to tell the user about a failure. */
export interface Explanation {
  readonly code: PluginErrorCode;
  readonly message: string;
  /** Imperative, without a full stop. */
  readonly hint: string;
}

/** What a PluginError may have besides its code and its message. */
export interface PluginErrorDetails {
  /** What the user can do about it: imperative, without a full stop. */
  hint?: string | undefined;
  /** Keystone's `x-openstack-request-id`. */
  requestId?: string | undefined;
  cause?: unknown;
}

/** A failure that the user can understand: one sentence, a hint, and a code that decides the exit status. */
export class PluginError extends Error {
  readonly code: PluginErrorCode;
  readonly hint: string | undefined;
  /** Set after the error is made: only the caller has the response. */
  requestId: string | undefined;

  constructor(code: PluginErrorCode, message: string, details: PluginErrorDetails = {}) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    this.name = new.target.name;
    this.code = code;
    this.hint = details.hint;
    this.requestId = details.requestId;
  }
}

/** The command line is wrong: an unknown flag, a missing value, an unexpected argument. */
export class UsageError extends PluginError {
  constructor(message: string, details?: PluginErrorDetails) {
    super('usage', message, details);
  }
}

/** A setting is invalid, or two settings contradict each other; the message names the origin of each. */
export class ConfigError extends PluginError {
  constructor(
    message: string,
    details?: PluginErrorDetails,
    code: 'config-invalid' | 'config-conflict' = 'config-invalid',
  ) {
    super(code, message, details);
  }
}

/** An option is missing and the plugin cannot prompt for it. */
export class InteractionRequired extends PluginError {
  constructor(message: string, details?: PluginErrorDetails) {
    super('interaction-required', message, details);
  }
}

/** Keystone understood the request and rejected it; the same credential will be rejected again. */
export class AuthRejected extends PluginError {}

/** What Keystone still requires after it has accepted the first factors (Keystone API, "auth receipt"). */
export interface Receipt {
  /** Sent together with the remaining factors. */
  readonly id: Secret;
  /** Keystone's names of the missing methods: any one of these lists is enough. */
  readonly missingMethodSets: readonly (readonly string[])[];
}

/** Keystone accepted the factors and requires more. */
export class AdditionalFactorRequired extends PluginError {
  readonly receipt: Receipt;

  constructor(message: string, receipt: Receipt, details?: PluginErrorDetails) {
    super('factor-required', message, details);
    this.receipt = receipt;
  }
}

/** Keystone did not respond, or it, or a proxy in front of it, is unavailable now. */
export class KeystoneUnreachable extends PluginError {}

/** A response that no Keystone sends. */
export class KeystoneProtocolError extends PluginError {}

/** The cache cannot be read or written; the run still returns a token. */
export class CacheError extends PluginError {
  constructor(message: string, details?: PluginErrorDetails) {
    super('cache', message, details);
  }
}

/** The code of a failed system call, such as `EACCES`: Node's own message would repeat the path. */
export function getErrorCode(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : 'unknown error';
}
