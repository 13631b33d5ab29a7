/**
 * Lines of the log that anybody can cause who can connect, such as a refused token. They are limited, for each client and
 * in all, so that a flood cannot fill a disk or hide what others do. What is left out is counted.
 */
import type { Clock } from '../../shared/base/clock.ts';
import { TokenBucket } from '../authn/token-bucket.ts';
import type { Log } from '../observability/log.ts';
import { findNetwork } from './client-network.ts';

/** The most lines at once, and in each second after that. */
interface Limit {
  readonly burst: number;
  readonly perSecond: number;
}

/** Of one client, which is an address (IPv4) or a /64 (IPv6). */
export const CLIENT_LIMIT: Limit = { burst: 100, perSecond: 2 };

/** About 260 MB in a day. */
export const TOTAL_LIMIT: Limit = { burst: 500, perSecond: 10 };

/** How many clients are told apart; the least recently seen one is forgotten first. */
const MAX_CLIENTS = 1_000;

/** How often the log says how many lines were left out, in ms. */
export const SUMMARY_MS = 60_000;

export interface RequestLine {
  readonly level: 'info' | 'warn' | 'error';
  /** The address of the client. */
  readonly client: string | undefined;
  readonly fields: object;
  readonly message: string;
}

export interface RequestLog {
  readonly write: (line: RequestLine) => void;
  /** Says what was left out since the last time, and stops. */
  readonly close: () => void;
}

/** Makes the log of one server. */
export function makeRequestLog(log: Log, clock: Clock): RequestLog {
  const makeBucket = ({ burst, perSecond }: Limit): TokenBucket =>
    new TokenBucket({ capacity: burst, creditPerSecond: perSecond, now: clock.monotonicMs });
  const total = makeBucket(TOTAL_LIMIT);
  // The least recently seen client comes first.
  const clients = new Map<string, TokenBucket>();
  const leftOut = new Map<string, number>();
  let cancelSummary = (): void => undefined;

  function findBucket(client: string | undefined): TokenBucket {
    const network = findNetwork(client);
    const bucket = clients.get(network) ?? makeBucket(CLIENT_LIMIT);
    clients.delete(network);
    clients.set(network, bucket);
    const [oldest] = clients.keys();
    if (clients.size > MAX_CLIENTS && oldest !== undefined) clients.delete(oldest);
    return bucket;
  }

  function hasRoom(client: string | undefined): boolean {
    const buckets = [findBucket(client), total];
    for (const bucket of buckets) bucket.refill();
    if (buckets.some(({ credit }) => credit < 1)) return false;
    for (const bucket of buckets) bucket.spend(1);
    return true;
  }

  function summarize(): void {
    if (leftOut.size === 0) return;
    log.warn({ leftOut: Object.fromEntries(leftOut) }, 'there were too many lines about requests; these were left out');
    leftOut.clear();
  }

  return {
    write({ level, client, fields, message }) {
      if (hasRoom(client)) {
        log[level](fields, message);
        return;
      }
      if (leftOut.size === 0) cancelSummary = clock.startTimer(SUMMARY_MS, summarize);
      leftOut.set(message, (leftOut.get(message) ?? 0) + 1);
    },
    close() {
      cancelSummary();
      summarize();
    },
  };
}
