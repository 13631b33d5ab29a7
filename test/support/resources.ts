/**
 * What the test runner starts for a test file. The runner derives it from the modules that the file imports (see
 * scripts/lib/test-resources.ts). A test file that is run without the runner has none of it.
 */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { FederationAddress } from '../../scripts/federation/federation.ts';
import type { KeycloakAddress } from '../../scripts/identity-providers/keycloak.ts';
import type { KeystoneAddress } from '../../scripts/keystone/keystone.ts';
import type { Pki } from '../../scripts/lib/pki.ts';
import type { Tenancy } from './tenancy.ts';

export interface Resources {
  /** The programs, built. */
  readonly programs: {
    /** The single executable that the tests use instead of the bundles. */
    readonly executable?: string;
  };
  /** A real Keystone over http, with users and projects. */
  readonly keystone: { readonly http: KeystoneAddress; readonly pki: Pki; readonly tenancy: Tenancy };
  /** The same users, with the certificate `pki.server`. Accepts client certificates of `pki.ca`. */
  readonly tlsKeystone: KeystoneAddress;
  /** The same users, with the certificate `pki.server`. Requires a client certificate of `pki.ca`. */
  readonly mutualTlsKeystone: KeystoneAddress;
  /** The same users behind Apache, and an identity provider. */
  readonly federation: FederationAddress;
  /** A real Keycloak, in which each test makes its own realm. */
  readonly keycloak: KeycloakAddress;
}

export type ResourceName = keyof Resources;

/** Why a resource is not available. */
export interface Missing {
  readonly missing: string;
}

/**
 * Returns a resource, or why this machine does not have it.
 *
 * @throws Error if the runner did not start it, because that must not skip a test
 */
export function findResource<Name extends ResourceName>(name: Name): Resources[Name] | Missing {
  const folder = process.env['CKA_TEST_RESOURCES'];
  if (folder === undefined) {
    if (isCi()) throw new Error(`CI must run the tests with npm test, because they need the resource ${name}`);
    return { missing: 'run the tests with npm test' };
  }
  const names = (process.env['CKA_TEST_RESOURCE_NAMES'] ?? '').split(' ');
  const file = join(folder, `${name}.json`);
  if (!names.includes(name) || !existsSync(file))
    throw new Error(`the runner did not start ${name} for this file; see scripts/lib/test-resources.ts`);
  return JSON.parse(readFileSync(file, 'utf8')) as Resources[Name] | Missing;
}

/**
 * Returns a resource.
 *
 * @throws Error if it is not available
 */
export function getResource<Name extends ResourceName>(name: Name): Resources[Name] {
  const resource = findResource(name);
  if ('missing' in resource) throw new Error(`there is no ${name}: ${resource.missing}`);
  return resource;
}

/** Whether the tests run in CI, where nothing may be missing. */
export function isCi(): boolean {
  return /^(?:true|1)$/.test(process.env['CI'] ?? '');
}
