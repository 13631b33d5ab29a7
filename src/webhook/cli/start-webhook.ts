/** Starts the parts of the webhook and connects them. */
import type { Clock } from '../../shared/base/clock.ts';
import type { Host } from '../../shared/base/host.ts';
import { answerInTime } from '../authn/answer-in-time.ts';
import { chainAuthenticators } from '../authn/authenticator-chain.ts';
import { makeAuthorizer } from '../authz/authorizer.ts';
import { EMPTY_POLICY } from '../authz/policy/policy.ts';
import type { Policy } from '../authz/policy/policy.ts';
import type { Log } from '../observability/log.ts';
import { makeRoutes } from '../server/routes.ts';
import type { Cluster } from '../sources/cluster.ts';
import type { SourceWatcher } from '../sources/source-watcher.ts';
import { DEFAULT_SYNC_CONFIG, parseSyncConfig } from '../sync/sync-config.ts';
import { openAuthenticators } from './open-authenticators.ts';
import { shareCluster } from './open-synchronizer.ts';
import { readPolicy } from './read-policy.ts';
import type { RunningServer } from './run-server.ts';
import type { WebhookSettings } from './settings.ts';
import { startWatchedServer } from './watched-server.ts';
import { makeWebhookMetrics, makeWebhookState } from './webhook-state.ts';
import type { WebhookState } from './webhook-state.ts';

const CHECK_HINT = 'check the policy with "policy lint"';

/** Names the policy in the log and in the metrics. */
const POLICY = 'policy';

/** Of the findings about a policy, the log has this many: a policy of the Go program can have one for each of its keys. */
const MAX_LOGGED_FINDINGS = 100;

function logFindings({ findings }: Policy, log: Log): void {
  for (const { message, ...finding } of findings.slice(0, MAX_LOGGED_FINDINGS)) log.warn(finding, `policy: ${message}`);
  const leftOut = findings.length - MAX_LOGGED_FINDINGS;
  if (leftOut > 0) log.warn({ leftOut }, 'policy: there are more findings, which "policy lint" lists');
}

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
      logFindings(policy, log);
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

/** The servers that the webhook asks, for the log. */
function listPeers({ authUrl, oidc }: WebhookSettings): Readonly<Record<string, string>> {
  return {
    ...(authUrl === '' ? {} : { keystone: authUrl }),
    ...(oidc === undefined ? {} : { issuer: oidc.issuer }),
  };
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
  const cluster = shareCluster(settings, clock);
  const shared = { settings, log, metrics, state, cluster, clock };
  return startWatchedServer(shared, async ({ sources, requestLog, readCertificates, getUnreadyReason, onClose }) => {
    state.readPolicyAge = () => sources.readAge(POLICY);
    state.readCertificateExpiry = () => readCertificates().expiresAt;
    await watchPolicy(sources, shared);
    await watchSyncConfig(sources, shared);
    const authenticators = await openAuthenticators({ ...shared, host, sources, onClose });
    const timeoutMs = settings.reviewTimeoutMs;
    const answerRequest = makeRoutes({
      certificates: readCertificates(),
      allowedClientNames: settings.allowedClientNames,
      metricsAccess: settings.metricsAccess,
      authenticate: answerInTime(chainAuthenticators(authenticators), { timeoutMs, clock }),
      authorize: makeAuthorizer(() => state.policy, settings),
      policy: () => state.policy,
      metrics,
      log,
      requestLog,
      getUnreadyReason,
    });
    return { answerRequest, answerTimeoutMs: timeoutMs, peers: listPeers(settings) };
  });
}
