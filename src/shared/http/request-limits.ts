import type { ClientRequest } from 'node:http';
import type { Clock } from '../base/clock.ts';
import { KeystoneProtocolError } from '../base/errors.ts';
import type { Peer } from './peer.ts';

const MAX_BODY_BYTES = 1024 * 1024;

/** Responses such as 103 that precede the real one (RFC 9110, section 15.2). */
const MAX_INTERIM_RESPONSES = 20;

/** What ends a request early: the deadline, or a response that no server of ours sends. */
export interface RequestLimits {
  readonly signal: AbortSignal;
  /** Watches a request, and the response as it arrives. */
  watchRequest(request: ClientRequest): void;
  watchSize(bytes: number): void;
  /** Why the request was ended; undefined if it was not, or by the deadline. */
  readonly fault: KeystoneProtocolError | undefined;
  readonly isDeadlineOver: boolean;
  clear(): void;
}

/**
 * Starts the limits of one request; clear them at its end.
 *
 * @param maxMs until the deadline, in ms
 */
export function setLimits(maxMs: number, peer: Peer, clock: Clock): RequestLimits {
  const controller = new AbortController();
  let fault: KeystoneProtocolError | undefined;
  let isDeadlineOver = false;
  // Not AbortSignal.timeout: its timer would not keep the process alive until the deadline.
  const cancelTimer = clock.startTimer(maxMs, () => {
    isDeadlineOver = true;
    controller.abort();
  });
  const stop = (message: string, hint: string): void => {
    fault ??= new KeystoneProtocolError('protocol', message, { hint });
    controller.abort();
  };
  const proxyHint = `check ${peer.setting}, and the proxies between you and ${peer.name}`;
  return {
    signal: controller.signal,
    watchRequest(request) {
      let interimCount = 0;
      request.on('information', () => {
        interimCount += 1;
        if (interimCount > MAX_INTERIM_RESPONSES) stop(`${peer.name} sends interim responses without end`, proxyHint);
      });
      // Without a listener, Node closes the connection and reports nothing.
      request.once('upgrade', (_response, socket) => {
        socket.destroy();
        stop(`${peer.name} switches to another protocol, for which it was not asked`, proxyHint);
      });
    },
    watchSize(bytes) {
      if (bytes > MAX_BODY_BYTES)
        stop(`the response is larger than 1 MiB: this is not ${peer.name}`, `check ${peer.setting}`);
    },
    get fault() {
      return fault;
    },
    get isDeadlineOver() {
      return isDeadlineOver;
    },
    clear() {
      cancelTimer();
    },
  };
}
