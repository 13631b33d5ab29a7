import type { KeystoneAddress } from '../../scripts/keystone/keystone.ts';
import { getResource } from './resources.ts';

/** Returns the address of the Keystone that `testWithKeystone` provides at which a client certificate is required. */
export function getMutualTlsKeystone(): KeystoneAddress {
  return getResource('mutualTlsKeystone');
}
