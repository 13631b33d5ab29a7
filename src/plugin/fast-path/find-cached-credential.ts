import { isFileUnchanged } from '../../shared/base/file-stamp.ts';
import { readAliasFile, readRecordFile } from '../cache/file-store.ts';
import { resolveCacheFolder, checkCacheFolder } from '../cache/cache-folder.ts';
import { markHandedOut } from '../cache/handed-out-tokens.ts';
import { isFresh } from '../cache/token-record.ts';
import { API_VERSIONS, parseExecInfo, renderExecCredential } from '../exec/exec-credential.ts';
import type { Host } from '../../shared/base/host.ts';
import { computeFingerprint } from './fingerprint.ts';

/**
 * The way of nearly every run: the same inputs as before and a token that still lives. Anything else, and anything
 * that goes wrong here, is a miss: the slow path does it again with all its checks and says what is the matter.
 */
export function findCachedCredential(host: Host): string | undefined {
  try {
    const { uid } = host;
    const path = resolveCacheFolder(host);
    if (path === undefined) return undefined;
    const info = parseExecInfo(host.env['KUBERNETES_EXEC_INFO']);
    const alias = readAliasFile({ path, uid }, computeFingerprint(host, info?.clusterJson ?? ''));
    if (alias?.files.every(isFileUnchanged) !== true) return undefined;
    const record = readRecordFile({ path, uid }, alias.key);
    const now = host.now();
    if (record === undefined || !isFresh(record, now)) return undefined;
    checkCacheFolder(path, uid);
    // Only kubectl asks again because of a refused token; a shell that asks again is just a shell.
    const parent = info === undefined ? undefined : host.identifyParent()?.id;
    if (parent !== undefined && markHandedOut({ folder: path, uid, parent, now }, record.token) === 'token')
      return undefined;
    return renderExecCredential(
      alias.apiVersion ?? info?.apiVersion ?? API_VERSIONS[0],
      record.token,
      record.expiresAt,
    );
  } catch {
    return undefined;
  }
}
