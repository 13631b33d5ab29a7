/**
 * The variables of the programs that the plugin starts, and who chooses them. kubectl adds the variables of a kubeconfig
 * to its own, and variables can name programs, libraries, files and sockets. So a program gets none but those listed
 * here, with the values that the person set (`Host.personalVariables`). docs/security-model.md has the same table.
 */
import { ConfigError } from '../../shared/base/errors.ts';
import type { Environment, Host } from '../../shared/base/host.ts';

/** Variables for a child process. */
type ChildEnvironment = Record<string, string>;

function pick(variables: Environment, isPicked: (name: string) => boolean): ChildEnvironment {
  return Object.fromEntries(
    Object.entries(variables).flatMap(([name, value]) =>
      value !== undefined && isPicked(name) ? [[name, value] as const] : [],
    ),
  );
}

/** The home folder in the system's accounts: what is below it is the person's own. */
function pickHome(host: Host): ChildEnvironment {
  const home = host.accountHome();
  return home === undefined || host.platform === 'win32' ? {} : { HOME: home };
}

/**
 * Variables that say which tickets and which realms there are. All of them name files, and the configuration of Kerberos
 * can name libraries to load. `KRB5_TRACE`, which names a file to write, and `GSS_MECH_CONFIG`, which names libraries,
 * are not among them.
 */
const KERBEROS_VARIABLES = ['KRB5CCNAME', 'KRB5_CONFIG', 'KRB5_CLIENT_KTNAME'];

/**
 * Makes the environment of curl and klist.
 *
 * @throws ConfigError if a kubeconfig sets one of {@link KERBEROS_VARIABLES}: without it, another user could log in
 */
export function makeKerberosEnvironment(host: Host): ChildEnvironment {
  const personal = host.personalVariables();
  const foreign = KERBEROS_VARIABLES.find((name) => (host.env[name] ?? '') !== (personal[name] ?? ''));
  if (foreign !== undefined) {
    throw new ConfigError(`${foreign} must not come from a kubeconfig, because it names a file for Kerberos`, {
      hint: `remove ${foreign} from "env" in the kubeconfig; set it in your shell, and log in without kubectl first`,
    });
  }
  return { ...pickHome(host), ...pick(personal, (name) => KERBEROS_VARIABLES.includes(name)), LC_ALL: 'C' };
}

/** Makes the environment of the keyring helper. */
export function makeKeyringEnvironment(
  host: Host,
  { bus, cacheFolder }: { readonly bus: string | undefined; readonly cacheFolder: string | undefined },
): ChildEnvironment {
  return {
    ...pickHome(host),
    ...(bus === undefined ? {} : { DBUS_SESSION_BUS_ADDRESS: bus }),
    // The helper of an executable writes its library there.
    ...(cacheFolder === undefined ? {} : { CLIENT_KEYSTONE_AUTH_CACHE_DIR: cacheFolder }),
  };
}

/** Variables that the browser does not get: the plugin's settings, and everything that looks like a secret. */
const WITHHELD_FROM_BROWSER = [
  /^(OS|CLIENT_KEYSTONE_AUTH|KUBERNETES)_|^NODE_OPTIONS$/i,
  /PASSWORD|PASSWD|SECRET|TOKEN|CREDENTIAL|API_?KEY|ACCESS_KEY/i,
];

/** Makes the environment of the browser: a desktop needs more variables than anybody can list. */
export function makeBrowserEnvironment(host: Host): ChildEnvironment {
  return {
    ...pickHome(host),
    ...pick(host.personalVariables(), (name) => !WITHHELD_FROM_BROWSER.some((pattern) => pattern.test(name))),
  };
}
