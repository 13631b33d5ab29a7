import type { OptionName } from '../../config/option.ts';
import { X509Certificate } from 'node:crypto';
import { FOLDER_HINT, resolveCacheFolder, checkCacheFolder } from '../../cache/cache-folder.ts';
import { openTokenStore } from '../../cache/open-token-store.ts';
import { findCloudFile } from '../../config/cloud-files.ts';
import type { CloudFile, CloudFileName } from '../../config/cloud-files.ts';
import type { YamlValue } from '../../../shared/options/yaml.ts';
import { describeAuthoritiesOrigin } from '../../../shared/http/tls-settings.ts';
import { readTrustedOrigins } from '../../../shared/http/trusted-origins.ts';
import { CacheError } from '../../../shared/base/errors.ts';
import { findStats } from '../../../shared/base/find-stats.ts';
import type { LoginContext } from '../../login/login-context.ts';
import { readCacheStorage } from '../../login/open-login-context.ts';
import { OPTIONS } from '../../auth-methods/registry.ts';
import { warn, pass } from './check-runner.ts';
import type { CheckOutcome } from './check-runner.ts';

const SECRET_KEYS: ReadonlySet<string> = new Set(
  OPTIONS.filter(({ secret }) => secret).map(({ name }) => name.replaceAll('-', '_')),
);

const READABLE_BY_OTHERS = 0o044;

function holdsSecret(value: YamlValue): boolean {
  if (value === null || typeof value === 'string') return false;
  if (!(value instanceof Map)) return (value as readonly YamlValue[]).some(holdsSecret);
  const entries = [...(value as ReadonlyMap<string, YamlValue>)];
  return entries.some(([key, inner]) => SECRET_KEYS.has(key.replaceAll('-', '_')) || holdsSecret(inner));
}

/** The option that names each file. */
const FILE_OPTIONS: Readonly<Record<Exclude<CloudFileName, 'clouds-public'>, OptionName>> = {
  clouds: 'client-config-file',
  secure: 'client-secure-file',
};

async function findCloudFiles({ config, host }: LoginContext): Promise<CloudFile[]> {
  const searches = await Promise.all(
    (['clouds', 'secure'] as const).map((name) => findCloudFile(name, config.setting(FILE_OPTIONS[name]), host)),
  );
  return searches.flatMap(({ file }) => file ?? []);
}

/** Whether other users can read a private key. Windows has no such permissions. */
function isReadableByOthers(path: string, uid: number | undefined): boolean {
  if (uid === undefined) return false;
  const stats = findStats(path);
  return stats !== undefined && (stats.mode & READABLE_BY_OTHERS) !== 0;
}

/** Checks that other users cannot read the files that hold secrets. */
export async function checkSecretFiles(login: LoginContext): Promise<CheckOutcome<never>> {
  const files = await findCloudFiles(login);
  const { key } = login.tls.paths;
  const exposed = [
    ...files.filter((file) => file.isReadableByOthers && holdsSecret(file.content)).map(({ path }) => path),
    ...(key !== undefined && isReadableByOthers(key, login.host.uid) ? [key] : []),
  ];
  if (exposed.length > 0) {
    return warn(`other users can read ${exposed.join(', ')}`, `run "chmod 600 ${exposed.join(' ')}"`);
  }
  const paths = [...files.map(({ path }) => path), ...(key === undefined ? [] : [key])];
  return pass(
    paths.length === 0 ? 'the settings name no such file' : `${paths.join(', ')}: other users cannot read the secrets`,
  );
}

const CERTIFICATE = /-----BEGIN CERTIFICATE-----[\s\S]+?-----END CERTIFICATE-----/g;
const WRITABLE_BY_OTHERS = 0o022;

/** Checks the certificate authorities for Keystone's certificate. */
export function checkAuthorities({ tls, config, host }: LoginContext): CheckOutcome<never> {
  const { ca } = tls.paths;
  const list = readTrustedOrigins(host)?.file;
  if (ca === undefined) {
    return pass(
      list === undefined ? 'the authorities of this system' : `the authorities of this system, as in ${list}`,
    );
  }
  const dates = (tls.ca?.match(CERTIFICATE) ?? []).map((pem) => Date.parse(new X509Certificate(pem).validTo));
  const expiredCount = dates.filter((date) => date < host.now()).length;
  const summary = `${ca} (${list ?? describeAuthoritiesOrigin(config, host.env)}), certificates in it: ${dates.length}`;
  if (expiredCount > 0) {
    return warn(`${summary}, ${expiredCount} of which have expired`, 'get a new file from the operator of Keystone');
  }
  const mode = findStats(ca)?.mode ?? 0;
  if (host.uid !== undefined && (mode & WRITABLE_BY_OTHERS) !== 0) {
    return warn(`${summary}; other users can change the file`, `run "chmod go-w ${ca}"`);
  }
  return pass(summary);
}

/** Checks that the cache folder is safe. */
export function checkCache({ config, host, cache: { problem, location } }: LoginContext): CheckOutcome<never> {
  if (readCacheStorage(config) === 'none') return pass('no token is stored, because of --cache-storage=none');
  const folder = resolveCacheFolder(host);
  if (problem !== undefined || folder === undefined) {
    const reason = problem?.message ?? 'there is no home folder to store tokens in';
    const summary = location === undefined ? reason : `${reason}; ${location} is used instead`;
    return warn(summary, problem?.hint ?? FOLDER_HINT);
  }
  const exists = checkCacheFolder(folder);
  return pass(exists ? `other users cannot access ${folder.path}` : `a login creates ${folder.path}`);
}

/** Checks that the keyring responds. */
export async function checkKeyring({ config, host, cacheKey, reporter }: LoginContext): Promise<CheckOutcome<never>> {
  try {
    const store = await openTokenStore(readCacheStorage(config), resolveCacheFolder(host), host, reporter.waitFor);
    await store?.read(cacheKey);
  } catch (error) {
    if (!(error instanceof CacheError)) throw error;
    return warn(error.message, 'unlock the keyring, or set CLIENT_KEYSTONE_AUTH_CACHE_STORAGE=file');
  }
  return pass('it responds');
}
