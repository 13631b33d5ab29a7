/** What every kind of package says of this program, and where it expects to find what is published. */
import { execFileSync } from 'node:child_process';

export const PROGRAM_NAME = 'client-keystone-auth';

/** The cluster's side, a program of its own. */
export const WEBHOOK_PROGRAM_NAME = 'k8s-keystone-auth';

/** kubectl's spelling of `kubectl keystone-auth`. */
export const KUBECTL_PLUGIN_NAME = 'kubectl-keystone_auth';

export const SUMMARY = 'log in to Kubernetes with OpenStack Keystone';

export const DESCRIPTION =
  'A credential plugin for kubectl: it exchanges an openrc, flags or answers for a Keystone token, keeps the token while it lives, and hands it to kubectl.';

/** A placeholder, which no resolver will ever find (RFC 2606, section 2): nothing is published yet. */
const PLACEHOLDER = 'https://set-base-url-when-packaging.invalid/client-keystone-auth';

/** A version that is made: its number, and the URL of a folder that will hold what is in `out/`, as it is there. */
export interface Release {
  readonly version: string;
  readonly baseUrl: string;
}

/** @throws where the URL is none that a package manager should load a program from */
export function makeRelease(version: string, baseUrl: string | undefined): Release {
  const url = new URL(baseUrl ?? `${PLACEHOLDER}/v${version}`);
  if (url.protocol !== 'https:' || url.search !== '' || url.hash !== '' || url.username !== '') {
    throw new Error('--base-url must be an https:// URL of a folder');
  }
  // It is put between quotes in five languages.
  if (!/^[\w.~:/%+-]+$/.test(url.href)) throw new Error('--base-url holds characters that would need quoting');
  return { version, baseUrl: url.href.replace(/\/+$/, '') };
}

const UNSET_URL = "default_url=''";

/**
 * Writes the URL of a release into packaging/install.sh, the script for `curl … | sh`.
 *
 * @throws Error when the script has no place for the URL
 */
export function renderInstaller(script: string, { baseUrl }: Release): string {
  if (script.split(UNSET_URL).length !== 2) throw new Error(`packaging/install.sh must contain ${UNSET_URL} once`);
  return script.replace(UNSET_URL, `default_url='${baseUrl}'`);
}

/** Seconds since 1970 that files of a package carry: those of the commit, or what the builder says. */
export function findSourceDate(): string {
  const set = process.env['SOURCE_DATE_EPOCH'];
  if (set !== undefined && /^\d+$/.test(set)) return set;
  return execFileSync('git', ['log', '-1', '--format=%ct'], { encoding: 'utf8' }).trim();
}
