// Starts what the tests of a run need: the servers, and their users.

import { join } from 'node:path';

import { isCi } from '../../test/support/resources.ts';
import type { Missing, ResourceName, Resources } from '../../test/support/resources.ts';
import { createTenancy } from '../../test/support/tenancy.ts';
import type { Federation } from '../federation/federation.ts';
import { findApache } from '../federation/find-apache.ts';
import { findKeycloak, readAdminPassword } from '../identity-providers/find-keycloak.ts';
import { startKeycloak } from '../identity-providers/keycloak.ts';
import type { KeycloakAddress } from '../identity-providers/keycloak.ts';
import { findKeystone } from '../keystone/find-keystone.ts';
import { startKeystone } from '../keystone/keystone.ts';
import type { Keystone, KeystoneAddress } from '../keystone/keystone.ts';
import { makePki } from './pki.ts';
import type { Pki } from './pki.ts';

/** A server that was started. */
export type Server = Pick<Keystone, 'readLog' | 'stop'>;

/** Resources that are addresses of a Keystone, or that use one. */
const NEED_KEYSTONE = ['keystone', 'tlsKeystone', 'mutualTlsKeystone', 'federation'] as const;

/** What is being started: each resource is fulfilled as soon as it is there. */
export type StartingResources = ReadonlyMap<ResourceName, Promise<Resources[ResourceName] | Missing>>;

/**
 * Starts the servers for these resources.
 *
 * @param dir an empty folder for their files
 * @param servers gets each server as soon as it starts
 * @throws Error (in a promise) in CI, if this machine does not have a resource
 */
export function startResources(names: ReadonlySet<ResourceName>, dir: string, servers: Server[]): StartingResources {
  const starting = new Map<ResourceName, Promise<Resources[ResourceName] | Missing>>();
  const needed = NEED_KEYSTONE.filter((name) => names.has(name));
  if (needed.length === 0 && !names.has('keycloak')) return starting;
  const pki = makePki(join(dir, 'pki'));
  if (needed.length > 0) {
    const started = pki.then((made) => startKeystones(names, made, dir, servers));
    for (const name of needed)
      starting.set(
        name,
        started.then((resources) => resources[name]),
      );
  }
  if (names.has('keycloak'))
    starting.set(
      'keycloak',
      pki.then((made) => prepareKeycloak(made, dir, servers)),
    );
  return starting;
}

type KeystoneResources = {
  readonly [Name in (typeof NEED_KEYSTONE)[number]]: Resources[Name] | Missing;
};

async function startKeystones(
  names: ReadonlySet<ResourceName>,
  pki: Pki,
  dir: string,
  servers: Server[],
): Promise<KeystoneResources> {
  const found = await findKeystone(say);
  if ('missing' in found) {
    allowMissing('a real Keystone', found.missing);
    return { keystone: found, tlsKeystone: found, mutualTlsKeystone: found, federation: found };
  }
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
    names.has('federation') ? prepareFederation(http, pki, dir, servers) : { missing: 'no test needs it' },
  ]);
  if ('admitUsers' in federation) await federation.admitUsers(tenancy);
  const address = toAddress(http);
  return {
    keystone: { http: address, pki, tenancy },
    tlsKeystone: { ...address, url: tlsUrl },
    mutualTlsKeystone: { ...address, url: mutualTlsUrl },
    federation,
  };
}

/** Starts Keycloak, which takes a while. Tests that do not need it do not wait for it. */
async function prepareKeycloak(pki: Pki, dir: string, servers: Server[]): Promise<KeycloakAddress | Missing> {
  const found = await findKeycloak();
  if ('missing' in found) {
    allowMissing('a real Keycloak', found.missing);
    return found;
  }
  const adminPassword = await readAdminPassword(found);
  const keycloak = await startKeycloak(found, { dir: join(dir, 'keycloak'), pki, adminPassword });
  servers.push(keycloak);
  return { url: keycloak.url, adminPassword, pki };
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
