import type { Subject } from './subject.ts';

/** The requests of one kind that an entry allows. */
export interface Permissions<T> {
  readonly allows: (request: T) => boolean;
  /** The namespaces of all requests that it can allow; undefined if these are not a few names. */
  readonly namespaces?: ReadonlySet<string> | undefined;
}

/** The subjects that an entry is for. */
export interface Audience {
  readonly includes: (subject: Subject) => boolean;
  /** One of which each of them has; undefined if it includes users of every project. */
  readonly projects?: ReadonlySet<string> | undefined;
}
