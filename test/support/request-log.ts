/** Counts the requests of one test at a server that other tests use too. */
import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import type { KeystoneAddress } from '../../scripts/keystone/keystone.ts';

/** A Keystone, real or not, whose requests are counted. */
export interface CountedKeystone {
  /** Without `/v3`. */
  readonly url: string;
  /** Lists the requests so far, the oldest first: `METHOD PATH`, and the status at a real server. */
  listRequests(): readonly string[];
}

export interface LoggedRequest {
  readonly method: string;
  /** Without the prefix of the watched address, with the query. */
  readonly path: string;
  readonly status: number;
  /** The common name of the client certificate. */
  readonly clientName: string | undefined;
}

/** An address of the server for one test, so that its requests can be counted while other tests run. */
export interface WatchedAddress extends CountedKeystone {
  /** Replaces the URL of the server; without `/v3`. */
  readonly url: string;
  readonly prefix: string;
  readonly accessLog: string;
}

/** Makes an address for one test: the same Keystone below a path of its own. Only requests to its `url` are counted. */
export function watchRequests(server: Pick<KeystoneAddress, 'url' | 'accessLog'>): WatchedAddress {
  const log = { prefix: `/of-${randomBytes(6).toString('hex')}`, accessLog: server.accessLog };
  return { ...log, url: server.url + log.prefix, listRequests: () => listRequests(log).map(describeRequest) };
}

/** Describes a request as `METHOD PATH STATUS`. */
export function describeRequest({ method, path, status }: LoggedRequest): string {
  return `${method} ${path} ${status}`;
}

/** Lists the requests to an address, the oldest first. The server logs a request before it responds. */
export function listRequests(address: Pick<WatchedAddress, 'accessLog' | 'prefix'>): readonly LoggedRequest[] {
  const lines = readFileSync(address.accessLog, 'utf8').split('\n');
  return lines.flatMap((line) => {
    if (!line.includes(address.prefix)) return [];
    const [, method, path, status, name] = /^(\S+) (\S+) (\d+) cn=(.*)$/.exec(line) ?? [];
    if (method === undefined || path === undefined || !isBelow(path, address.prefix)) return [];
    const clientName = name === '-' ? undefined : name;
    return [{ method, path: path.slice(address.prefix.length), status: Number(status), clientName }];
  });
}

function isBelow(path: string, prefix: string): boolean {
  return path.startsWith(prefix) && /^(?:[/?]|$)/.test(path.slice(prefix.length));
}
