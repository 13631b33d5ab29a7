import type { KeystoneAddress } from '../../scripts/keystone/keystone.ts';
import { getResource } from './resources.ts';

/** Returns the TLS address of the Keystone that `testWithKeystone` provides. */
export function getTlsKeystone(): KeystoneAddress {
  return getResource('tlsKeystone');
}
