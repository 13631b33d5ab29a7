// The login settings of the users of the real Keystone, and the secrets that must never appear.

import type { ApplicationCredential, NamedEntity, Tenancy, User } from './tenancy.ts';

/** Variables that configure a login. */
export type LoginSettings = Readonly<Record<string, string>>;

export function asUser(user: User, domain: NamedEntity): LoginSettings {
  return { OS_USERNAME: user.name, OS_USER_DOMAIN_NAME: domain.name, OS_PASSWORD: user.password };
}

export function asUserById(user: User): LoginSettings {
  return { OS_USER_ID: user.id, OS_PASSWORD: user.password };
}

export function asApplicationCredential(credential: ApplicationCredential): LoginSettings {
  return { OS_APPLICATION_CREDENTIAL_ID: credential.id, OS_APPLICATION_CREDENTIAL_SECRET: credential.secret };
}

export function onProject(project: Pick<NamedEntity, 'name'>, domain: NamedEntity): LoginSettings {
  return { OS_PROJECT_NAME: project.name, OS_PROJECT_DOMAIN_NAME: domain.name };
}

/** Alice on the project demo: the login of most tests. */
export function asAliceOnDemo({ users, projects, domain }: Tenancy): LoginSettings {
  return { ...asUser(users.alice, domain), ...onProject(projects.demo, domain) };
}

/** Lists all secrets of the users and application credentials. */
export function listSecrets({ users, applicationCredentials }: Tenancy): string[] {
  return [
    ...Object.values(users).map(({ password }) => password),
    ...Object.values(applicationCredentials).map(({ secret }) => secret),
    users.mfa.totpSecret,
    users.phone.totpSecret,
  ];
}
