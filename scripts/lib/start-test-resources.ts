// Starts what the tests of a run need: the servers, and their users.

import { join } from 'node:path';

import { isCi } from '../../test/support/resources.ts';
import type { Missing, ResourceName, StartedResources } from '../../test/support/resources.ts';
import { createTenancy } from '../../test/support/tenancy.ts';
import type { Federation } from '../federation/federation.ts';
import { findApache } from '../federation/find-apache.ts';
import { findKeystone } from '../keystone/find-keystone.ts';
import { startKeystone } from '../keystone/keystone.ts';
import type { Keystone, KeystoneAddress } from '../keystone/keystone.ts';
import { makePki } from './pki.ts';
import type { Pki } from './pki.ts';

/** A server that was started. */
export type Server = Pick<Keystone, 'readLog' | 'stop'>;

/** Resources that are addresses of a Keystone, or that use one. */
const NEED_KEYSTONE: readonly ResourceName[] = ['keystone', 'tlsKeystone', 'mutualTlsKeystone', 'federation'];

/**
 * Starts the servers for these resources.
 *
 * @param dir an empty folder for their files
 * @param servers gets each server as soon as it starts
 * @throws Error in CI, if this machine does not have a resource
 */
export async function startResources(
  names: ReadonlySet<ResourceName>,
  dir: string,
  servers: Server[],
): Promise<StartedResources> {
  if (!NEED_KEYSTONE.some((name) => names.has(name))) return {};
  const found = await findKeystone(say);
  if ('missing' in found) {
    allowMissing('a real Keystone', found.missing);
    return Object.fromEntries(NEED_KEYSTONE.map((name) => [name, found]));
  }
  const [pki, http] = await Promise.all([makePki(join(dir, 'pki')), start({ dir: join(dir, 'keystone') })]);
  const tls = { ...pki.server, clientCa: pki.ca };
  const [tenancy, tlsKeystone, mutualTlsKeystone, federation] = await Promise.all([
    createTenancy(http),
    startIfNeeded('tlsKeystone', () => start({ dir: http.dir, tls })),
    startIfNeeded('mutualTlsKeystone', () => start({ dir: http.dir, tls: { ...tls, requireClientCert: true } })),
    startIfNeeded('federation', () => prepareFederation(http, pki, dir, servers)),
  ]);
  if (federation !== undefined && !('missing' in federation)) await federation.admitUsers(tenancy);
  return {
    keystone: { http: toAddress(http), pki, tenancy },
    ...(tlsKeystone === undefined ? {} : { tlsKeystone: toAddress(tlsKeystone) }),
    ...(mutualTlsKeystone === undefined ? {} : { mutualTlsKeystone: toAddress(mutualTlsKeystone) }),
    ...(federation === undefined ? {} : { federation }),
  };

  async function start(options: Parameters<typeof startKeystone>[0]): Promise<Keystone> {
    const server = await startKeystone(options);
    servers.push(server);
    return server;
  }

  async function startIfNeeded<T>(name: ResourceName, begin: () => Promise<T>): Promise<T | undefined> {
    return names.has(name) ? begin() : undefined;
  }
}

async function prepareFederation(
  home: Keystone,
  pki: Pki,
  dir: string,
  servers: Server[],
): Promise<Federation | Missing> {
  const apache = await findApache(say);
  if ('missing' in apache) {
    allowMissing('federation with a real Apache', apache.missing);
    return apache;
  }
  // Imported here, because the identity provider takes a while to load.
  const { startFederation } = await import('../federation/federation.ts');
  const federation = await startFederation(home, pki, join(dir, 'federation'));
  servers.push(federation);
  return federation;
}

/**
 * Reports that tests will be skipped.
 *
 * @throws Error in CI, where nothing may be missing
 */
function allowMissing(what: string, reason: string): void {
  if (isCi()) throw new Error(`CI must test against ${what}, which is missing: ${reason}`);
  say(`The tests that need ${what} are skipped: ${reason}`);
}

function toAddress({ url, adminPassword, accessLog }: KeystoneAddress): KeystoneAddress {
  return { url, adminPassword, accessLog };
}

function say(line: string): void {
  console.error(line);
}
