import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { removeQuietly } from './private-file.ts';

/** Files that carry the time of their end as their time of modification. */
const MORTAL = /\.(?:token|alias|refused|about)$/;
/** Leftovers of writers that were killed; their names begin with a dot. */
const TEMPORARY = /^\.[0-9a-f]+\./;
const TEMPORARY_LIFE_MS = 60_000;

/** More than this many living files are the work of a script in many folders; those that end first go first. */
const MOST_FILES = 256;

/** What only says whose a token is, and ends with it; no token must make way for it. */
const ABOUT = '.about';

interface Living {
  readonly path: string;
  /** ms since 1970, UTC. */
  readonly until: number;
}

/**
 * Removes what has lost its meaning. It reads no file, and what it cannot remove stays for the next time.
 *
 * @param now ms since 1970, UTC
 */
export function prune(folder: string, now: number): void {
  const living: Living[] = [];
  try {
    for (const name of readdirSync(folder)) {
      const path = join(folder, name);
      const temporary = TEMPORARY.test(name);
      if (!temporary && !MORTAL.test(name)) continue;
      const stats = statSync(path, { throwIfNoEntry: false });
      if (stats === undefined) continue;
      // A temporary file may carry a time in the future already.
      const until = temporary ? stats.ctimeMs + TEMPORARY_LIFE_MS : stats.mtimeMs;
      if (until < now) removeQuietly(path);
      else living.push({ path, until });
    }
  } catch {
    return;
  }
  living.sort((a, b) => b.until - a.until);
  const abouts = living.filter(({ path }) => path.endsWith(ABOUT));
  const others = living.filter(({ path }) => !path.endsWith(ABOUT));
  for (const { path } of [...abouts.slice(MOST_FILES), ...others.slice(MOST_FILES)]) removeQuietly(path);
}
