/** Starts the parts of the webhook and connects them. */
import type { Clock } from '../../shared/base/clock.ts';
import type { Host } from '../../shared/base/host.ts';
import type { HttpClient } from '../../shared/http/http-client.ts';
import { VERSION } from '../../shared/base/program.ts';
import { answerInTime } from '../authn/answer-in-time.ts';
import { chainAuthenticators } from '../authn/authenticator-chain.ts';
import { makeAuthorizer } from '../authz/authorizer.ts';
import { EMPTY_POLICY } from '../authz/policy/policy.ts';
import type { Policy } from '../authz/policy/policy.ts';
import type { Log } from '../observability/log.ts';
import type { Certificates } from '../server/certificates.ts';
import { makeRoutes } from '../server/routes.ts';
import { makeRequestLog } from '../server/request-log.ts';
import { drainAndClose, startServer } from '../server/server.ts';
import type { RunningServer as HttpServer } from '../server/server.ts';
import type { Cluster } from '../sources/cluster.ts';
import { SourceWatcher } from '../sources/source-watcher.ts';
import { DEFAULT_SYNC_CONFIG, parseSyncConfig } from '../sync/sync-config.ts';
import { openAuthenticators } from './open-authenticators.ts';
import { shareCluster } from './open-synchronizer.ts';
import { readPolicy } from './read-policy.ts';
import type { RunningServer } from './run-server.ts';
import type { WebhookSettings } from './settings.ts';
import { watchCertificates } from './watch-certificates.ts';
import { makeWebhookMetrics, makeWebhookState } from './webhook-state.ts';
import type { WebhookState } from './webhook-state.ts';

const CHECK_HINT = 'check the policy with "policy lint"';

/** Names the policy in the log and in the metrics. */
const POLICY = 'policy';

interface PolicyContext {
  readonly settings: WebhookSettings;
  readonly state: WebhookState;
  readonly cluster: () => Promise<Cluster>;
  readonly log: Log;
}

async function watchPolicy(sources: SourceWatcher, { settings, state, cluster, log }: PolicyContext): Promise<void> {
  const { policyFile, policyConfigMapName } = settings;
  const source = {
    what: POLICY,
    file: policyFile,
    configMap: policyConfigMapName === undefined ? undefined : { name: policyConfigMapName, key: 'policies' },
    parse: (text: string, where: string) => readPolicy(text, where, settings.compatibilities, CHECK_HINT).policy,
    defaultValue: EMPTY_POLICY,
    defaultEffect: 'the policy allows nothing',
    // Without the right to read it, the last policy stays in force, as with every other failure.
    needsRight: false,
    apply: (policy: Policy) => {
      state.policy = policy;
      for (const { message, ...finding } of policy.findings) log.warn(finding, `policy: ${message}`);
    },
  };
  await sources.watchText(source, cluster);
}

async function watchSyncConfig(
  sources: SourceWatcher,
  { settings, state, cluster, log }: PolicyContext,
): Promise<void> {
  const { syncFile, syncConfigMapName } = settings;
  await sources.watchText(
    {
      what: 'synchronization',
      file: syncFile,
      configMap: syncConfigMapName === undefined ? undefined : { name: syncConfigMapName, key: 'syncConfig' },
      parse: (text, where) =>
        parseSyncConfig(text, where, (key) => {
          log.warn({ where, key }, 'an unknown key of the synchronization is ignored');
        }),
      defaultValue: DEFAULT_SYNC_CONFIG,
      defaultEffect: 'nothing is synchronized',
      needsRight: true,
      apply: (syncConfig) => {
        state.syncConfig = syncConfig;
      },
    },
    cluster,
  );
}

function logListening(log: Log, { authUrl, oidc }: WebhookSettings, port: number): void {
  const servers = {
    ...(authUrl === '' ? {} : { keystone: authUrl }),
    ...(oidc === undefined ? {} : { issuer: oidc.issuer }),
  };
  log.info({ port, ...servers, version: VERSION }, 'listening');
}

/**
 * Starts a webhook.
 *
 * @throws PluginError if its settings or files are not usable
 */
export async function startWebhook(
  host: Host,
  settings: WebhookSettings,
  log: Log,
  clock: Clock,
): Promise<RunningServer> {
  const state = makeWebhookState();
  const metrics = makeWebhookMetrics(state);
  const sources = new SourceWatcher(log, metrics, clock);
  state.readPolicyAge = () => sources.readAge(POLICY);
  const cluster = shareCluster(settings, clock);
  const httpClients: HttpClient[] = [];
  const requestLog = makeRequestLog(log, clock);
  const closeAll = (): void => {
    sources.close();
    for (const client of httpClients) client.close();
    requestLog.close();
  };
  try {
    let replaceCertificates: HttpServer['replaceCertificates'] = () => undefined;
    let isStopping = false;
    let certificates: Certificates = watchCertificates(sources, settings, (next) => {
      certificates = next;
      replaceCertificates(next);
    });
    state.readCertificateExpiry = () => certificates.expiresAt;
    await watchPolicy(sources, { settings, state, cluster, log });
    await watchSyncConfig(sources, { settings, state, cluster, log });
    const authenticators = await openAuthenticators({
      host,
      settings,
      log,
      metrics,
      state,
      cluster,
      clock,
      sources,
      httpClients,
    });
    const getUnreadyReason = (): string | undefined => {
      if (isStopping) return 'shutting down';
      return sources.findUnreadSource();
    };
    const answerRequest = makeRoutes({
      certificates,
      allowedClientNames: settings.allowedClientNames,
      metricsAccess: settings.metricsAccess,
      authenticate: answerInTime(chainAuthenticators(authenticators), { timeoutMs: settings.reviewTimeoutMs, clock }),
      authorize: makeAuthorizer(() => state.policy, settings.deniesUnmatched),
      policy: () => state.policy,
      metrics,
      log,
      requestLog,
      getUnreadyReason,
    });
    const server = await startServer(
      { certificates, answerRequest, answerTimeoutMs: settings.reviewTimeoutMs, log, clock },
      settings.listen,
    );
    replaceCertificates = server.replaceCertificates;
    logListening(log, settings, server.port);
    return {
      reload: () => {
        sources.checkFiles();
      },
      stop: async () => {
        isStopping = true;
        await drainAndClose(server, settings.shutdownGraceMs, clock);
        closeAll();
      },
    };
  } catch (error) {
    closeAll();
    throw error;
  }
}
