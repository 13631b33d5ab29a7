/** The slow path, on one page: settings → cache → terminal → Keystone → cache. */
import { createHash } from 'node:crypto';
import { stampFile } from './cache/file-stamp.ts';
import { digestFields } from './cache/key.ts';
import { isFresh } from './cache/record.ts';
import type { TokenRecord } from './cache/record.ts';
import { openFileStore } from './cache/store.ts';
import type { TokenStore } from './cache/store.ts';
import { readAuthUrl } from './config/auth-url.ts';
import { readEnvironment } from './config/env.ts';
import type { Layer } from './config/layer.ts';
import { readProxy } from './config/proxy.ts';
import { resolveConfig } from './config/resolve.ts';
import type { ResolvedConfig } from './config/resolve.ts';
import { readTls } from './config/tls.ts';
import type { TlsSettings } from './config/tls.ts';
import { CacheError } from './errors.ts';
import { API_VERSIONS, parseApiVersion } from './exec/exec-info.ts';
import type { ApiVersion, ExecInfo } from './exec/exec-info.ts';
import { renderExecCredential } from './exec/exec-credential.ts';
import { fingerprint } from './hit/fingerprint.ts';
import type { Host } from './host.ts';
import { authenticate } from './keystone/client.ts';
import type { Granted } from './keystone/client.ts';
import { findV3 } from './keystone/discovery.ts';
import { openHttp } from './keystone/http.ts';
import { chooseMethod } from './methods/choose.ts';
import { completeConfig, listMissing, requireInteraction } from './methods/complete.ts';
import type { AuthMethod } from './methods/method.ts';
import { OPTIONS } from './methods/registry.ts';
import { openTerminal } from './prompt/terminal.ts';

/** What a run says beside its document; `cli/report.ts` puts it on stderr. */
export interface Reporter {
  readonly warn: (message: string) => void;
  /** Shown with `--verbose` only. */
  readonly detail: (message: string) => void;
}

/** What a run starts from. */
export interface Run {
  readonly host: Host;
  readonly info: ExecInfo | undefined;
  readonly flags: Layer;
  readonly reporter: Reporter;
  readonly userAgent: string;
}

const KEY_PURPOSE = 'client-keystone-auth key 1';
const DEADLINE_SECONDS = 30;

/** An authorities file may be large; here, off the hit path, the fast hash is at hand. */
function digest(text: string | undefined): string | undefined {
  return text === undefined ? undefined : createHash('sha256').update(text).digest('hex');
}

/** The cache key: everything that decides whose token it is and what it is good for, and nothing that can be guessed. */
function makeKey(config: ResolvedConfig, method: AuthMethod, tls: TlsSettings, host: Host): string {
  return digestFields(KEY_PURPOSE, [
    host.uid === undefined ? undefined : String(host.uid),
    readAuthUrl(config),
    String(tls.insecure),
    digest(tls.ca),
    digest(tls.cert),
    method.names[0],
    ...method.identify(config),
  ]);
}

/** The record under the key itself, or under the key that an incomplete configuration led to before. */
function recall(store: TokenStore | undefined, key: string, now: number): TokenRecord | undefined {
  const record = store?.readRecord(store.readAlias(key)?.key ?? key);
  return record !== undefined && isFresh(record, now) ? record : undefined;
}

async function complete(run: Run, config: ResolvedConfig, method: AuthMethod): Promise<ResolvedConfig> {
  const { host, info } = run;
  const missing = listMissing(config, method);
  if (missing.length === 0) return config;
  if (info?.interactive === false) throw requireInteraction(missing, 'kubectl does not let this plugin ask for it');
  const terminal = openTerminal(host);
  if (terminal === undefined) throw requireInteraction(missing, 'there is no terminal to ask on');
  try {
    return await completeConfig(config, method, { host, terminal, server: info?.server });
  } finally {
    terminal.close();
  }
}

async function logIn(run: Run, config: ResolvedConfig, method: AuthMethod, tls: TlsSettings): Promise<Granted> {
  const { host, reporter, userAgent } = run;
  const deadlineMs = Number(config.text('timeout') ?? DEADLINE_SECONDS) * 1000;
  const request = method.request(config);
  reporter.detail(`logging in ${request.subject} (${method.names[0] ?? ''})`);
  const http = await openHttp({ host, tls, proxy: readProxy(host.env), userAgent, deadlineMs, log: reporter.detail });
  try {
    // keystoneauth's v3 types take the URL as it is.
    const ask = !(config.text('auth-type') ?? method.names[0] ?? '').startsWith('v3');
    return await authenticate(http, await findV3(http, readAuthUrl(config) ?? '', ask), request);
  } finally {
    http.close();
  }
}

/** A cache that cannot be written is worth a warning, never a token. */
function keep(reporter: Reporter, write: () => void): void {
  try {
    write();
  } catch (error) {
    if (!(error instanceof CacheError)) throw error;
    reporter.warn(`${error.message}; the next run will log in again`);
  }
}

function warnOfInput(run: Run, config: ResolvedConfig): void {
  for (const option of OPTIONS) {
    if (!option.secret || !run.flags.has(option.name)) continue;
    const instead = option.env?.[0] ?? 'a variable';
    run.reporter.warn(`--${option.name} can be read by every user of this machine; set ${instead} instead`);
  }
  config.warnings.forEach(run.reporter.warn);
}

/**
 * Gives the ExecCredential for the run's settings, from the cache or from Keystone.
 *
 * @throws PluginError
 */
export async function getToken(run: Run): Promise<string> {
  const { host, info, flags, reporter } = run;
  const given = resolveConfig([flags, readEnvironment(host.env, OPTIONS)], OPTIONS);
  const asked = given.text('api-version');
  const override: ApiVersion | undefined = asked === undefined ? undefined : parseApiVersion(asked, '--api-version');
  const render = ({ token, expiresAt }: TokenRecord): string =>
    renderExecCredential(override ?? info?.apiVersion ?? API_VERSIONS[0], token, expiresAt);

  const method = chooseMethod(given);
  const tls = readTls(given, host);
  if (tls.insecure) reporter.warn(`Keystone's certificate is not checked, because of ${insecureOrigin(given)}`);
  const store = openFileStore(host);
  const firstKey = makeKey(given, method, tls, host);
  // The hit path says nothing, so a run that has something to say must not go there.
  const silent = !tls.insecure && !given.on('verbose') && !given.on('force-refresh');
  const remember = (key: string): void => {
    const alias = { key, apiVersion: override, files: tls.files.map(stampFile) };
    if (silent) store?.writeAlias(fingerprint(host, info?.cluster ?? ''), alias);
  };

  const cached = given.on('force-refresh') ? undefined : recall(store, firstKey, host.now());
  if (cached !== undefined) {
    reporter.detail(`the cache holds a token until ${new Date(cached.expiresAt).toISOString()}`);
    keep(reporter, () => {
      remember(store?.readAlias(firstKey)?.key ?? firstKey);
    });
    return render(cached);
  }

  warnOfInput(run, given);
  const config = await complete(run, given, method);
  const { token, receivedAt, expiresAt } = await logIn(run, config, method, tls);
  if (!token.scoped) {
    reporter.warn(
      'the token has no scope, which k8s-keystone-auth refuses; set OS_PROJECT_NAME and OS_PROJECT_DOMAIN_NAME',
    );
  }
  const record = { token: token.id.reveal(), receivedAt, expiresAt };
  const key = makeKey(config, method, tls, host);
  if (store === undefined)
    reporter.warn('there is no home folder to keep the token in; the next run will log in again');
  keep(reporter, () => {
    store?.writeRecord(key, record);
    if (key !== firstKey) store?.writeAlias(firstKey, { key, apiVersion: undefined, files: [] });
    remember(key);
  });
  return render(record);
}

function insecureOrigin(config: ResolvedConfig): string {
  return config.origin(config.on('insecure') ? 'insecure' : 'verify');
}
