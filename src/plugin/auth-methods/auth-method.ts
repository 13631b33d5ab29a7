import type { TlsSettings } from '../../shared/http/tls-settings.ts';
import type { Option, OptionName } from '../config/option.ts';
import type { ResolvedConfig } from '../config/resolve-config.ts';
import type { AuthRequest, JsonWithSecrets } from '../../shared/keystone/auth-request.ts';
import type { HttpClient } from '../../shared/http/http-client.ts';
import type { Host } from '../../shared/base/host.ts';
import type { TerminalUser } from '../terminal/terminal-user.ts';
import type { Secret } from '../../shared/base/secret.ts';

/** One way to log in. To add one: a file with such a value, a line in `registry.ts`, a test. */
export interface AuthMethod {
  /** The `auth_type` in cache keys and messages, as keystoneauth spells it. */
  readonly name: string;
  /** Other spellings of `auth_type` that mean this method. */
  readonly aliases: readonly string[];
  /** What it is, as a phrase without a full stop, for the README's table of methods. */
  readonly summary: string;
  /** What it needs beside the common options. */
  readonly options: readonly Option[];
  /** Options that tell that this method is meant where `auth_type` is not set. */
  readonly impliedBy: readonly OptionName[];
  /** Signs of other methods that must not stand in the same layer as this one's. */
  readonly conflictsWith: readonly OptionName[];
  /** What it proves, if Keystone can ask for it together with other proofs. */
  readonly factor?: Factor;
  /** It waits for what a person does elsewhere, such as in a browser: minutes, not seconds. */
  readonly waitsForUser?: true;
  /** It uses a secret of this machine that no setting holds, such as the token of a pod. */
  readonly usesMachineIdentity?: true;
  /** Whether it does without Keystone in this case, and so without its URL. */
  worksWithoutKeystoneUrl?(config: ResolvedConfig): boolean;
  /** Where the answers of a prompt go, if that is not Keystone: "at https://idp.example.com". */
  describePromptTarget?(config: ResolvedConfig): string;
  /** Names of the options still missing, in the order of asking. */
  listMissing(config: ResolvedConfig): OptionName[];
  /**
   * What tells one identity and scope from another, for the cache key: never a value that can be guessed.
   *
   * @throws ConfigError when a file that it reads cannot be used
   */
  identify(config: ResolvedConfig, host: Host): (string | undefined)[];
  /**
   * Absolute paths of the files whose content decides {@link identify}; undefined where something does that the hit path
   * cannot watch.
   */
  listIdentityFiles?(config: ResolvedConfig, host: Host): readonly string[] | undefined;
  /**
   * What to ask Keystone for the token. Whatever has to be got elsewhere before, such as a provider's token, is got here.
   *
   * @throws ConfigError when the settings make no sense
   * @throws PluginError of whatever is asked first
   */
  prepareRequest(config: ResolvedConfig, tools: MethodContext): Promise<AuthRequest | ProviderToken>;
  /** How it gets the next token with what came with the last one. */
  readonly renewal?: Renewal;
  /** The secret that the user may have kept in the keyring, so that later logins need nobody. */
  readonly savableSecret?: SavableSecret;
}

/** A secret that does not change from login to login. */
export interface SavableSecret {
  /** Name of its option. */
  readonly option: OptionName;
  /** Whose it is at Keystone, as fields of a key: nothing of the scope, which it does not depend on. */
  identify(config: ResolvedConfig): (string | undefined)[];
  /** In the words of a message: "the password of alice (domain Default)". */
  describe(config: ResolvedConfig): string;
}

/** Getting the next token without anybody being asked. Where it is refused, the whole login follows. */
export interface Renewal {
  /** Names of the options still missing for it. */
  listMissing(config: ResolvedConfig): OptionName[];
  /**
   * As {@link AuthMethod.prepareRequest}.
   *
   * @param refresh what came with the last token for the same identity and scope
   * @throws AuthRejected where it is no longer good
   */
  prepareRequest(config: ResolvedConfig, tools: MethodContext, refresh: Secret): Promise<AuthRequest | ProviderToken>;
}

/** One proof of several (Keystone API, `auth.identity`). */
export interface Factor {
  /** Keystone's name, as in `methods`. */
  readonly name: string;
  /** Names of the options still missing. */
  listMissing(config: ResolvedConfig): OptionName[];
  buildContent(config: ResolvedConfig): JsonWithSecrets;
  /** What may be wrong with it when Keystone refuses, as a clause. */
  readonly rejectionCause: string;
  /** It works once, so it is never sent twice. */
  readonly isSingleUse?: true;
}

/** A token that is no Keystone token: for a cluster that trusts the identity provider itself. */
export interface ProviderToken {
  readonly token: Secret;
  /** Who logs in, in the words of a message. */
  readonly subject: string;
  /** ms since 1970, UTC, by this machine's clock. */
  readonly expiresAt: number;
  /** Gets the next token without the user; it is kept with this one. */
  readonly refreshToken?: Secret | undefined;
}

/** What a method may use beside its settings. */
export interface MethodContext {
  readonly host: Host;
  /** Deadlines, TLS and redirects are its business, whoever is asked. */
  readonly http: HttpClient;
  readonly tls: TlsSettings;
  readonly user: TerminalUser;
  /** The v3 endpoint without a trailing slash, found when it is first asked for. */
  findV3Endpoint(): Promise<string>;
  /** For `--verbose`. */
  readonly detail: (message: string) => void;
}
