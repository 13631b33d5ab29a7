import type { FileStamp } from '../../shared/base/file-stamp.ts';
import type { Host } from '../../shared/base/host.ts';
import type { WaitFor } from '../../shared/base/long-wait.ts';
import type { TlsSettings } from '../../shared/http/tls-settings.ts';
import type { Layer } from '../config/option.ts';
import type { ResolvedConfig } from '../config/resolve-config.ts';
import type { AuthMethod } from '../auth-methods/auth-method.ts';
import type { TokenCache } from '../cache/token-cache.ts';
import type { ApiVersion, ExecInfo } from '../exec/exec-credential.ts';
import type { TokenExchange } from './token-exchange.ts';
import type { TerminalUser } from '../terminal/terminal-user.ts';

/** What a run tells the user in addition to its document; `cli/reporter.ts` writes it to stderr. */
export interface Reporter {
  readonly warn: (message: string) => void;
  readonly info: (message: string) => void;
  /** Shown only if stderr is a terminal. */
  readonly progress: (message: string) => void;
  /** Waits for something, and says what for after a second, if stderr is a terminal. */
  readonly waitFor: WaitFor;
  /** Shown only with `--verbose` of at least this level (1 by default). */
  readonly debug: (message: string, level?: 1 | 2 | 3) => void;
}

/** What one run starts from. */
export interface RunContext {
  readonly host: Host;
  readonly execInfo: ExecInfo | undefined;
  readonly flags: Layer;
  readonly reporter: Reporter;
  readonly userAgent: string;
  /** Whether the same arguments may take the fast path next time: true for get-token, false for every other command. */
  readonly onFastPath: boolean;
}

/** Everything that one login needs: the run context with its settings read and its cache open. */
export interface LoginContext extends RunContext {
  readonly config: ResolvedConfig;
  readonly method: AuthMethod;
  readonly tls: TlsSettings;
  /** How the cluster's token is made of the Keystone token; undefined if the cluster gets the Keystone token itself. */
  readonly exchange: TokenExchange | undefined;
  /**
   * The files that the settings and the identity depend on, stamped before they were read; undefined if these also
   * depend on something that is not a file.
   */
  readonly fileStamps: readonly FileStamp[] | undefined;
  readonly cache: TokenCache;
  /** The key of the settings before any prompt; they may be incomplete. */
  readonly cacheKey: string;
  /** The version set with `--api-version`. */
  readonly apiVersion: ApiVersion | undefined;
  /** Before any file was read; ms since 1970, UTC. */
  readonly startedAt: number;
  /** How long the servers may take in total, in ms. */
  readonly deadlineMs: number;
  /** How long the whole login may take, in ms: longer than the deadline if the user has to act elsewhere. */
  readonly maxLoginMs: number;
  readonly user: TerminalUser;
  /** Set for the first of several steps, whose token may have no scope yet: no warning about that. */
  readonly isInterim?: true;
}
