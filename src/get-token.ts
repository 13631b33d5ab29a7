/** The slow path, on one page: settings → cache → lock → cache → terminal → Keystone → cache. */
import { createHash } from 'node:crypto';
import { stampFile } from './cache/file-stamp.ts';
import { digestFields } from './cache/key.ts';
import type { Field } from './cache/key.ts';
import { isFresh } from './cache/record.ts';
import type { TokenRecord } from './cache/record.ts';
import { openCache } from './cache/token-cache.ts';
import type { NamedAlias, TokenCache } from './cache/token-cache.ts';
import { readAuthUrl } from './config/auth-url.ts';
import { readEnvironment } from './config/env.ts';
import type { Layer } from './config/layer.ts';
import { readProxy } from './config/proxy.ts';
import { resolveConfig } from './config/resolve.ts';
import type { ResolvedConfig } from './config/resolve.ts';
import { readTls } from './config/tls.ts';
import type { TlsSettings } from './config/tls.ts';
import { AuthRejected, KeystoneProtocolError } from './errors.ts';
import { API_VERSIONS, parseApiVersion } from './exec/exec-info.ts';
import type { ExecInfo } from './exec/exec-info.ts';
import { renderExecCredential } from './exec/exec-credential.ts';
import { fingerprint } from './hit/fingerprint.ts';
import type { Host } from './host.ts';
import type { AuthRequest } from './keystone/auth-request.ts';
import { authenticate, isAlive } from './keystone/client.ts';
import { findV3 } from './keystone/discovery.ts';
import { findMismatch } from './keystone/granted.ts';
import { openHttp } from './keystone/http.ts';
import type { Http } from './keystone/http.ts';
import type { Token } from './keystone/token.ts';
import { chooseMethod } from './methods/choose.ts';
import { completeConfig, listMissing, requireInteraction } from './methods/complete.ts';
import type { AuthMethod } from './methods/method.ts';
import { OPTIONS } from './methods/registry.ts';
import { Cancelled } from './prompt/cancelled.ts';
import { openTerminal } from './prompt/terminal.ts';
import { Secret } from './secret.ts';

/** What a run says beside its document; `cli/report.ts` puts it on stderr. */
export interface Reporter {
  readonly warn: (message: string) => void;
  /** Shown on a terminal only. */
  readonly progress: (message: string) => void;
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

/** A run with its settings read. */
interface Login extends Run {
  readonly given: ResolvedConfig;
  readonly method: AuthMethod;
  readonly tls: TlsSettings;
  readonly cache: TokenCache;
  /** Of the settings as given: of the whole identity, or of what is known of it. */
  readonly key: string;
  readonly startedAt: number;
  readonly deadlineMs: number;
}

const KEY_PURPOSE = 'client-keystone-auth key 1';
const DEADLINE_SECONDS = 30;
const LIVENESS_MS = 5_000;
/** Beyond the holder's own deadline, for what it does before and after. */
const LOCK_SLACK_MS = 1_000;

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

/** What would have to be corrected after a refusal. */
function readCredential(config: ResolvedConfig): Field[] {
  return OPTIONS.filter((option) => option.secret).map((option) => config.secret(option.name)?.reveal());
}

async function complete({ host, info, given, method }: Login): Promise<ResolvedConfig> {
  const missing = listMissing(given, method);
  if (missing.length === 0) return given;
  if (info?.interactive === false) throw requireInteraction(missing, 'kubectl does not let this plugin ask for it');
  const terminal = openTerminal(host);
  if (terminal === undefined) throw requireInteraction(missing, 'there is no terminal to ask on');
  try {
    return await completeConfig(given, method, { host, terminal, server: info?.server });
  } finally {
    terminal.close();
  }
}

async function withKeystone<T>(login: Login, deadlineMs: number, use: (http: Http) => Promise<T>): Promise<T> {
  const { host, tls, userAgent, reporter } = login;
  const http = await openHttp({ host, tls, proxy: readProxy(host.env), userAgent, deadlineMs, log: reporter.detail });
  try {
    return await use(http);
  } finally {
    http.close();
  }
}

/** A token that is not the one that was asked for is refused, or given but not kept where only its names differ. */
function judge({ asked, subject }: AuthRequest, token: Token, reporter: Reporter): boolean {
  const mismatch = findMismatch(asked, token.facts);
  if (mismatch === undefined) return true;
  const said = `Keystone gave ${subject} a token for another ${mismatch.what}`;
  if (mismatch.certain) throw new KeystoneProtocolError('protocol', said, { hint: 'ask its operator' });
  reporter.warn(`${said}, by its name; the token is not kept`);
  return false;
}

/** A token as it came, and whether it may be kept. */
interface Received {
  readonly record: TokenRecord;
  readonly keep: boolean;
}

/** Exchanges a complete configuration for a token. */
async function logIn(login: Login, config: ResolvedConfig): Promise<Received> {
  const { method, reporter, deadlineMs, cache, key } = login;
  const request = method.request(config);
  reporter.detail(`logging in ${request.subject} (${method.names[0] ?? ''})`);
  // keystoneauth's v3 types take the URL as it is.
  const ask = !(config.text('auth-type') ?? method.names[0] ?? '').startsWith('v3');
  try {
    return await withKeystone(login, deadlineMs, async (http) => {
      const endpoint = await findV3(http, readAuthUrl(config) ?? '', ask);
      const { token, receivedAt, expiresAt } = await authenticate(http, endpoint, request);
      if (!token.scoped) {
        reporter.warn(
          'the token has no scope, which k8s-keystone-auth refuses; set OS_PROJECT_NAME and OS_PROJECT_DOMAIN_NAME',
        );
      }
      const keep = judge(request, token, reporter);
      return { record: { token: token.id.reveal(), receivedAt, expiresAt, endpoint }, keep };
    });
  } catch (error) {
    if (error instanceof AuthRejected) cache.refused(key, readCredential(login.given));
    throw error;
  }
}

/**
 * Whether a token of the cache can be given. The same kubectl asking for a token that it has just got means that the
 * cluster may have refused it; then Keystone is asked, once.
 */
async function isStillGood(login: Login, { token, endpoint }: TokenRecord): Promise<boolean> {
  const { cache, reporter } = login;
  if (cache.handOut(token) !== 'token') return true;
  const alive = await withKeystone(login, LIVENESS_MS, (http) => isAlive(http, endpoint, new Secret(token)));
  reporter.detail(alive ? 'Keystone confirms the token' : 'Keystone no longer knows the token');
  if (alive) cache.confirm(token);
  return alive;
}

function warnOfInput({ given, flags, reporter }: Login): void {
  for (const option of OPTIONS) {
    if (!option.secret || !flags.has(option.name)) continue;
    const instead = option.env?.[0] ?? 'a variable';
    reporter.warn(`--${option.name} can be read by every user of this machine; set ${instead} instead`);
  }
  given.warnings.forEach(reporter.warn);
}

/** A refused login is not tried again at once, see `cache/refusals.ts`. */
function refuseAgain({ given, cache, key, host }: Login): void {
  if (given.on('force-refresh')) return;
  const at = cache.refusedAt(key, readCredential(given));
  if (at === undefined) return;
  const seconds = Math.max(1, Math.round((host.now() - at) / 1000));
  throw new AuthRejected('refused-before', `Keystone refused this login ${seconds} s ago, and is not asked again yet`, {
    hint: 'another credential is tried at once, the same one after 30 s or with --force-refresh',
  });
}

/** Aliases that lead from these settings to `key`. */
function makeAliases({ given, tls, info, host, cache, key: first }: Login, key: string): NamedAlias[] {
  const plain = { key, apiVersion: undefined, files: [] };
  const partial: NamedAlias[] = key === first ? [] : [[first, plain]];
  // The hit path says nothing, so a run that has something to say must not go there.
  const silent = !tls.insecure && !given.on('verbose') && !given.on('force-refresh');
  if (!silent || !cache.onHitPath) return partial;
  const alias = { key, apiVersion: readApiVersion(given), files: tls.files.map(stampFile) };
  return [...partial, [fingerprint(host, info?.cluster ?? ''), alias]];
}

function readApiVersion(config: ResolvedConfig): ReturnType<typeof parseApiVersion> | undefined {
  const text = config.text('api-version');
  return text === undefined ? undefined : parseApiVersion(text, '--api-version');
}

/** A token of the cache that may be given: fresh, and got since the run began where a new one is wanted. */
async function recallFresh(login: Login): Promise<{ key: string; record: TokenRecord } | undefined> {
  const { given, cache, key, host, startedAt } = login;
  const found = await cache.recall(key);
  if (found === undefined || !isFresh(found.record, host.now())) return undefined;
  return given.on('force-refresh') && found.record.receivedAt < startedAt ? undefined : found;
}

/** Logs in, unless another process has just done so: whoever gets the lock first does it for all. */
async function logInOnce(login: Login, dead: string | undefined): Promise<TokenRecord> {
  const { cache, key, reporter, deadlineMs } = login;
  const recallNew = async () => {
    const found = await recallFresh(login);
    return found?.record.token === dead ? undefined : found;
  };
  const release = await cache.lock(key, {
    longestMs: deadlineMs + LOCK_SLACK_MS,
    isOver: async () => (await recallNew()) !== undefined,
    onLong: () => {
      reporter.progress('waiting for another login');
    },
  });
  try {
    const found = await recallNew();
    if (found !== undefined) {
      cache.keepAliases(found.record, makeAliases(login, found.key));
      return found.record;
    }
    refuseAgain(login);
    warnOfInput(login);
    const config = await complete(login).catch((error: unknown) => {
      if (error instanceof Cancelled) cache.refused(key, readCredential(login.given));
      throw error;
    });
    const { record, keep } = await logIn(login, config);
    const finalKey = makeKey(config, login.method, login.tls, login.host);
    if (keep) await cache.keep(finalKey, record, makeAliases(login, finalKey));
    return record;
  } finally {
    release?.();
  }
}

async function findToken(login: Login): Promise<TokenRecord> {
  const { cache, reporter } = login;
  const cached = await recallFresh(login);
  if (cached !== undefined && (await isStillGood(login, cached.record))) {
    reporter.detail(`the cache holds a token until ${new Date(cached.record.expiresAt).toISOString()}`);
    cache.keepAliases(cached.record, makeAliases(login, cached.key));
    return cached.record;
  }
  const record = await logInOnce(login, cached?.record.token);
  // A token that replaces a dead one is not asked about again for the same command.
  if (cached === undefined) cache.handOut(record.token);
  else cache.confirm(record.token);
  return record;
}

/**
 * Gives the ExecCredential for the run's settings, from the cache or from Keystone.
 *
 * @throws PluginError
 */
export async function getToken(run: Run): Promise<string> {
  const { host, info, flags, reporter } = run;
  const given = resolveConfig([flags, readEnvironment(host.env, OPTIONS)], OPTIONS);
  const apiVersion = readApiVersion(given) ?? info?.apiVersion ?? API_VERSIONS[0];
  const method = chooseMethod(given);
  const tls = readTls(given, host);
  if (tls.insecure) {
    const origin = given.origin(given.on('insecure') ? 'insecure' : 'verify');
    reporter.warn(`Keystone's certificate is not checked, because of ${origin}`);
  }
  const storage = given.text('cache-storage') ?? 'file';
  const record = await findToken({
    ...run,
    given,
    method,
    tls,
    cache: await openCache({ host, storage, forKubectl: info !== undefined, warn: reporter.warn }),
    key: makeKey(given, method, tls, host),
    startedAt: host.now(),
    deadlineMs: Number(given.text('timeout') ?? DEADLINE_SECONDS) * 1000,
  });
  return renderExecCredential(apiVersion, record.token, record.expiresAt);
}
