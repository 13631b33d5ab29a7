import type { OptionName } from '../../config/option.ts';
import { X509Certificate } from 'node:crypto';
import { statSync } from 'node:fs';
import { resolveCacheFolder, checkCacheFolder } from '../../cache/cache-folder.ts';
import { openTokenStore } from '../../cache/open-token-store.ts';
import { findCloudFile } from '../../config/cloud-files.ts';
import type { CloudFile, CloudFileName } from '../../config/cloud-files.ts';
import type { YamlValue } from '../../../shared/options/yaml.ts';
import { CacheError } from '../../../shared/base/errors.ts';
import type { LoginContext } from '../../login/login-context.ts';
import { readCacheStorage } from '../../login/open-login-context.ts';
import { OPTIONS } from '../../auth-methods/registry.ts';
import { warn, pass } from './check-runner.ts';
import type { CheckOutcome } from './check-runner.ts';

const SECRET_KEYS: ReadonlySet<string> = new Set(
  OPTIONS.filter(({ secret }) => secret).map(({ name }) => name.replaceAll('-', '_')),
);

const OTHERS_READ = 0o044;

function holdsSecret(value: YamlValue): boolean {
  if (value === null || typeof value === 'string') return false;
  if (!(value instanceof Map)) return (value as readonly YamlValue[]).some(holdsSecret);
  const entries = [...(value as ReadonlyMap<string, YamlValue>)];
  return entries.some(([key, inner]) => SECRET_KEYS.has(key.replaceAll('-', '_')) || holdsSecret(inner));
}

const NAMING: Readonly<Record<Exclude<CloudFileName, 'clouds-public'>, OptionName>> = {
  clouds: 'client-config-file',
  secure: 'client-secure-file',
};

async function findFiles({ config, host }: LoginContext): Promise<CloudFile[]> {
  const searches = await Promise.all(
    (['clouds', 'secure'] as const).map((name) => findCloudFile(name, config.setting(NAMING[name]), host)),
  );
  return searches.flatMap(({ file }) => file ?? []);
}

function isOpenKey(path: string | undefined, uid: number | undefined): boolean {
  if (path === undefined || uid === undefined) return false;
  const stats = statSync(path, { throwIfNoEntry: false });
  return stats !== undefined && (stats.mode & OTHERS_READ) !== 0;
}

/** Whether files with secrets in them can be read by others. */
export async function checkSecretFiles(login: LoginContext): Promise<CheckOutcome<never>> {
  const files = await findFiles(login);
  const { key } = login.tls.paths;
  const open = [
    ...files
      .filter(({ isReadableByOthers, content }) => isReadableByOthers && holdsSecret(content))
      .map(({ path }) => path),
    ...(key !== undefined && isOpenKey(key, login.host.uid) ? [key] : []),
  ];
  if (open.length > 0) {
    return warn(`${open.join(', ')} can be read by others`, `run "chmod 600 ${open.join(' ')}"`);
  }
  const read = [...files.map(({ path }) => path), ...(key === undefined ? [] : [key])];
  return pass(read.length === 0 ? 'none is used' : `${read.join(', ')}: secrets are not open to others`);
}

const CERTIFICATE = /-----BEGIN CERTIFICATE-----[\s\S]+?-----END CERTIFICATE-----/g;
const OTHERS_WRITE = 0o022;

/** The authorities that Keystone's certificate may be from. */
export function checkAuthorities({ tls, config, host }: LoginContext): CheckOutcome<never> {
  const { ca } = tls.paths;
  if (ca === undefined) return pass('those of this system');
  const dates = (tls.ca?.match(CERTIFICATE) ?? []).map((pem) => Date.parse(new X509Certificate(pem).validTo));
  const over = dates.filter((date) => date < host.now()).length;
  const found = `${ca} (${config.origin('cacert')}), certificates in it: ${dates.length}`;
  if (over > 0) return warn(`${found}, ${over} of which have ended`, "get a new file from Keystone's operator");
  const mode = statSync(ca, { throwIfNoEntry: false })?.mode ?? 0;
  if (host.uid !== undefined && (mode & OTHERS_WRITE) !== 0) {
    return warn(`${found}; others may change the file`, `run "chmod go-w ${ca}"`);
  }
  return pass(found);
}

/** Whether tokens can be kept safely. */
export function checkCache({ config, host }: LoginContext): CheckOutcome<never> {
  if (readCacheStorage(config) === 'none') return pass('nothing is kept, as --cache-storage=none wants');
  const folder = resolveCacheFolder(host);
  const fix = 'set CLIENT_KEYSTONE_AUTH_CACHE_DIR (--cache-dir) to a folder that only you can open';
  if (folder === undefined) return warn('there is no home folder to keep tokens in', fix);
  try {
    checkCacheFolder(folder);
  } catch (error) {
    if (error instanceof CacheError) return warn(error.message, fix);
    throw error;
  }
  return pass(`${folder.path} is closed to others`);
}

/** Whether the keyring answers. */
export async function checkKeyring({ config, host, cacheKey }: LoginContext): Promise<CheckOutcome<never>> {
  try {
    const store = await openTokenStore(readCacheStorage(config), resolveCacheFolder(host), host);
    await store?.read(cacheKey);
  } catch (error) {
    if (!(error instanceof CacheError)) throw error;
    return warn(error.message, 'unlock the keyring, or set CLIENT_KEYSTONE_AUTH_CACHE_STORAGE=file');
  }
  return pass('it answers');
}
