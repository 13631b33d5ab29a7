/** The tokens that the plugin has cached for somebody: Keystone's, and the JWTs of a token exchange. */
import { readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { readRecordFile, writeRecordFile } from '../../src/plugin/cache/file-store.ts';
import type { Home } from './home.ts';

/** Who has a cache folder. */
export interface CacheOwner {
  readonly home: Home;
}

export interface CachedTokens {
  readonly jwts: readonly string[];
  readonly keystoneTokens: readonly string[];
}

const folderOf = ({ home }: CacheOwner): { path: string; uid: number | undefined } => ({
  path: home.cache,
  uid: process.geteuid?.(),
});

const listKeys = ({ home }: CacheOwner): string[] =>
  readdirSync(home.cache).flatMap((name) => /^(.+)\.token$/.exec(name)?.[1] ?? []);

const isJwt = (token: string): boolean => token.startsWith('eyJ');

/** Reads the tokens. */
export function readTokens(owner: CacheOwner): CachedTokens {
  const tokens = listKeys(owner).flatMap((key) => readRecordFile(folderOf(owner), key)?.token ?? []);
  return { jwts: tokens.filter(isJwt), keystoneTokens: tokens.filter((token) => !isJwt(token)) };
}

/** Removes the JWTs, so that the next run exchanges. */
export function removeJwts(owner: CacheOwner): void {
  for (const key of listKeys(owner)) {
    const record = readRecordFile(folderOf(owner), key);
    if (record !== undefined && isJwt(record.token)) rmSync(join(owner.home.cache, `${key}.token`), { force: true });
  }
}

/** Changes the JWTs as if they had been issued so much earlier that they live only for this time. */
export function ageJwts(owner: CacheOwner, leftMs: number): void {
  for (const key of listKeys(owner)) {
    const record = readRecordFile(folderOf(owner), key);
    if (record === undefined || !isJwt(record.token)) continue;
    const { receivedAt, expiresAt } = record;
    const ms = expiresAt - Date.now() - leftMs;
    writeRecordFile(folderOf(owner), key, { ...record, receivedAt: receivedAt - ms, expiresAt: expiresAt - ms });
  }
}

/** Reads the ID of the key that has signed a JWT. */
export const readKeyId = (token: string): string =>
  (JSON.parse(Buffer.from(token.split('.')[0] ?? '', 'base64url').toString()) as { kid: string }).kid;
