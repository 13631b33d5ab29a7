// Registers an identity provider with Keystone, and gives its users roles.

import { callKeystone, findId, listRoles, logInAsAdmin } from '../../test/support/tenancy.ts';
import type { Tenancy } from '../../test/support/tenancy.ts';
import type { KeystoneAddress } from '../keystone/keystone.ts';

export interface ProviderRegistration {
  /** IDs in Keystone. */
  readonly provider: string;
  readonly protocol: string;
  /** What the variable of Apache that names the provider has to be. */
  readonly remoteId: string;
  /** The name of the group of its users. */
  readonly group: string;
  /** Conditions of the mapping on variables of Apache. The first one is the name of the user. */
  readonly remote: readonly object[];
  /** Whether the users are also readers of the project and of its domain. */
  readonly areReaders?: boolean;
}

/** Registers a provider whose users are members of the project demo. */
export async function registerProvider(
  server: KeystoneAddress,
  { domain, projects }: Tenancy,
  { provider, protocol, remoteId, group, remote, areReaders = false }: ProviderRegistration,
): Promise<void> {
  const token = await logInAsAdmin(server);
  const put = (path: string, body?: object): Promise<unknown> =>
    callKeystone(server, `/v3/${path}`, { method: 'PUT', token, body });
  const roles = await listRoles(server, token);
  const made = await callKeystone(server, '/v3/groups', {
    method: 'POST',
    token,
    body: { group: { name: group, domain_id: domain.id } },
  });
  const { id } = (made as { group: { id: string } }).group;
  const rules = [{ local: [{ user: { name: '{0}' }, group: { id } }], remote }];
  const path = `OS-FEDERATION/identity_providers/${provider}`;
  const mapping = `${provider}-mapping`;
  const readers = [`projects/${projects.demo.id}`, `domains/${domain.id}`];
  await Promise.all([
    put(`OS-FEDERATION/mappings/${mapping}`, { mapping: { rules } }),
    put(path, { identity_provider: { remote_ids: [remoteId], enabled: true } }),
    put(`projects/${projects.demo.id}/groups/${id}/roles/${findId(roles, 'member')}`),
    ...(areReaders ? readers.map((scope) => put(`${scope}/groups/${id}/roles/${findId(roles, 'reader')}`)) : []),
  ]);
  await put(`${path}/protocols/${protocol}`, { protocol: { mapping_id: mapping } });
}
