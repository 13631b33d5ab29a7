/** Names and texts that all packages share, and the release that they belong to. */
import { execFileSync } from 'node:child_process';

export const PROGRAM_NAME = 'client-keystone-auth';

/** The webhook. */
export const WEBHOOK_PROGRAM_NAME = 'k8s-keystone-auth';

/** The file name that kubectl looks for when it runs `kubectl keystone-auth`. */
export const KUBECTL_PLUGIN_NAME = 'kubectl-keystone_auth';

export const SUMMARY = 'log in to Kubernetes with OpenStack Keystone';

export const DESCRIPTION =
  'A credential plugin for kubectl. It logs in to Keystone with an openrc, flags or prompts, caches the token, and returns it to kubectl.';

/** A placeholder for builds that are not published. Names below `.invalid` never resolve (RFC 2606, section 2). */
const PLACEHOLDER = 'https://set-base-url-when-packaging.invalid/client-keystone-auth';

/** A version, and the URL of a folder that will contain a copy of `out/release/`. */
export interface Release {
  readonly version: string;
  readonly baseUrl: string;
}

/**
 * Makes a release.
 *
 * @param baseUrl the value of `--base-url`
 * @throws Error when package managers must not load a program from this URL
 */
export function makeRelease(version: string, baseUrl: string | undefined): Release {
  const url = new URL(baseUrl ?? `${PLACEHOLDER}/v${version}`);
  if (url.protocol !== 'https:' || url.search !== '' || url.hash !== '' || url.username !== '') {
    throw new Error('--base-url must be an https:// URL of a folder');
  }
  // The manifests quote it in five languages.
  if (!/^[\w.~:/%+-]+$/.test(url.href)) throw new Error('--base-url contains characters that would need quoting');
  return { version, baseUrl: url.href.replace(/\/+$/, '') };
}

/** Matches the one place of an installer for the URL, in the language of a shell or of PowerShell. */
const UNSET_URL = /^(default_url=|\$DefaultUrl = )''$/m;

/**
 * Writes the URL of a release into an installer in `packaging/`.
 *
 * @throws Error when the script has no place for the URL
 */
export function renderInstaller(name: string, script: string, { baseUrl }: Release): string {
  if (script.split(UNSET_URL).length !== 3) throw new Error(`packaging/${name} must have an empty default URL once`);
  return script.replace(UNSET_URL, (_, before: string) => `${before}'${baseUrl}'`);
}

/** Returns the time of the files in packages, in seconds since 1970: SOURCE_DATE_EPOCH, or the time of the commit. */
export function findSourceDate(): string {
  const configured = process.env['SOURCE_DATE_EPOCH'];
  if (configured !== undefined && /^\d+$/.test(configured)) return configured;
  return execFileSync('git', ['log', '-1', '--format=%ct'], { encoding: 'utf8' }).trim();
}
