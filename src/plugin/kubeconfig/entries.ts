/** Reads and changes the named entries of a kubeconfig's data. Every function returns new data. */
import { isJsonObject, listAt, objectAt } from '../../shared/base/json.ts';
import type { JsonObject } from '../../shared/base/json.ts';
import { SECTIONS } from './document.ts';
import type { EntryKind } from './document.ts';

/** The first entry of each name, by list: a large kubeconfig is searched for each of its contexts. */
const indexes = new WeakMap<readonly unknown[], ReadonlyMap<string, JsonObject>>();

function indexEntries(list: readonly unknown[]): ReadonlyMap<string, JsonObject> {
  const known = indexes.get(list);
  if (known !== undefined) return known;
  const entries = list.flatMap((entry) =>
    isJsonObject(entry) && typeof entry['name'] === 'string' ? [[entry['name'], entry] as const] : [],
  );
  const index = new Map(entries.toReversed());
  indexes.set(list, index);
  return index;
}

const hasName =
  (name: string) =>
  (entry: unknown): boolean =>
    isJsonObject(entry) && entry['name'] === name;

/** Lists the names of all entries of a kind. */
export function listEntryNames(data: JsonObject, kind: EntryKind): string[] {
  return listAt(data, SECTIONS[kind]).flatMap((entry) => {
    const name = isJsonObject(entry) ? entry['name'] : undefined;
    return typeof name === 'string' ? [name] : [];
  });
}

/** Returns the content of an entry: an empty object if it has none, undefined if the entry does not exist. */
export function getEntry(data: JsonObject, kind: EntryKind, name: string): JsonObject | undefined {
  const entry = indexEntries(listAt(data, SECTIONS[kind])).get(name);
  return entry === undefined ? undefined : (objectAt(entry, kind) ?? {});
}

/** Returns the kubeconfig with this entry added or replaced. */
export function withEntry(data: JsonObject, kind: EntryKind, name: string, value: JsonObject): JsonObject {
  const section = SECTIONS[kind];
  const list = listAt(data, section);
  const entries = list.some(hasName(name))
    ? list.map((entry) => (hasName(name)(entry) && isJsonObject(entry) ? { ...entry, [kind]: value } : entry))
    : [...list, { name, [kind]: value }];
  return { ...withHeader(data), [section]: entries };
}

/** Returns the kubeconfig without this entry. */
export function withoutEntry(data: JsonObject, kind: EntryKind, name: string): JsonObject {
  const section = SECTIONS[kind];
  return { ...data, [section]: listAt(data, section).filter((entry) => !hasName(name)(entry)) };
}

/** Returns the kubeconfig with this current context; an empty name means none. */
export function withCurrentContext(data: JsonObject, name: string): JsonObject {
  return { ...withHeader(data), 'current-context': name };
}

/** Every kubeconfig starts with its version and kind; an empty file does not have them yet. */
function withHeader(data: JsonObject): JsonObject {
  return Object.keys(data).length === 0 ? { apiVersion: 'v1', kind: 'Config' } : data;
}
