import { areFilesUnchanged } from '../../shared/base/file-stamp.ts';
import { readAliasFile, readRecordFile } from '../cache/file-store.ts';
import { resolveCacheFolder, checkCacheFolder } from '../cache/cache-folder.ts';
import { markHandedOut } from '../cache/handed-out-tokens.ts';
import { isFresh } from '../cache/token-record.ts';
import { API_VERSIONS, parseExecInfo, renderExecCredential } from '../exec/exec-credential.ts';
import { EXEC_INFO } from '../../shared/base/host.ts';
import type { Host } from '../../shared/base/host.ts';
import type { TerminalText } from '../../shared/base/terminal-text.ts';
import { computeFingerprint } from './fingerprint.ts';

/**
 * Finds the ExecCredential of a cache hit: the inputs are the same as before and the token is still fresh. Everything
 * else, including an error here, is a cache miss; the slow path then repeats the work with all checks and reports
 * errors.
 */
export function findCachedCredential(host: Host): TerminalText | undefined {
  try {
    const folder = resolveCacheFolder(host);
    if (folder === undefined) return undefined;
    const info = parseExecInfo(host.env[EXEC_INFO]);
    // A person who would see the token is told what it is.
    if (info === undefined && host.stdoutIsDevice()) return undefined;
    const fingerprint = computeFingerprint(host, info?.clusterJson ?? '');
    const alias = fingerprint === undefined ? undefined : readAliasFile(folder, fingerprint);
    if (alias === undefined || !areFilesUnchanged(alias.files)) return undefined;
    const record = readRecordFile(folder, alias.key);
    const now = host.now();
    if (record === undefined || !isFresh(record, now)) return undefined;
    checkCacheFolder(folder);
    // kubectl runs the plugin again if the cluster rejected the token. A shell that does so has no such reason.
    const parent = info === undefined ? undefined : host.identifyParent()?.id;
    if (parent !== undefined && markHandedOut({ folder, parent, now }, record.token) === 'token') return undefined;
    return renderExecCredential(
      alias.apiVersion ?? info?.apiVersion ?? API_VERSIONS[0],
      record.token,
      record.expiresAt,
    );
  } catch {
    return undefined;
  }
}
