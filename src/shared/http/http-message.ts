import type { Secret } from '../base/secret.ts';
import type { Peer } from './peer.ts';

/** A request, to Keystone unless `peer` names another server. */
export interface HttpRequest {
  readonly verb: 'GET' | 'HEAD' | 'POST' | 'DELETE';
  readonly url: string;
  /** A request with a secret has a connection of its own, unless the client is for one credential only. */
  readonly headers?: Readonly<Record<string, Secret | string>>;
  /** JSON text, or a form if `isForm` is set. */
  readonly body?: string;
  readonly isForm?: true;
  readonly peer?: Peer;
  /** The request contains something that works once, such as a passcode: it is never sent twice. */
  readonly isSingleUse?: true;
  /** A redirect is the response: it is not followed. */
  readonly returnsRedirect?: true;
  /** Repeated while the user does something elsewhere: it takes nothing from the deadline of the other requests. */
  readonly isPoll?: true;
  /** The deadline of this request in ms, if it does not share the deadline of a run. */
  readonly deadlineMs?: number;
}

/** A response of any status; its body has at most 1 MiB. */
export interface HttpResponse {
  readonly status: number;
  header(name: string): string | undefined;
  /** Every `Set-Cookie` header. */
  readonly setCookies: readonly string[];
  readonly body: string;
  /** Midpoint of sending and receiving by this machine's clock, in ms since 1970, UTC. */
  readonly respondedAt: number;
  /** How far the server's clock is ahead of ours, in ms; 0 if that is unknown or too small to matter. */
  readonly serverAheadMs: number;
}

/** A smaller difference is the resolution of the Date header and the time that the response travels. */
export const MIN_SKEW_MS = 5_000;

/** No time zone is further away; a larger difference says more about the header than about a clock. */
const MAX_SKEW_MS = 24 * 3_600_000;

/**
 * Reads how far the clock behind a `Date` header is ahead of ours, however far that is.
 *
 * @param date the `Date` header
 * @param respondedAt see {@link HttpResponse}
 * @returns ms; undefined if the header is missing or unreadable
 */
export function readClockDifference(date: string | undefined, respondedAt: number): number | undefined {
  const difference = Date.parse(date ?? '') - respondedAt;
  return Number.isNaN(difference) ? undefined : difference;
}

/**
 * Measures how far a server's clock is ahead of ours.
 *
 * @param date the `Date` header
 * @param respondedAt see {@link HttpResponse}
 * @param uncertaintyMs how far that may be from the moment of the header, for example because the server was slow
 * @returns ms; 0 if the header is missing or unreadable, or if it is not credible
 */
export function measureClockSkew(date: string | undefined, respondedAt: number, uncertaintyMs = 0): number {
  return keepCredibleSkew(readClockDifference(date, respondedAt) ?? 0, uncertaintyMs);
}

/** Returns a measured difference between two clocks, in ms, or 0 if it is small or not credible. */
export function keepCredibleSkew(skewMs: number, uncertaintyMs: number): number {
  return Math.abs(skewMs) > MIN_SKEW_MS + uncertaintyMs && Math.abs(skewMs) <= MAX_SKEW_MS ? skewMs : 0;
}

/** A server may claim any expiry; the plugin then logs in again after this time, in ms. */
const MAX_LIFETIME_MS = 30 * 24 * 3_600_000;

/**
 * Limits how long a token is used.
 *
 * @param expiresAt ms since 1970, UTC
 * @param receivedAt ms since 1970, UTC
 */
export function limitExpiry(expiresAt: number, receivedAt: number): number {
  return Math.min(expiresAt, receivedAt + MAX_LIFETIME_MS);
}

/**
 * Whether a token expired so long before it arrived that one of the clocks must be wrong.
 *
 * @param expiresAt ms since 1970, UTC
 * @param receivedAt ms since 1970, UTC
 */
export function isExpiredOnArrival(expiresAt: number, receivedAt: number): boolean {
  return expiresAt < receivedAt - MIN_SKEW_MS;
}
