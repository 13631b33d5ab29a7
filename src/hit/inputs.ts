/**
 * The raw inputs of a run, by name, as the hit path may use them. A unit test keeps the lists equal to the options of
 * the registry, which the hit path cannot import: it would pull every method in.
 */

/** Variables whose value decides who logs in where, and where the token is kept. */
export const IDENTITY_VARIABLES: readonly string[] = [
  'CLIENT_KEYSTONE_AUTH_CACHE_DIR',
  'CLIENT_KEYSTONE_AUTH_CACHE_STORAGE',
  'CLIENT_KEYSTONE_AUTH_SKIP_OPEN_BROWSER',
  'CLIENT_KEYSTONE_AUTH_TOKEN_KIND',
  'OS_ACCESS_TOKEN',
  'OS_ACCESS_TOKEN_ENDPOINT',
  'OS_ACCESS_TOKEN_TYPE',
  'OS_APPLICATION_CREDENTIAL_ID',
  'OS_APPLICATION_CREDENTIAL_NAME',
  'OS_AUTHORIZATION_ENDPOINT',
  'OS_AUTH_METHODS',
  'OS_AUTH_PLUGIN',
  'OS_AUTH_TOKEN',
  'OS_AUTH_TYPE',
  'OS_AUTH_URL',
  'OS_CACERT',
  'OS_CERT',
  'OS_CLIENT_CONFIG_FILE',
  'OS_CLIENT_ID',
  'OS_CLIENT_SECURE_FILE',
  'OS_CLOUD',
  'OS_CODE_CHALLENGE_METHOD',
  'OS_DEFAULT_DOMAIN',
  'OS_DEFAULT_DOMAIN_ID',
  'OS_DEFAULT_DOMAIN_NAME',
  'OS_DEVICE_AUTHORIZATION_ENDPOINT',
  'OS_DISCOVERY_ENDPOINT',
  'OS_DOMAIN_ID',
  'OS_DOMAIN_NAME',
  'OS_IDENTITY_API_VERSION',
  'OS_IDENTITY_PROVIDER',
  'OS_IDP_OTP_KEY',
  'OS_INSECURE',
  'OS_KEY',
  'OS_OPENID_SCOPE',
  'OS_PROJECT_DOMAIN_ID',
  'OS_PROJECT_DOMAIN_NAME',
  'OS_PROJECT_ID',
  'OS_PROJECT_NAME',
  'OS_PROTOCOL',
  'OS_REGION_NAME',
  'OS_REDIRECT_PORT',
  'OS_REDIRECT_URI',
  'OS_SYSTEM_SCOPE',
  'OS_TENANT_ID',
  'OS_TENANT_NAME',
  'OS_TOKEN',
  'OS_TRUST_ID',
  'OS_UNSCOPED',
  'OS_USERID',
  'OS_USERNAME',
  'OS_USER_DOMAIN_ID',
  'OS_USER_DOMAIN_NAME',
  'OS_USER_ID',
  'OS_USER_NAME',
  'OS_VERIFY',
];

/** Variables whose value a person may have chosen: its hash would let the value be guessed offline. */
export const SECRET_VARIABLES: readonly string[] = [
  'OS_APPLICATION_CREDENTIAL_SECRET',
  'OS_AUTHORIZATION_CODE',
  'OS_CLIENT_SECRET',
  'OS_CODE',
  'OS_PASSCODE',
  'OS_PASSWORD',
];

/** Flags whose value is as secret as that of {@link SECRET_VARIABLES}. */
export const SECRET_FLAGS: readonly string[] = ['--application-credential-secret', '--passcode', '--password'];

/** Variables that steer where files are looked for. */
export const FOLDER_VARIABLES: readonly string[] = [
  'HOME',
  'LOCALAPPDATA',
  'USERPROFILE',
  'XDG_CACHE_HOME',
  'XDG_CONFIG_HOME',
];
