import type { TokenCache } from '../cache/token-cache.ts';
import { openTokenCache } from '../cache/token-cache.ts';
import { rejectUntrustedForMachineIdentity } from '../config/untrusted-settings.ts';
import type { Layer } from '../../shared/options/layer.ts';
import { readConfig } from '../config/read-config.ts';
import type { ResolvedConfig } from '../../shared/options/resolve-config.ts';
import { readTlsSettings } from '../../shared/http/tls-settings.ts';
import type { TlsSettings } from '../../shared/http/tls-settings.ts';
import { API_VERSIONS, parseApiVersion } from '../exec/exec-credential.ts';
import type { ApiVersion, ExecInfo } from '../exec/exec-credential.ts';
import { stampFile } from '../../shared/base/file-stamp.ts';
import type { FileStamp } from '../../shared/base/file-stamp.ts';
import type { Host } from '../../shared/base/host.ts';
import { readLoginTimeoutMs } from '../config/login-timeout.ts';
import { chooseMethod } from '../auth-methods/choose-method.ts';
import type { AuthMethod } from '../auth-methods/auth-method.ts';
import { OPTIONS } from '../auth-methods/registry.ts';
import { makeTerminalUser } from '../terminal/terminal-user.ts';
import type { TerminalUser } from '../terminal/terminal-user.ts';
import { computeCacheKey } from './cache-key.ts';

/** What a run says beside its document; `cli/report.ts` puts it on stderr. */
export interface Reporter {
  readonly warn: (message: string) => void;
  /** Said whatever stderr is. */
  readonly info: (message: string) => void;
  /** Shown on a terminal only. */
  readonly progress: (message: string) => void;
  /** Shown with `--verbose` only, from that level on: 1 if nothing is said. */
  readonly debug: (message: string, level?: 1 | 2 | 3) => void;
}

/** What a run starts from. */
export interface RunContext {
  readonly host: Host;
  readonly execInfo: ExecInfo | undefined;
  readonly flags: Layer;
  readonly reporter: Reporter;
  readonly userAgent: string;
  /** Whether the same arguments may take the hit path the next time: those of a command other than get-token must not. */
  readonly onFastPath: boolean;
}

/** A run with its settings read. */
export interface LoginContext extends RunContext {
  readonly config: ResolvedConfig;
  readonly method: AuthMethod;
  readonly tls: TlsSettings;
  /**
   * The files that the settings and the identity depend on, as they were before they were read; undefined where these
   * depend on something else.
   */
  readonly fileStamps: readonly FileStamp[] | undefined;
  readonly cache: TokenCache;
  /** Of the settings as given: of the whole identity, or of what is known of it. */
  readonly cacheKey: string;
  /** The version that `--api-version` asks for. */
  readonly apiVersion: ApiVersion | undefined;
  /** ms since 1970, UTC. */
  readonly startedAt: number;
  /** That servers are waited for. */
  readonly deadlineMs: number;
  /** That the whole login may take, in ms: longer than the deadline where a person has to do something elsewhere. */
  readonly maxLoginMs: number;
  readonly user: TerminalUser;
  /** The first of several steps to a token: that it has no scope yet is not worth a word. */
  readonly isInterim?: true;
}

const DEADLINE_SECONDS = 30;

function warnOfInsecure(config: ResolvedConfig, reporter: Reporter): void {
  const insecure = config.isOn('insecure');
  const unused = config.has('cacert') && !insecure ? `, and ${config.origin('cacert')} is not used` : '';
  const origin = config.origin(insecure ? 'insecure' : 'verify');
  reporter.warn(`Keystone's certificate is not checked, because of ${origin}${unused}`);
}

/**
 * Reads a run's settings and opens its cache.
 *
 * @throws ConfigError
 */
export async function openLoginContext(run: RunContext): Promise<LoginContext> {
  const { host, execInfo, flags, reporter } = run;
  const { config, files } = await readConfig(host, flags, OPTIONS);
  const asked = config.text('api-version');
  const apiVersion = asked === undefined ? undefined : parseApiVersion(asked, '--api-version');
  const method = chooseMethod(config);
  if (method.usesMachineIdentity) rejectUntrustedForMachineIdentity(config, OPTIONS);
  const tls = readTlsSettings(config, host);
  if (tls.insecure) warnOfInsecure(config, reporter);
  // Before the key, which reads them: a change in between makes the stamp void.
  const own = method.listIdentityFiles === undefined ? [] : method.listIdentityFiles(config, host)?.map(stampFile);
  const deadlineMs = Number(config.text('timeout') ?? DEADLINE_SECONDS) * 1000;
  const storage = config.text('cache-storage') ?? 'file';
  return {
    ...run,
    config,
    apiVersion,
    method,
    tls,
    fileStamps: own === undefined ? undefined : [...files, ...tls.files, ...own],
    cache: await openTokenCache({ host, storage, isForKubectl: execInfo !== undefined, warn: reporter.warn }),
    cacheKey: computeCacheKey(config, method, tls, host),
    startedAt: host.now(),
    deadlineMs,
    maxLoginMs: method.waitsForUser ? deadlineMs + readLoginTimeoutMs(config) : deadlineMs,
    user: makeTerminalUser({ host, canPrompt: execInfo?.isInteractive !== false, writeLine: reporter.info }),
  };
}

/** The version to answer in: the one asked for by flag, else by kubectl, else the newest. */
export function chooseApiVersion({ apiVersion, execInfo }: LoginContext): ApiVersion {
  return apiVersion ?? execInfo?.apiVersion ?? API_VERSIONS[0];
}

/** Says what is odd about the settings, in a run that logs in. */
export function warnAboutSettings({ config, flags, reporter }: LoginContext): void {
  for (const option of OPTIONS) {
    if (!option.secret || !flags.has(option.name)) continue;
    const instead = option.env?.[0] ?? 'a variable';
    reporter.warn(`--${option.name} can be read by every user of this machine; set ${instead} instead`);
  }
  config.warnings.forEach(reporter.warn);
}
