/** Starts the parts of the issuer and connects them. */
import type { Clock } from '../../../shared/base/clock.ts';
import type { Host } from '../../../shared/base/host.ts';
import { makeCachedValidator } from '../../authn/cached-validator.ts';
import type { CachedValidator } from '../../authn/cached-validator.ts';
import type { Audiences } from '../../issuer/audience.ts';
import { parseAudiences } from '../../issuer/audiences-file.ts';
import { makeExchange } from '../../issuer/exchange.ts';
import { makeIssuerMetrics } from '../../issuer/issuer-metrics.ts';
import type { IssuerMetrics } from '../../issuer/issuer-metrics.ts';
import { makeIssuerRoutes } from '../../issuer/issuer-routes.ts';
import { openSigningKeys } from '../../issuer/signing-keys.ts';
import type { SigningKeys } from '../../issuer/signing-keys.ts';
import type { Log } from '../../observability/log.ts';
import type { SourceWatcher } from '../../sources/source-watcher.ts';
import { reportDroppedNames } from '../names-dropped.ts';
import type { HttpClientContext } from '../open-http-client.ts';
import { openKeystone } from '../open-keystone.ts';
import type { RunningServer } from '../run-server.ts';
import { startWatchedServer } from '../watched-server.ts';
import type { IssuerSettings } from './issuer-settings.ts';
import { openKeyStore } from './open-key-store.ts';

/**
 * How long a valid Keystone token is exchanged again without a request to Keystone, in ms. It keeps the holder of one
 * token from sending Keystone as many requests as the issuer gets.
 */
const CACHE_MS = 5_000;

/** A token that is not known is turned away at once if the rate gives it no turn within this time, in ms. */
const MAX_QUEUE_MS = 5_000;

/** Why /readyz fails while other replicas could sign with a key that this one does not know. */
const OUTDATED = 'the signing keys could not be read for too long';

/** What can change while the issuer runs. */
interface IssuerState {
  keys: SigningKeys | undefined;
  audiences: Audiences;
  /** When the certificate of the server expires, ms since 1970, UTC. */
  readCertificateExpiry: () => number;
}

function makeMetrics(state: IssuerState, now: () => number): IssuerMetrics {
  const gauges = {
    audiences: { help: 'Audiences in force', read: () => state.audiences.size },
    signing_keys: { help: 'Published keys', read: () => state.keys?.listPublic().length ?? 0 },
    signing_key_age_seconds: {
      help: 'Seconds since the key that signs now was made',
      read: () => (state.keys === undefined ? 0 : (now() - state.keys.current().createdAt) / 1_000),
    },
    signing_key_rotation_timestamp_seconds: {
      help: 'When the next signing key is due to be published, in seconds since 1970, UTC',
      read: () => (state.keys?.nextRotation() ?? 0) / 1_000,
    },
    signing_keys_read_age_seconds: {
      help: 'Seconds since the signing keys were last read from their store',
      read: () => (state.keys?.readAge() ?? 0) / 1_000,
    },
    certificate_expiry_timestamp_seconds: {
      help: 'When the certificate of the server expires, in seconds since 1970, UTC',
      read: () => state.readCertificateExpiry() / 1_000,
    },
  };
  return makeIssuerMetrics(gauges, () => state.keys?.current().kid);
}

function watchAudiences(sources: SourceWatcher, { audiencesFile }: IssuerSettings, state: IssuerState): void {
  state.audiences = sources.watchFiles({
    what: 'audiences',
    files: [audiencesFile],
    parse: ([text = '']) => parseAudiences(text, audiencesFile.path),
    apply: (audiences) => {
      state.audiences = audiences;
    },
  });
}

async function openValidator(
  context: HttpClientContext & { readonly settings: IssuerSettings },
  metrics: IssuerMetrics,
): Promise<CachedValidator> {
  const { host, settings, clock } = context;
  return makeCachedValidator({
    ...(await openKeystone(context, { maxQueueMs: MAX_QUEUE_MS, recordOutcome: metrics.recordValidation })),
    cacheTtlMs: CACHE_MS,
    timeoutMs: settings.keystoneTimeoutMs,
    clock,
    now: host.now,
    onValidated: () => Promise.resolve(),
  });
}

/**
 * Starts an issuer.
 *
 * @throws PluginError if its settings, files or keys are not usable
 */
export async function startIssuer(
  host: Host,
  settings: IssuerSettings,
  log: Log,
  clock: Clock,
): Promise<RunningServer> {
  const { issuer, rotation } = settings;
  const { now } = host;
  const state: IssuerState = { keys: undefined, readCertificateExpiry: () => 0, audiences: new Map() };
  const metrics = makeMetrics(state, now);
  const shared = { settings, log, metrics, clock };
  return startWatchedServer(shared, async (parts) => {
    const { sources, requestLog, readCertificates, getUnreadyReason, onClose } = parts;
    state.readCertificateExpiry = () => readCertificates().expiresAt;
    watchAudiences(sources, settings, state);
    const keys = await openSigningKeys({
      store: await openKeyStore(settings.keyPlace, host, clock),
      rotation,
      clock,
      now,
      log,
      onRead: metrics.recordKeysRead,
      onRotated: metrics.recordRotation,
    });
    onClose(keys.close);
    state.keys = keys;
    const { check } = await openValidator({ ...shared, host, sources, onClose }, metrics);
    const exchange = makeExchange({
      issuer,
      audiences: () => state.audiences,
      check,
      namingRules: settings.namingRules,
      allowsAnyTokenShape: settings.allowsAnyTokenShape,
      currentKey: keys.current,
      now,
      onNamesDropped: reportDroppedNames({ metrics, log }, 'uid'),
    });
    const answerRequest = makeIssuerRoutes({
      certificates: readCertificates(),
      allowedClientNames: [],
      metricsAccess: settings.metricsAccess,
      metrics,
      getUnreadyReason: () => getUnreadyReason() ?? (keys.isOutdated() ? OUTDATED : undefined),
      issuer,
      exchange,
      listPublicKeys: keys.listPublic,
      maxAgeMs: rotation.maxAgeMs,
      now,
      log,
      requestLog,
    });
    return {
      answerRequest,
      answerTimeoutMs: settings.keystoneTimeoutMs,
      peers: { issuer, keystone: settings.authUrl },
      reload: () => void keys.check(),
    };
  });
}
