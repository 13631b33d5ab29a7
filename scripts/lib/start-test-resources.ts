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
  const pki = await makePki(join(dir, 'pki'));
  const tls = { ...pki.server, clientCa: pki.ca };
  const moreTls = [
    { ...tls, requireClientCert: false },
    { ...tls, requireClientCert: true },
  ];
  // One server, because its cache would not see what another one writes.
  const http = await startKeystone({ dir: join(dir, 'keystone'), moreTls, hasCache: true });
  servers.push(http);
  const [tlsUrl = '', mutualTlsUrl = ''] = http.moreUrls;
  const [tenancy, federation] = await Promise.all([
    createTenancy(http),
    names.has('federation') ? prepareFederation(http, pki, dir, servers) : undefined,
  ]);
  if (federation !== undefined && !('missing' in federation)) await federation.admitUsers(tenancy);
  const address = toAddress(http);
  return {
    keystone: { http: address, pki, tenancy },
    tlsKeystone: { ...address, url: tlsUrl },
    mutualTlsKeystone: { ...address, url: mutualTlsUrl },
    ...(federation === undefined ? {} : { federation }),
  };
}

async function prepareFederation(
  home: Keystone,
  pki: Pki,
  dir: string,
  servers: Server[],
): Promise<Federation | Missing> {
  const apache = await findApache('auth_openidc', say);
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
