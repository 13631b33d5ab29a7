/** A running webhook, put together on one page. */
import { X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { getErrorCode, ConfigError, PluginError } from '../../shared/base/errors.ts';
import type { Host } from '../../shared/base/host.ts';
import { openHttpClient } from '../../shared/http/http-client.ts';
import type { HttpClient } from '../../shared/http/http-client.ts';
import { VERSION } from '../../shared/base/version.ts';
import { makeKeystoneAuthenticator } from '../authn/keystone-authenticator.ts';
import type { CacheSizes } from '../authn/keystone-authenticator.ts';
import { chainAuthenticators } from '../authn/authenticator-chain.ts';
import type { Authenticator } from '../authn/authenticator-chain.ts';
import { makeAuthorizer } from '../authz/authorizer.ts';
import { parseCertificates } from '../server/certificates.ts';
import type { Certificates } from '../server/certificates.ts';
import { makeRateLimiter } from '../authn/rate-limiter.ts';
import { makeIssuerKeys } from '../authn/issuer-keys.ts';
import type { Cluster } from '../sources/cluster.ts';
import { openCluster } from '../sources/cluster.ts';
import type { Log } from '../server/log.ts';
import { makeMetrics } from '../server/metrics.ts';
import type { Metrics } from '../server/metrics.ts';
import { hasIssuerClaim, makeOidcAuthenticator } from '../authn/oidc-authenticator.ts';
import { InvalidPolicyError } from '../authz/policy/policy-members.ts';
import { EMPTY_POLICY, parsePolicy } from '../authz/policy/policy.ts';
import type { Policy } from '../authz/policy/policy.ts';
import { startServer } from '../server/server.ts';
import type { AuthenticatorName, WebhookSettings } from './settings.ts';
import { makeSourceWatcher } from '../sources/source-watcher.ts';
import { parseSyncConfig, DEFAULT_SYNC_CONFIG } from '../sync/sync-config.ts';
import type { SyncConfig } from '../sync/sync-config.ts';
import { makeSynchronizer } from '../sync/synchronizer.ts';
import type { Synchronizer } from '../sync/synchronizer.ts';
import { makeTokenValidator } from '../authn/validate-token.ts';

export interface RunningWebhook {
  /** Looks at all files now. */
  readonly reload: () => Promise<void>;
  /** Says that it is not ready, waits for load balancers to notice, answers what it has, and ends. */
  readonly stop: () => Promise<void>;
}

/** For a turn at Keystone, in ms; the rest of five seconds is Keystone's. */
const PATIENCE_MS = 2_000;

const DROPPED = 'names that begin with "system:" were dropped';

/** What can change while it runs. */
interface State {
  certificates: Certificates | undefined;
  policy: Policy;
  syncConfig: SyncConfig;
  readCacheSizes: () => CacheSizes;
}

function readPolicy(text: string, where: string, { compatibilities }: WebhookSettings): Policy {
  try {
    return parsePolicy(text, compatibilities);
  } catch (error) {
    if (error instanceof InvalidPolicyError)
      throw new ConfigError(`${where}: ${error.message}`, { hint: 'see "policy lint"' });
    throw error;
  }
}

function readAuthority(file: string, setting: string): string {
  try {
    const text = readFileSync(file, 'utf8');
    new X509Certificate(text);
    return text;
  } catch (error) {
    const why =
      error instanceof Error && 'syscall' in error
        ? `cannot be read (${getErrorCode(error)})`
        : 'holds no PEM certificate';
    throw new ConfigError(`${file} ${why}`, { hint: `check ${setting}` });
  }
}

/** @param caFile and the setting that names it */
function openWay(
  host: Host,
  { proxy: proxyEnv, keystoneTimeoutMs }: WebhookSettings,
  log: Log,
  [caFile, setting]: readonly [string | undefined, string],
): Promise<HttpClient> {
  const ca = caFile === undefined ? undefined : readAuthority(caFile, setting);
  return openHttpClient({
    host,
    tls: { insecure: false, ca, cert: undefined, key: undefined, files: [], paths: {} },
    trustedOrigins: undefined,
    proxyEnv,
    userAgent: `k8s-keystone-auth/${VERSION}`,
    deadlineMs: keystoneTimeoutMs,
    log: (line) => {
      log.debug(line);
    },
  });
}

/** What synchronises, where that is wanted and there is a cluster; else what does nothing. */
async function openSynchroniser(
  settings: WebhookSettings,
  { state, cluster, log, metrics }: { state: State; cluster: () => Promise<Cluster>; log: Log; metrics: Metrics },
): Promise<Synchronizer> {
  const nothing: Synchronizer = () => Promise.resolve();
  if (settings.syncFile === undefined && settings.syncConfigMapName === undefined) return nothing;
  try {
    return makeSynchronizer({
      cluster: await cluster(),
      config: () => state.syncConfig,
      onSynchronized: () => {
        metrics.recordSynchronization('ok');
      },
      onFailed: (reason) => {
        metrics.recordSynchronization('failed');
        log.error({ reason }, 'a project was not synchronised');
      },
      onSkipped: (what) => {
        log.warn({ what }, 'not synchronised');
      },
    });
  } catch (error) {
    // Role mappings alone need no cluster.
    if (!(error instanceof PluginError) || settings.kubeconfigFile !== undefined) throw error;
    log.warn({ reason: error.message }, 'nothing is synchronised');
    return nothing;
  }
}

/** One way to the cluster, opened by the first who needs it. */
function shareCluster({ kubeconfigFile }: WebhookSettings): () => Promise<Cluster> {
  let opened: Promise<Cluster> | undefined;
  return () => (opened ??= openCluster(kubeconfigFile));
}

/** What authenticators are made of. */
interface Parts {
  readonly host: Host;
  readonly settings: WebhookSettings;
  readonly log: Log;
  readonly metrics: Metrics;
  readonly state: State;
  readonly cluster: () => Promise<Cluster>;
  /** Takes what has to be closed in the end. */
  readonly httpClients: HttpClient[];
}

async function openKeystone(parts: Parts): Promise<Authenticator> {
  const { host, settings, log, metrics, state, cluster, httpClients } = parts;
  const http = await openWay(host, settings, log, [settings.keystoneCaFile, 'KEYSTONE_CA_FILE']);
  httpClients.push(http);
  const { oidc } = settings;
  const authenticator = makeKeystoneAuthenticator({
    validate: makeTokenValidator({
      http,
      authUrl: settings.authUrl,
      refusesAccessRules: settings.refusesAccessRules,
      now: host.now,
      warn: (message) => {
        log.warn(message);
      },
      countOutcome: metrics.recordValidation,
    }),
    rateLimiter: makeRateLimiter({
      concurrency: settings.keystoneConcurrency,
      tokensPerSecond: settings.keystoneRate,
      maxWaitMs: PATIENCE_MS,
      now: () => performance.now(),
    }),
    namingRules: () => ({
      usernameFormat: settings.usernameFormat,
      groupFormat: settings.groupFormat,
      roleMappings: state.syncConfig.roleMappings,
      allowsMappedSystemNames: settings.compatibilities.has('mapped-system-names'),
    }),
    // Not even then about tokens that say themselves whose they are.
    skipsShapeCheck: (token) =>
      settings.allowsAnyTokenShape && (oidc === undefined || !hasIssuerClaim(oidc.issuer, token)),
    cacheTtlMs: settings.cacheTtlMs,
    timeoutMs: settings.keystoneTimeoutMs,
    now: host.now,
    onNamesDropped: (uid, names) => {
      log.warn({ uid, names }, DROPPED);
    },
    onAuthenticated: await openSynchroniser(settings, { state, cluster, log, metrics }),
  });
  state.readCacheSizes = authenticator.readCacheSizes;
  return authenticator;
}

async function openOidc({ host, settings, log, metrics, httpClients }: Parts): Promise<Authenticator> {
  const { oidc } = settings;
  if (oidc === undefined) throw new Error('an issuer was read');
  const http = await openWay(host, settings, log, [oidc.caFile, '--oidc-ca-file']);
  httpClients.push(http);
  const keys = makeIssuerKeys({
    http,
    issuer: oidc.issuer,
    now: () => performance.now(),
    onRead: (result, reason) => {
      metrics.recordIssuerKeysRead(result);
      if (reason === undefined) log.info({ issuer: oidc.issuer }, 'keys of the issuer read');
      else log.error({ issuer: oidc.issuer, reason }, 'keys of the issuer not read');
    },
  });
  // Beside the rest: an issuer that is away keeps nobody else out.
  void keys.preload();
  return makeOidcAuthenticator(oidc, {
    keys,
    now: host.now,
    onNamesDropped: (username, names) => {
      log.warn({ username, names }, DROPPED);
    },
  });
}

const AUTHENTICATORS: Readonly<Record<AuthenticatorName, (parts: Parts) => Promise<Authenticator>>> = {
  keystone: openKeystone,
  oidc: openOidc,
};

/**
 * Starts a webhook.
 *
 * @throws PluginError where its settings or files cannot be used
 */
export async function startWebhook(host: Host, settings: WebhookSettings, log: Log): Promise<RunningWebhook> {
  const state: State = {
    certificates: undefined,
    policy: EMPTY_POLICY,
    syncConfig: DEFAULT_SYNC_CONFIG,
    readCacheSizes: () => ({ valid: 0, refused: 0 }),
  };
  const metrics = makeMetrics({
    good_tokens: { help: 'Tokens remembered as good', read: () => state.readCacheSizes().valid },
    refused_tokens: { help: 'Tokens remembered as refused', read: () => state.readCacheSizes().refused },
    policy_entries: { help: 'Entries of the policy in force', read: () => state.policy.entries.length },
  });
  const sources = makeSourceWatcher(log, metrics);
  const cluster = shareCluster(settings);
  const closeWays = (): void => {
    for (const way of httpClients) way.close();
  };
  let replace: (next: Certificates) => void = () => undefined;
  const httpClients: HttpClient[] = [];
  let ending = false;
  try {
    const { certFile, keyFile, clientCaFile } = settings;
    await sources.watchFiles(
      'certificates',
      clientCaFile === undefined ? [certFile, keyFile] : [certFile, keyFile, clientCaFile],
      ([cert = '', key = '', clientCa]) => parseCertificates(cert, key, clientCa),
      (next) => {
        state.certificates = next;
        replace(next);
      },
    );
    const { policyConfigMapName, syncConfigMapName } = settings;
    await sources.watchText(
      {
        what: 'policy',
        file: settings.policyFile,
        configMap: policyConfigMapName === undefined ? undefined : { name: policyConfigMapName, key: 'policies' },
        parse: (text, where) => readPolicy(text, where, settings),
        defaultValue: EMPTY_POLICY,
        apply: (next) => {
          state.policy = next;
          for (const { entry, kind, message } of next.findings) log.warn({ entry, kind }, `policy: ${message}`);
        },
      },
      cluster,
    );
    await sources.watchText(
      {
        what: 'synchronisation',
        file: settings.syncFile,
        configMap: syncConfigMapName === undefined ? undefined : { name: syncConfigMapName, key: 'syncConfig' },
        parse: parseSyncConfig,
        defaultValue: DEFAULT_SYNC_CONFIG,
        apply: (next) => {
          state.syncConfig = next;
        },
      },
      cluster,
    );
    const parts: Parts = { host, settings, log, metrics, state, cluster, httpClients };
    const authenticators: Authenticator[] = [];
    for (const name of settings.authenticatorNames) authenticators.push(await AUTHENTICATORS[name](parts));
    if (state.certificates === undefined) throw new Error('certificates were kept');
    const server = await startServer(
      {
        certificates: state.certificates,
        authenticate: chainAuthenticators(authenticators),
        authorize: makeAuthorizer(() => state.policy, settings.deniesUnmatched),
        metrics,
        log,
        getUnreadyReason: () => {
          const awaited = sources.findUnreadSource();
          if (ending) return 'shutting down';
          return awaited === undefined ? undefined : `${awaited} has not been read yet`;
        },
      },
      settings.listen,
    );
    replace = server.replaceCertificates;
    const { authUrl, oidc } = settings;
    const whose = {
      ...(authUrl === '' ? {} : { keystone: authUrl }),
      ...(oidc === undefined ? {} : { issuer: oidc.issuer }),
    };
    log.info({ port: server.port, ...whose, version: VERSION }, 'listening');
    return {
      reload: sources.checkFiles,
      stop: async () => {
        ending = true;
        await new Promise((resolve) => setTimeout(resolve, settings.shutdownGraceMs));
        await server.close();
        sources.close();
        closeWays();
      },
    };
  } catch (error) {
    sources.close();
    closeWays();
    throw error;
  }
}
