/** An owner of Keystone tokens, and rules for their name in the cluster, for tests that need no server. */
import type { TokenOwner } from '../../src/webhook/authn/token-owner.ts';
import type { NamingRules } from '../../src/webhook/authn/user-info.ts';

/** alice of the domain acme, on the project web. */
export const OWNER: TokenOwner = {
  user: { id: 'u1', name: 'alice' },
  userDomain: { id: 'd1', name: 'acme' },
  project: { id: 'p1', name: 'web' },
  projectDomain: { id: 'd1', name: 'acme' },
  roles: ['reader', 'member'],
};

/** The default rules: names as they are. */
export const NAMING: NamingRules = {
  usernameFormat: '%n',
  groupFormat: '%n',
  roleMappings: [],
  allowedNames: [],
  allowsMappedSystemNames: false,
};
