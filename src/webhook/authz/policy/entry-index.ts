/**
 * Finds the entry that allows a request without asking each one. Most entries of a large policy are for some projects
 * and for some namespaces, so an index by both leaves out nearly all of them.
 */
import type { AccessRequest } from '../../review/access-request.ts';
import type { Subject } from './subject.ts';

/** What a request must have so that an entry can allow it; undefined is everything. */
export interface Scope {
  readonly projects: ReadonlySet<string> | undefined;
  readonly namespaces: ReadonlySet<string> | undefined;
}

export interface IndexedEntry {
  /** Counted from 1. */
  readonly number: number;
  readonly allows: (subject: Subject, request: AccessRequest) => boolean;
  /** By the kind of request; undefined if it allows none of this kind. */
  readonly scopes: Readonly<Record<AccessRequest['kind'], Scope | undefined>>;
}

/** An entry that names more namespaces counts as one for all of them, so that the index stays small. */
const MAX_NAMESPACES = 16;

/** Values by names, and those that are for every name. */
interface Groups<T> {
  readonly named: Map<string, T>;
  readonly forAll: T;
}

/** Entries by namespace, each list in the order of the policy. */
type EntriesByNamespace<Entry> = Groups<Entry[]>;

const makeGroups = <T>(forAll: T): Groups<T> => ({ named: new Map(), forAll });

/** The values to which something with these names belongs. */
function groupsOf<T>({ named, forAll }: Groups<T>, names: ReadonlySet<string> | undefined, make: () => T): T[] {
  if (names === undefined) return [forAll];
  return Array.from(names, (name) => {
    const group = named.get(name) ?? make();
    named.set(name, group);
    return group;
  });
}

/** Entries for one kind of request. */
class KindIndex<Entry extends IndexedEntry> {
  readonly #projects: Groups<EntriesByNamespace<Entry>>;

  constructor(entries: readonly Entry[], kind: AccessRequest['kind']) {
    const makeList = (): Entry[] => [];
    const makeProject = (): EntriesByNamespace<Entry> => makeGroups(makeList());
    this.#projects = makeGroups(makeProject());
    for (const entry of entries) {
      const scope = entry.scopes[kind];
      if (scope === undefined) continue;
      const isShort = scope.namespaces !== undefined && scope.namespaces.size <= MAX_NAMESPACES;
      const namespaces = isShort ? scope.namespaces : undefined;
      for (const project of groupsOf(this.#projects, scope.projects, makeProject)) {
        for (const list of groupsOf(project, namespaces, makeList)) list.push(entry);
      }
    }
  }

  /** The first entry of the policy that allows the request. */
  find(subject: Subject, request: AccessRequest, namespace: string): Entry | undefined {
    let first: Entry | undefined;
    const search = (list: readonly Entry[] | undefined): void => {
      if (list === undefined) return;
      for (const entry of list) {
        if (first !== undefined && entry.number >= first.number) return;
        if (entry.allows(subject, request)) {
          first = entry;
          return;
        }
      }
    };
    const searchProject = (project: EntriesByNamespace<Entry> | undefined): void => {
      search(project?.named.get(namespace));
      search(project?.forAll);
    };
    for (const project of subject.projects) searchProject(this.#projects.named.get(project));
    searchProject(this.#projects.forAll);
    return first;
  }
}

/** Makes the function that finds the first entry that allows a request. */
export function indexEntries<Entry extends IndexedEntry>(
  entries: readonly Entry[],
): (subject: Subject, request: AccessRequest) => Entry | undefined {
  const resources = new KindIndex(entries, 'resource');
  const paths = new KindIndex(entries, 'path');
  return (subject, request) =>
    request.kind === 'resource'
      ? resources.find(subject, request, request.namespace)
      : paths.find(subject, request, '');
}
