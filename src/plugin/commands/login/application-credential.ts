/** Application credentials at Keystone (Keystone API v3, "Application credentials"). */
import { KeystoneProtocolError, PluginError } from '../../../shared/base/errors.ts';
import { objectAt, textAt } from '../../../shared/base/json.ts';
import type { AskKeystone } from '../../login/with-token.ts';
import { Secret } from '../../../shared/base/secret.ts';
import type { AccessRule } from './credential-options.ts';

/** The application credential to create. */
export interface CredentialSpec {
  readonly name: string;
  /** Names of roles; an empty list means all roles of the token. */
  readonly roles: readonly string[];
  /** ms since 1970, UTC. */
  readonly expiresAt: number | undefined;
  readonly accessRules: readonly AccessRule[];
}

/** An application credential that Keystone created. */
export interface NewCredential {
  readonly id: string;
  readonly name: string;
  readonly secret: Secret;
}

const pathOf = (userId: string): string => `users/${encodeURIComponent(userId)}/application_credentials`;

/**
 * Creates an application credential for the project of the token. It is restricted: it cannot create other credentials.
 *
 * @throws PluginError
 */
export async function createCredential(
  ask: AskKeystone,
  userId: string,
  { name, roles, expiresAt, accessRules }: CredentialSpec,
): Promise<NewCredential> {
  const body = await ask({
    verb: 'POST',
    path: pathOf(userId),
    resource: 'a new application credential',
    body: {
      application_credential: {
        name,
        description: 'created by client-keystone-auth login',
        unrestricted: false,
        ...(roles.length === 0 ? {} : { roles: roles.map((role) => ({ name: role })) }),
        ...(expiresAt === undefined ? {} : { expires_at: new Date(expiresAt).toISOString() }),
        ...(accessRules.length === 0 ? {} : { access_rules: accessRules.map((rule) => ({ ...rule })) }),
      },
    },
  });
  const credential = objectAt(body, 'application_credential');
  const [id, secret] = [textAt(credential, 'id'), textAt(credential, 'secret')];
  if (id !== undefined && secret !== undefined) {
    return { id, name: textAt(credential, 'name') ?? name, secret: new Secret(secret) };
  }
  throw new KeystoneProtocolError(
    'protocol',
    'Keystone created an application credential, but its response has no secret',
    {
      hint: 'delete it with "openstack application credential delete", and ask the operator of Keystone',
    },
  );
}

/**
 * Deletes an application credential that cannot be used, and throws the error.
 *
 * @param because the error that makes it unusable
 * @throws PluginError that error; if Keystone does not delete the credential, with its id
 */
export async function deleteCredentialAndThrow(
  ask: AskKeystone,
  userId: string,
  { id }: NewCredential,
  because: unknown,
): Promise<never> {
  try {
    const path = `${pathOf(userId)}/${encodeURIComponent(id)}`;
    await ask({ verb: 'DELETE', path, resource: 'the deletion of its application credential' });
  } catch (error) {
    if (!(error instanceof PluginError) || !(because instanceof PluginError)) throw because;
    throw new PluginError(
      because.code,
      `${because.message}; the new application credential ${id} still exists in Keystone`,
      {
        hint: `delete it with "openstack application credential delete ${id}"`,
        cause: because,
      },
    );
  }
  throw because;
}
