import type { Option } from '../config/option.ts';
import type { ResolvedConfig } from '../config/resolve.ts';
import type { AuthRequest } from '../keystone/auth-request.ts';

/** One way to log in. To add one: a file with such a value, a line in `registry.ts`, a test. */
export interface AuthMethod {
  /** keystoneauth's names for `auth_type`; the first one names the method in cache keys and messages. */
  readonly names: readonly string[];
  /** What it needs beside the common options. */
  readonly options: readonly Option[];
  /** Options that tell that this method is meant where `auth_type` is not set. */
  readonly signs: readonly string[];
  /** Signs of other methods that must not stand in the same layer as this one's. */
  readonly conflicts: readonly string[];
  /** Names of the options still missing, in the order of asking. */
  missing(config: ResolvedConfig): string[];
  /** What tells one identity and scope from another, for the cache key: never a value that can be guessed. */
  identify(config: ResolvedConfig): (string | undefined)[];
  /** @throws ConfigError when the scope makes no sense */
  request(config: ResolvedConfig): AuthRequest;
}
