/** The first problem of a cache. The user is told of it once, also if one kubectl command runs the plugin several times. */
import type { CacheError } from '../../shared/base/errors.ts';
import type { Host } from '../../shared/base/host.ts';
import { FOLDER_HINT } from './cache-folder.ts';
import type { CacheFolder } from './cache-folder.ts';
import type { CallerProcesses } from './credential-tag.ts';
import type { NotePlaces } from './note-places.ts';
import { isWarned, markWarned } from './warned-commands.ts';

/** The failure of a part of the cache. */
export interface CacheProblem {
  readonly error: CacheError;
  /** Undefined if there is none. */
  readonly folder: CacheFolder | undefined;
  /** Whether another folder cannot help. */
  readonly isOfKeyring: boolean;
}

/** Describes a problem, what takes the place of its folder, and what the user can do. */
export function describeProblem({ error, isOfKeyring }: CacheProblem, substitute: CacheFolder | undefined): string {
  const hint = error.hint ?? (isOfKeyring ? undefined : FOLDER_HINT);
  const remedy = hint === undefined ? '' : `, unless you ${hint}`;
  const consequence =
    substitute === undefined || isOfKeyring ? 'the next run will log in again' : `${substitute.path} is used instead`;
  return `${error.message}; ${consequence}${remedy}`;
}

interface WarningContext {
  readonly notes: NotePlaces;
  readonly callers: CallerProcesses;
  readonly host: Host;
  readonly warn: (message: string) => void;
}

/** Makes a function that warns once, and once for all runs of a kubectl command. */
export function makeWarner({ notes, callers, host, warn }: WarningContext): (message: string) => void {
  const command = callers.isForKubectl ? callers.parent?.id : undefined;
  let hasWarned = false;
  return (message) => {
    if (hasWarned) return;
    hasWarned = true;
    if (command !== undefined) {
      if (notes.search((folder) => isWarned(folder, command) || undefined) === true) return;
      notes.write((folder) => {
        markWarned(folder, command, host.now());
      });
    }
    warn(message);
  };
}
