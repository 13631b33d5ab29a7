import { COMMON_OPTIONS } from '../config/common-options.ts';
import type { Option } from '../config/option.ts';
import { adminToken } from './admin-token.ts';
import { applicationCredential } from './application-credential.ts';
import { v4Jwt } from './v4-jwt.ts';
import { federatedKerberos } from './federated-kerberos.ts';
import { kerberos } from './kerberos.ts';
import { v4Kubernetes } from './v4-k8s.ts';
import type { AuthMethod } from './auth-method.ts';
import { multifactor } from './multifactor.ts';
import { oidcAccessToken } from './oidc-access-token.ts';
import { oauth2ClientCredential } from './oauth2-client-credential.ts';
import { oauth2MtlsClientCredential } from './oauth2-mtls-client-credential.ts';
import { oidcAuthCode } from './oidc-auth-code.ts';
import { oidcClientCredentials } from './oidc-client-credentials.ts';
import { oidcDeviceAuthz } from './oidc-device-authz.ts';
import { oidcPassword } from './oidc-password.ts';
import { password } from './password.ts';
import { samlPassword } from './saml-password.ts';
import { token } from './token.ts';
import { totp } from './totp.ts';
import { v4Federation } from './v4-federation.ts';
import { webSso } from './websso.ts';

/** Every auth method, in the order in which `auth_type` is inferred from the settings; the last one is the default. */
export const METHODS: readonly AuthMethod[] = [
  multifactor,
  applicationCredential,
  token,
  oidcAccessToken,
  totp,
  oidcPassword,
  samlPassword,
  oidcClientCredentials,
  oidcDeviceAuthz,
  oauth2ClientCredential,
  oauth2MtlsClientCredential,
  adminToken,
  v4Kubernetes,
  v4Jwt,
  kerberos,
  federatedKerberos,
  oidcAuthCode,
  webSso,
  v4Federation,
  password,
];

/** Lists the name of a method and its aliases. */
export function listMethodNames({ name, aliases }: AuthMethod): string[] {
  return [name, ...aliases];
}

/** Methods by name and by alias. */
export const METHOD_BY_NAME: ReadonlyMap<string, AuthMethod> = new Map(
  METHODS.flatMap((method) => listMethodNames(method).map((name) => [name, method])),
);

/** Every option, once. */
export const OPTIONS: readonly Option[] = [
  ...new Map(
    [...COMMON_OPTIONS, ...METHODS.flatMap((method) => method.options)].map((option) => [option.name, option]),
  ).values(),
];
