/** What a stand-in knows, and what a test can change at any time. */
import type { StandInApplicationCredential, StandInUser } from './users.ts';
import type { Json } from './json.ts';

/** A token that was issued. */
export interface Session {
  readonly user: StandInUser;
  readonly methods: readonly string[];
  readonly auditIds: readonly string[];
  readonly issuedAt: Date;
  readonly expiresAt: Date;
  readonly scope: Json;
  readonly roleNames: readonly string[];
  /** Whether it came from an application credential. Keystone does not exchange such a token. */
  readonly delegated: boolean;
  revoked: boolean;
}

/** What Keystone gives instead of a token if it wants another factor. */
export interface Receipt {
  readonly user: StandInUser;
  readonly methods: readonly string[];
  readonly expiresAt: Date;
}

export interface StandInState {
  /** Without a path or a trailing slash. */
  url: string;
  readonly users: readonly StandInUser[];
  readonly applicationCredentials: readonly StandInApplicationCredential[];
  /** Can be changed at any time. */
  lifetimeSeconds: number;
  /** Formats `expires_at`. Can be changed at any time. */
  formatExpiry: (expiry: Date) => string;
  /** How far the clock of this server is ahead. Can be changed at any time. */
  clockAheadSeconds: number;
  /** The clock of the machine, in ms since 1970. */
  readonly now: () => number;
  /** By token. */
  readonly sessions: Map<string, Session>;
  /** By receipt. */
  readonly receipts: Map<string, Receipt>;
  /** Services in the catalog besides Keystone. Can be changed at any time. */
  services: readonly Json[];
}

/** Reads the clock of the server. */
export function readClock({ now, clockAheadSeconds }: StandInState): Date {
  return new Date(now() + clockAheadSeconds * 1000);
}

/** Keystone uses whole seconds. */
export function roundDown(instant: Date): Date {
  return new Date(Math.floor(instant.getTime() / 1000) * 1000);
}

/** The time in some seconds. */
export function addSeconds(state: StandInState, seconds: number): Date {
  return roundDown(new Date(readClock(state).getTime() + seconds * 1000));
}
