/** Starts the parts of the issuer and connects them. */
import type { Clock } from '../../../shared/base/clock.ts';
import type { Host } from '../../../shared/base/host.ts';
import { VERSION } from '../../../shared/base/program.ts';
import type { HttpClient } from '../../../shared/http/http-client.ts';
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
import type { Certificates } from '../../server/certificates.ts';
import { makeRequestLog } from '../../server/request-log.ts';
import { drainAndClose, startServer } from '../../server/server.ts';
import type { RunningServer as HttpServer } from '../../server/server.ts';
import { SourceWatcher } from '../../sources/source-watcher.ts';
import { reportDroppedNames } from '../names-dropped.ts';
import type { HttpClientContext } from '../open-http-client.ts';
import { openKeystone } from '../open-keystone.ts';
import type { RunningServer } from '../run-server.ts';
import { watchCertificates } from '../watch-certificates.ts';
import type { IssuerSettings } from './issuer-settings.ts';
import { openKeyStore } from './open-key-store.ts';

/**
 * How long a valid Keystone token is exchanged again without a request to Keystone, in ms. It keeps the holder of one
 * token from sending Keystone as many requests as the issuer gets.
 */
const CACHE_MS = 5_000;

/** A token that is not known is turned away at once if the rate gives it no turn within this time, in ms. */
const MAX_QUEUE_MS = 5_000;

interface IssuerState {
  keys: SigningKeys | undefined;
  certificates: Certificates | undefined;
  audiences: Audiences;
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
      read: () => (state.certificates?.expiresAt ?? 0) / 1_000,
    },
  };
  return makeIssuerMetrics(gauges, () => state.keys?.current().kid);
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
  const state: IssuerState = { keys: undefined, certificates: undefined, audiences: new Map() };
  const metrics = makeMetrics(state, host.now);
  const sources = new SourceWatcher(log, metrics, clock);
  const httpClients: HttpClient[] = [];
  const requestLog = makeRequestLog(log, clock);
  const closeAll = (): void => {
    state.keys?.close();
    sources.close();
    for (const client of httpClients) client.close();
    requestLog.close();
  };
  try {
    let replaceCertificates: HttpServer['replaceCertificates'] = () => undefined;
    let isStopping = false;
    const certificates = watchCertificates(sources, settings, (next) => {
      state.certificates = next;
      replaceCertificates(next);
    });
    state.certificates = certificates;
    state.audiences = sources.watchFiles({
      what: 'audiences',
      files: [settings.audiencesFile],
      parse: ([text = '']) => parseAudiences(text, settings.audiencesFile.path),
      apply: (audiences) => {
        state.audiences = audiences;
      },
    });
    const keys = await openSigningKeys({
      store: await openKeyStore(settings.keyPlace, host, clock),
      rotation,
      clock,
      now: host.now,
      log,
      onRead: metrics.recordKeysRead,
      onRotated: metrics.recordRotation,
    });
    state.keys = keys;
    const { check } = await openValidator({ host, settings, log, clock, sources, httpClients }, metrics);
    const exchange = makeExchange({
      issuer,
      audiences: () => state.audiences,
      check,
      namingRules: settings.namingRules,
      allowsAnyTokenShape: settings.allowsAnyTokenShape,
      currentKey: keys.current,
      now: host.now,
      onNamesDropped: reportDroppedNames({ metrics, log }, 'uid'),
    });
    const answerRequest = makeIssuerRoutes({
      certificates,
      allowedClientNames: [],
      metricsAccess: settings.metricsAccess,
      metrics,
      getUnreadyReason: () => {
        if (isStopping) return 'shutting down';
        return keys.isOutdated() ? 'the signing keys could not be read for too long' : sources.findUnreadSource();
      },
      issuer,
      exchange,
      listPublicKeys: keys.listPublic,
      maxAgeMs: rotation.maxAgeMs,
      now: host.now,
      log,
      requestLog,
    });
    const server = await startServer(
      { certificates, answerRequest, answerTimeoutMs: settings.keystoneTimeoutMs, log, clock },
      settings.listen,
    );
    replaceCertificates = server.replaceCertificates;
    log.info({ port: server.port, issuer, keystone: settings.authUrl, version: VERSION }, 'listening');
    return {
      reload: () => {
        sources.checkFiles();
        void keys.check();
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
