/** Makes the tokens of a cache folder old, without waiting for that. */
import { readdirSync, statSync, utimesSync } from 'node:fs';
import { join } from 'node:path';
import { readRecordFile, writeRecordFile } from '../../src/plugin/cache/file-store.ts';

const DAY_MS = 86_400_000;

/** Changes a cache folder as if all its tokens had been received, and had expired, a day earlier. */
export function expireTokens(path: string): void {
  const folder = { path, uid: process.geteuid?.() };
  for (const name of readdirSync(path)) {
    const key = /^(.+)\.token$/.exec(name)?.[1];
    const record = key === undefined ? undefined : readRecordFile(folder, key);
    if (key !== undefined && record !== undefined) {
      const { receivedAt, expiresAt } = record;
      writeRecordFile(folder, key, { ...record, receivedAt: receivedAt - DAY_MS, expiresAt: expiresAt - DAY_MS });
    } else if (!name.endsWith('.lock')) {
      // The modification time is the time of expiry.
      const expiresAt = new Date(statSync(join(path, name)).mtimeMs - DAY_MS);
      utimesSync(join(path, name), expiresAt, expiresAt);
    }
  }
}
