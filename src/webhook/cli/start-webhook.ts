/** A running webhook, put together on one page. */
import { X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { getErrorCode, ConfigError, PluginError } from '../../shared/base/errors.ts';
import type { Host } from '../../shared/base/host.ts';
import { openHttpClient } from '../../shared/http/http-client.ts';
import type { HttpClient } from '../../shared/http/http-client.ts';
import { VERSION } from '../../shared/base/version.ts';
import { makeAuthenticator } from '../authn/authenticate.ts';
import type { Memory } from '../authn/authenticate.ts';
import { chainAuthenticators } from '../authn/authenticator-chain.ts';
import type { Authenticator } from '../authn/authenticator-chain.ts';
import { makeAuthorizer } from '../authz/authorize.ts';
import { makeCertificates } from '../server/certificates.ts';
import type { Certificates } from '../server/certificates.ts';
import { makeGate } from '../authn/rate-limiter.ts';
import { keepIssuerKeys } from '../authn/issuer-keys.ts';
import type { Cluster } from '../sources/kubernetes.ts';
import { openCluster } from '../sources/kubernetes.ts';
import type { Log } from '../server/log.ts';
import { makeMetrics } from '../server/metrics.ts';
import type { Metrics } from '../server/metrics.ts';
import { isTokenOf, makeOidcAuthenticator } from '../authn/oidc-authenticator.ts';
import { BadPolicy } from '../authz/policy/shape.ts';
import { EMPTY_POLICY, parsePolicy } from '../authz/policy/policy.ts';
import type { Policy } from '../authz/policy/policy.ts';
import { startServer } from '../server/server.ts';
import type { AuthenticatorName, Settings } from './settings.ts';
import { makeSources } from '../sources/sources.ts';
import { parseSyncConfig, SYNC_DEFAULTS } from '../sync/sync-config.ts';
import type { SyncConfig } from '../sync/sync-config.ts';
import { makeSynchroniser } from '../sync/synchronise.ts';
import type { Synchronise } from '../sync/synchronise.ts';
import { makeValidator } from '../authn/validate-token.ts';

export interface Webhook {
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
  sync: SyncConfig;
  memory: () => Memory;
}

function readPolicy(text: string, where: string, { compatibilities }: Settings): Policy {
  try {
    return parsePolicy(text, compatibilities);
  } catch (error) {
    if (error instanceof BadPolicy) throw new ConfigError(`${where}: ${error.message}`, { hint: 'see "policy lint"' });
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
  { proxy: proxyEnv, timeoutMs }: Settings,
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
    deadlineMs: timeoutMs,
    log: (line) => {
      log.debug(line);
    },
  });
}

/** What synchronises, where that is wanted and there is a cluster; else what does nothing. */
async function openSynchroniser(
  settings: Settings,
  { state, cluster, log, metrics }: { state: State; cluster: () => Promise<Cluster>; log: Log; metrics: Metrics },
): Promise<Synchronise> {
  const nothing: Synchronise = () => Promise.resolve();
  if (settings.syncFile === undefined && settings.syncConfigMap === undefined) return nothing;
  try {
    return makeSynchroniser({
      cluster: await cluster(),
      config: () => state.sync,
      onDone: () => {
        metrics.synchronised('ok');
      },
      onFailed: (reason) => {
        metrics.synchronised('failed');
        log.error({ reason }, 'a project was not synchronised');
      },
      onSkipped: (what) => {
        log.warn({ what }, 'not synchronised');
      },
    });
  } catch (error) {
    // Role mappings alone need no cluster.
    if (!(error instanceof PluginError) || settings.kubeconfig !== undefined) throw error;
    log.warn({ reason: error.message }, 'nothing is synchronised');
    return nothing;
  }
}

/** One way to the cluster, opened by the first who needs it. */
function shareCluster({ kubeconfig }: Settings): () => Promise<Cluster> {
  let opened: Promise<Cluster> | undefined;
  return () => (opened ??= openCluster(kubeconfig));
}

/** What authenticators are made of. */
interface Parts {
  readonly host: Host;
  readonly settings: Settings;
  readonly log: Log;
  readonly metrics: Metrics;
  readonly state: State;
  readonly cluster: () => Promise<Cluster>;
  /** Takes what has to be closed in the end. */
  readonly ways: HttpClient[];
}

async function openKeystone(parts: Parts): Promise<Authenticator> {
  const { host, settings, log, metrics, state, cluster, ways } = parts;
  const http = await openWay(host, settings, log, [settings.keystoneCaFile, 'KEYSTONE_CA_FILE']);
  ways.push(http);
  const { oidc } = settings;
  const authenticator = makeAuthenticator({
    validate: makeValidator({
      http,
      authUrl: settings.authUrl,
      refuseAccessRules: settings.refuseAccessRules,
      now: host.now,
      warn: (message) => {
        log.warn(message);
      },
      count: metrics.keystone,
    }),
    gate: makeGate({
      width: settings.concurrency,
      rate: settings.rate,
      patienceMs: PATIENCE_MS,
      now: () => performance.now(),
    }),
    naming: () => ({
      usernameFormat: settings.usernameFormat,
      groupFormat: settings.groupFormat,
      mappings: state.sync.mappings,
      mappedSystemNames: settings.compatibilities.has('mapped-system-names'),
    }),
    // Not even then about tokens that say themselves whose they are.
    asksAnyway: (token) => settings.anyShape && (oidc === undefined || !isTokenOf(oidc.issuer, token)),
    goodMs: settings.goodMs,
    timeoutMs: settings.timeoutMs,
    now: host.now,
    onDropped: (uid, names) => {
      log.warn({ uid, names }, DROPPED);
    },
    onConfirmed: await openSynchroniser(settings, { state, cluster, log, metrics }),
  });
  state.memory = authenticator.memory;
  return authenticator;
}

async function openOidc({ host, settings, log, metrics, ways }: Parts): Promise<Authenticator> {
  const { oidc } = settings;
  if (oidc === undefined) throw new Error('an issuer was read');
  const http = await openWay(host, settings, log, [oidc.caFile, '--oidc-ca-file']);
  ways.push(http);
  const keys = keepIssuerKeys({
    http,
    issuer: oidc.issuer,
    now: () => performance.now(),
    onRead: (result, reason) => {
      metrics.issuer(result);
      if (reason === undefined) log.info({ issuer: oidc.issuer }, 'keys of the issuer read');
      else log.error({ issuer: oidc.issuer, reason }, 'keys of the issuer not read');
    },
  });
  // Beside the rest: an issuer that is away keeps nobody else out.
  void keys.warm();
  return makeOidcAuthenticator(oidc, {
    keys,
    now: host.now,
    onDropped: (username, names) => {
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
export async function startWebhook(host: Host, settings: Settings, log: Log): Promise<Webhook> {
  const state: State = {
    certificates: undefined,
    policy: EMPTY_POLICY,
    sync: SYNC_DEFAULTS,
    memory: () => ({ good: 0, bad: 0 }),
  };
  const metrics = makeMetrics({
    good_tokens: { help: 'Tokens remembered as good', read: () => state.memory().good },
    refused_tokens: { help: 'Tokens remembered as refused', read: () => state.memory().bad },
    policy_entries: { help: 'Entries of the policy in force', read: () => state.policy.entries.length },
  });
  const sources = makeSources(log, metrics);
  const cluster = shareCluster(settings);
  const closeWays = (): void => {
    for (const way of ways) way.close();
  };
  let replace: (next: Certificates) => void = () => undefined;
  const ways: HttpClient[] = [];
  let ending = false;
  try {
    const { certFile, keyFile, clientCaFile } = settings;
    await sources.keep(
      'certificates',
      clientCaFile === undefined ? [certFile, keyFile] : [certFile, keyFile, clientCaFile],
      ([cert = '', key = '', clientCa]) => makeCertificates(cert, key, clientCa),
      (next) => {
        state.certificates = next;
        replace(next);
      },
    );
    const { policyConfigMap, syncConfigMap } = settings;
    await sources.follow(
      {
        what: 'policy',
        file: settings.policyFile,
        configMap: policyConfigMap === undefined ? undefined : { name: policyConfigMap, key: 'policies' },
        parse: (text, where) => readPolicy(text, where, settings),
        absent: EMPTY_POLICY,
        use: (next) => {
          state.policy = next;
          for (const { entry, kind, message } of next.findings) log.warn({ entry, kind }, `policy: ${message}`);
        },
      },
      cluster,
    );
    await sources.follow(
      {
        what: 'synchronisation',
        file: settings.syncFile,
        configMap: syncConfigMap === undefined ? undefined : { name: syncConfigMap, key: 'syncConfig' },
        parse: parseSyncConfig,
        absent: SYNC_DEFAULTS,
        use: (next) => {
          state.sync = next;
        },
      },
      cluster,
    );
    const parts: Parts = { host, settings, log, metrics, state, cluster, ways };
    const authenticators: Authenticator[] = [];
    for (const name of settings.authenticators) authenticators.push(await AUTHENTICATORS[name](parts));
    if (state.certificates === undefined) throw new Error('certificates were kept');
    const server = await startServer(
      {
        certificates: state.certificates,
        authenticate: chainAuthenticators(authenticators),
        authorize: makeAuthorizer(() => state.policy, settings.denies),
        metrics,
        log,
        unready: () => {
          const awaited = sources.awaited();
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
      reload: sources.look,
      stop: async () => {
        ending = true;
        await new Promise((resolve) => setTimeout(resolve, settings.graceMs));
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
