/** A server whose files can change while it runs: what the webhook and the issuer have in common. */
import type { Clock } from '../../shared/base/clock.ts';
import { VERSION } from '../../shared/base/program.ts';
import type { Log } from '../observability/log.ts';
import type { ReloadMetrics } from '../observability/metric-registry.ts';
import type { Certificates } from '../server/certificates.ts';
import { makeRequestLog } from '../server/request-log.ts';
import type { RequestLog } from '../server/request-log.ts';
import type { AnswerRequest } from '../server/request.ts';
import { drainAndClose, startServer } from '../server/server.ts';
import type { ListeningServer } from '../server/server.ts';
import { SourceWatcher } from '../sources/source-watcher.ts';
import type { RunningServer } from './run-server.ts';
import type { SharedSettings } from './shared-settings.ts';
import { watchCertificates } from './watch-certificates.ts';
import type { CertificateFiles } from './watch-certificates.ts';

export interface WatchedServerContext {
  readonly settings: CertificateFiles & Pick<SharedSettings, 'listen' | 'shutdownGraceMs'>;
  readonly metrics: ReloadMetrics;
  readonly log: Log;
  readonly clock: Clock;
}

/** What the routes of a server are made of. */
export interface ServerParts {
  readonly sources: SourceWatcher;
  readonly requestLog: RequestLog;
  /** The certificates in force. */
  readonly readCertificates: () => Certificates;
  /** Why /readyz fails now; undefined if the server is ready. */
  readonly getUnreadyReason: () => string | undefined;
  /** Takes what to do when the server has stopped, or if it does not start. */
  readonly onClose: (close: () => void) => void;
}

/** What a server answers, and what it does besides. */
export interface ServerRoutes {
  readonly answerRequest: AnswerRequest;
  /** How long an answer takes at most, in ms. */
  readonly answerTimeoutMs: number;
  /** The servers that it asks, for the line of the log that says where it listens. */
  readonly peers: Readonly<Record<string, string>>;
  /** Checks what it reads besides its files. */
  readonly reload?: () => void;
}

/**
 * Starts a server with the routes that `openRoutes` makes.
 *
 * @throws PluginError if its files or its address are not usable
 */
export async function startWatchedServer(
  { settings, metrics, log, clock }: WatchedServerContext,
  openRoutes: (parts: ServerParts) => Promise<ServerRoutes>,
): Promise<RunningServer> {
  const sources = new SourceWatcher(log, metrics, clock);
  const requestLog = makeRequestLog(log, clock);
  const closers = [requestLog.close];
  const closeAll = (): void => {
    sources.close();
    for (const close of closers.toReversed()) close();
  };
  try {
    let replaceCertificates: ListeningServer['replaceCertificates'] = () => undefined;
    let isStopping = false;
    let certificates = watchCertificates(sources, settings, (next) => {
      certificates = next;
      replaceCertificates(next);
    });
    const { answerRequest, answerTimeoutMs, peers, reload } = await openRoutes({
      sources,
      requestLog,
      readCertificates: () => certificates,
      getUnreadyReason: () => (isStopping ? 'shutting down' : sources.findUnreadSource()),
      onClose: (close) => closers.push(close),
    });
    const server = await startServer({ certificates, answerRequest, answerTimeoutMs, log, clock }, settings.listen);
    ({ replaceCertificates } = server);
    log.info({ port: server.port, ...peers, version: VERSION }, 'listening');
    return {
      reload: () => {
        sources.checkFiles();
        reload?.();
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
