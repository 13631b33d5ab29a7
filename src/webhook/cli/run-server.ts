import type { Host } from '../../shared/base/host.ts';
import type { Log } from '../observability/log.ts';

export interface RunningServer {
  /** Checks all files now. */
  readonly reload: () => void;
  /** Completes the running requests, and stops. */
  readonly stop: () => Promise<void>;
}

function waitForSignal(host: Host): Promise<void> {
  return new Promise((resolve) => {
    host.onSignal('SIGTERM', resolve);
    host.onSignal('SIGINT', resolve);
  });
}

/**
 * Starts a server, and stops it when the process is asked to end.
 *
 * @returns the exit status
 */
export async function runServer(host: Host, log: Log, start: () => Promise<RunningServer>): Promise<number> {
  // A server must not end because of what a peer sends. Only the name: a message may quote a token.
  host.onUnhandledError((error) => {
    log.error({ error: error instanceof Error ? error.name : typeof error }, 'internal error');
  });
  // Before the start: a signal that nobody listens to would end the process at once.
  const stopSignal = waitForSignal(host);
  let reload = (): void => undefined;
  host.onSignal('SIGHUP', () => {
    reload();
  });
  const server = await start();
  ({ reload } = server);
  await stopSignal;
  log.info('shutting down');
  await server.stop();
  return 0;
}
