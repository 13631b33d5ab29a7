/** `login --web`: the login with a browser that the cloud has. */
import { chooseMethod } from '../../auth-methods/choose-method.ts';
import { METHODS } from '../../auth-methods/registry.ts';
import type { ResolvedConfig } from '../../config/resolve-config.ts';
import { withHttp } from '../../login/http-context.ts';
import type { LoginContext } from '../../login/login-context.ts';
import { UsageError } from '../../../shared/base/errors.ts';
import { readAuthUrl } from '../../../shared/keystone/auth-url.ts';
import { listOfferedVersions } from '../../../shared/keystone/discovery.ts';

const AT_KEYSTONE = 'v3websso';
const AT_PROVIDER = 'v3oidcauthcode';
const AT_RUST_KEYSTONE = 'v4federation';

/** Methods that take the user to a browser on this machine. */
const BROWSER_METHODS: readonly string[] = METHODS.map(({ name }) => name).filter((name) =>
  [AT_KEYSTONE, AT_PROVIDER, AT_RUST_KEYSTONE].includes(name),
);

/**
 * Returns the method that the settings decide: the one that is named, or the login at the provider that they describe.
 *
 * @throws UsageError if another method is named
 */
export function findConfiguredBrowserMethod(config: ResolvedConfig): string | undefined {
  if (config.has('auth-type')) {
    const { name } = chooseMethod(config).method;
    if (BROWSER_METHODS.includes(name)) return name;
    throw new UsageError(`--web and ${config.origin('auth-type')}=${name} exclude each other`, {
      hint: `remove one of them; the methods with a browser are ${BROWSER_METHODS.join(', ')}`,
    });
  }
  const isClient =
    config.has('client-id') && (config.has('discovery-endpoint') || config.has('authorization-endpoint'));
  return isClient ? AT_PROVIDER : undefined;
}

/**
 * Asks Keystone which login with a browser it has: only Rust Keystone offers version 4 of the API, which is its own.
 *
 * @throws KeystoneUnreachable
 */
export async function askForBrowserMethod(login: LoginContext): Promise<string> {
  const url = readAuthUrl(login.config) ?? '';
  const versions = await withHttp(login, login.deadlineMs, (http) => listOfferedVersions(http, url));
  return versions.some((id) => id.startsWith('v4')) ? AT_RUST_KEYSTONE : AT_KEYSTONE;
}
