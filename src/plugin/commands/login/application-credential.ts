/** Application credentials at Keystone (Keystone API v3, "Application credentials"). */
import { KeystoneProtocolError, PluginError } from '../../../shared/base/errors.ts';
import { objectAt, textAt } from '../../../shared/base/json.ts';
import type { AskKeystone } from '../../login/with-token.ts';
import { Secret } from '../../../shared/base/secret.ts';
import type { AccessRule } from './credential-options.ts';

/** What a new application credential shall be like. */
export interface CredentialSpec {
  readonly name: string;
  /** Names; none means all roles of the token. */
  readonly roles: readonly string[];
  /** ms since 1970, UTC. */
  readonly expiresAt: number | undefined;
  readonly accessRules: readonly AccessRule[];
}

/** An application credential as Keystone made it. */
export interface NewCredential {
  readonly id: string;
  readonly name: string;
  readonly secret: Secret;
}

const pathOf = (userId: string): string => `users/${encodeURIComponent(userId)}/application_credentials`;

/**
 * Makes one that can neither make others nor be exchanged, for the project of the token that asks.
 *
 * @throws PluginError
 */
export async function createCredential(
  ask: AskKeystone,
  userId: string,
  wanted: CredentialSpec,
): Promise<NewCredential> {
  const { name, roles, expiresAt, accessRules } = wanted;
  const body = await ask({
    verb: 'POST',
    path: pathOf(userId),
    resource: 'a new application credential',
    body: {
      application_credential: {
        name,
        description: 'made by client-keystone-auth login',
        unrestricted: false,
        ...(roles.length === 0 ? {} : { roles: roles.map((role) => ({ name: role })) }),
        ...(expiresAt === undefined ? {} : { expires_at: new Date(expiresAt).toISOString() }),
        ...(accessRules.length === 0 ? {} : { access_rules: accessRules.map((rule) => ({ ...rule })) }),
      },
    },
  });
  const made = objectAt(body, 'application_credential');
  const [id, secret] = [textAt(made, 'id'), textAt(made, 'secret')];
  if (id !== undefined && secret !== undefined) {
    return { id, name: textAt(made, 'name') ?? name, secret: new Secret(secret) };
  }
  throw new KeystoneProtocolError('protocol', 'Keystone made an application credential and does not say its secret', {
    hint: 'delete it with "openstack application credential delete", and ask the operator of Keystone',
  });
}

/**
 * Deletes one that is of no use.
 *
 * @param because what made it useless
 * @throws PluginError what made it useless, and what is left where it cannot be deleted
 */
export async function deleteCredentialAndThrow(
  ask: AskKeystone,
  userId: string,
  { id }: NewCredential,
  because: unknown,
): Promise<never> {
  try {
    const path = `${pathOf(userId)}/${encodeURIComponent(id)}`;
    await ask({ verb: 'DELETE', path, resource: 'its application credential deleted' });
  } catch (error) {
    if (!(error instanceof PluginError) || !(because instanceof PluginError)) throw because;
    throw new PluginError(
      because.code,
      `${because.message}; the new application credential ${id} is left at Keystone`,
      {
        hint: `delete it with "openstack application credential delete ${id}"`,
        cause: because,
      },
    );
  }
  throw because;
}
