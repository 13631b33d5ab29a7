/**
 * Users of this machine besides the one who runs the tests; only their numbers exist. Each test file has users of its own,
 * so that none meets what another one leaves in folders that all users share.
 */
export const OTHER_USERS = {
  attackers: { victim: 65_521, attacker: 65_522 },
  cacheFolder: { alice: 65_523, bob: 65_524 },
  podLayouts: { neighbor: 65_525 },
  /** The user `nobody`, who has an account. */
  diskFaults: { nobody: 65_534 },
};
