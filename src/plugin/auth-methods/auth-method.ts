import type { TlsSettings } from '../../shared/http/tls-settings.ts';
import type { Option, OptionName } from '../config/option.ts';
import type { ResolvedConfig } from '../config/resolve-config.ts';
import type { AuthRequest, JsonWithSecrets } from '../../shared/keystone/auth-request.ts';
import type { HttpClient } from '../../shared/http/http-client.ts';
import type { Host } from '../../shared/base/host.ts';
import type { TerminalUser } from '../terminal/terminal-user.ts';
import type { Secret } from '../../shared/base/secret.ts';

/** What a user has to log in with: the headings of the auth methods in the help, in their order. */
export const METHOD_USES = ['Password', 'Program', 'Browser', 'Kerberos', 'Token'] as const;

/** One `auth_type`. CONTRIBUTING.md describes how to add one. */
export interface AuthMethod {
  /** The canonical `auth_type`, for cache keys and messages. */
  readonly name: string;
  /** Further names of keystoneauth for the same `auth_type`. */
  readonly aliases: readonly string[];
  readonly use: (typeof METHOD_USES)[number];
  /** What it logs in with, as a phrase without a full stop, for the generated reference. */
  readonly summary: string;
  /** Its options, in addition to the common options. */
  readonly options: readonly Option[];
  /** Options that select this method when `auth_type` is not set. */
  readonly impliedBy: readonly OptionName[];
  /** Options of other methods that must not be set in the same layer as an option of `impliedBy`. */
  readonly conflictsWith: readonly OptionName[];
  /** Its factor, if Keystone can combine it with other factors. */
  readonly factor?: Factor;
  /** It uses a secret that belongs to the machine and that no setting contains, such as the token of a pod. */
  readonly usesMachineIdentity?: true;
  /** It can return the provider's token instead of a Keystone token (`token-kind`). */
  readonly canGiveProviderToken?: true;
  /** Whether it waits for the user with these settings, for example for a login in a browser: minutes, not seconds. */
  waitsForUser?(config: ResolvedConfig): boolean;
  /** Whether these settings need no URL of Keystone. */
  worksWithoutKeystoneUrl?(config: ResolvedConfig): boolean;
  /** Describes where the input of a prompt goes, if not to Keystone: "at https://idp.example.com". */
  describePromptTarget?(config: ResolvedConfig): string;
  /** Lists the names of the missing options, in the order of the prompts. */
  listMissing(config: ResolvedConfig): OptionName[];
  /**
   * Lists fields of the cache key that distinguish identities and scopes; never a value that can be guessed.
   *
   * @throws ConfigError when it cannot use a file
   */
  identify(config: ResolvedConfig, host: Host): (string | undefined)[];
  /**
   * Lists the absolute paths of the files that {@link identify} depends on; undefined when it depends on something that
   * the fast path cannot check.
   */
  listIdentityFiles?(config: ResolvedConfig, host: Host): readonly string[] | undefined;
  /**
   * Prepares the request to Keystone that returns the token. It first gets what it needs from other servers, such as a
   * provider's token.
   *
   * @throws ConfigError when the settings are invalid
   * @throws PluginError when a request to another server fails
   */
  prepareRequest(config: ResolvedConfig, tools: MethodContext): Promise<AuthRequest | ProviderToken>;
  /** How it gets the next token with the refresh token of the last one. */
  readonly renewal?: Renewal;
  /** The secret that the user can save in the system keyring, so that later logins need no prompt. */
  readonly savableSecret?: SavableSecret;
}

/** A secret that is the same for every login. */
export interface SavableSecret {
  /** The name of its option. */
  readonly option: OptionName;
  /** Lists fields that identify its owner at Keystone; not the scope, because the secret does not depend on it. */
  identify(config: ResolvedConfig): (string | undefined)[];
  /** Describes it for messages: "the password of alice (domain Default)". */
  describe(config: ResolvedConfig): string;
}

/** Gets the next token without the user. When the server rejects it, the plugin logs in again. */
export interface Renewal {
  /** Lists the names of the missing options. */
  listMissing(config: ResolvedConfig): OptionName[];
  /**
   * Prepares the request as {@link AuthMethod.prepareRequest} does.
   *
   * @param refresh the refresh token of the last login with the same identity and scope
   * @throws AuthRejected when the refresh token is no longer valid
   */
  prepareRequest(config: ResolvedConfig, tools: MethodContext, refresh: Secret): Promise<AuthRequest | ProviderToken>;
}

/** One factor of a login (Keystone API v3, `auth.identity`). */
export interface Factor {
  /** The name in `methods` of the Keystone API. */
  readonly name: string;
  /** Lists the names of the missing options. */
  listMissing(config: ResolvedConfig): OptionName[];
  buildContent(config: ResolvedConfig): JsonWithSecrets;
  /** Why Keystone may refuse it, as a clause. */
  readonly rejectionCause: string;
  /** It is valid once, so the plugin never sends it twice. */
  readonly isSingleUse?: true;
}

/** A token of an identity provider, for a cluster that trusts the provider itself. */
export interface ProviderToken {
  readonly token: Secret;
  /** Who logs in, as text for messages. */
  readonly subject: string;
  /** ms since 1970, UTC, by the clock of this machine. */
  readonly expiresAt: number;
  /** Gets the next token without the user; the cache stores it with this token. */
  readonly refreshToken?: Secret | undefined;
}

/** What an auth method can use in addition to its settings. */
export interface MethodContext {
  readonly host: Host;
  /** For requests to any server; handles deadlines, TLS and redirects. */
  readonly http: HttpClient;
  readonly tls: TlsSettings;
  readonly user: TerminalUser;
  /** Finds the v3 endpoint when first called; without a trailing slash. */
  findV3Endpoint(): Promise<string>;
  /** For `--verbose`. */
  readonly detail: (message: string) => void;
}
