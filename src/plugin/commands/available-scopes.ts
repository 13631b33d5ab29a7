import { isJsonObject, listAt, textAt } from '../../shared/base/json.ts';
import type { AskKeystone } from '../login/with-token.ts';

/** A project or a domain that the user can log in to. */
export interface AvailableScope {
  readonly id: string | undefined;
  readonly name: string | undefined;
  /** Domains have none. */
  readonly domainId: string | undefined;
  readonly enabled: boolean | undefined;
}

/**
 * Lists the projects or the domains that the user can log in to, in the order of Keystone (Keystone API v3, "Get
 * available project scopes" and "Get available domain scopes").
 *
 * @throws PluginError
 */
export async function listAvailableScopes(
  ask: AskKeystone,
  kind: 'projects' | 'domains',
): Promise<readonly AvailableScope[]> {
  const body = await ask({ verb: 'GET', path: `auth/${kind}`, resource: `the ${kind}` });
  return listAt(body, kind)
    .filter(isJsonObject)
    .map((entry) => ({
      id: textAt(entry, 'id'),
      name: textAt(entry, 'name'),
      domainId: textAt(entry, 'domain_id'),
      enabled: typeof entry['enabled'] === 'boolean' ? entry['enabled'] : undefined,
    }));
}
