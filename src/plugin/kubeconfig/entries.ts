/** What a kubeconfig says, as data: the things with names in its three lists. Nothing here changes what it is given. */
import { isJsonObject, listAt, objectAt } from '../../shared/base/json.ts';
import type { JsonObject } from '../../shared/base/json.ts';
import { SECTIONS } from './document.ts';
import type { EntryKind } from './document.ts';

const isNamed =
  (name: string) =>
  (entry: unknown): boolean =>
    isJsonObject(entry) && entry['name'] === name;

/** The names in a list. */
export function listEntryNames(data: JsonObject, kind: EntryKind): string[] {
  return listAt(data, SECTIONS[kind]).flatMap((entry) => {
    const name = isJsonObject(entry) ? entry['name'] : undefined;
    return typeof name === 'string' ? [name] : [];
  });
}

/** What an entry holds; an empty object where it holds nothing, undefined where there is no such entry. */
export function getEntry(data: JsonObject, kind: EntryKind, name: string): JsonObject | undefined {
  const entry = listAt(data, SECTIONS[kind]).find(isNamed(name));
  return isJsonObject(entry) ? (objectAt(entry, kind) ?? {}) : undefined;
}

/** The same kubeconfig with this entry. */
export function withEntry(data: JsonObject, kind: EntryKind, name: string, value: JsonObject): JsonObject {
  const section = SECTIONS[kind];
  const list = listAt(data, section);
  const entries = list.some(isNamed(name))
    ? list.map((entry) => (isNamed(name)(entry) && isJsonObject(entry) ? { ...entry, [kind]: value } : entry))
    : [...list, { name, [kind]: value }];
  return { ...startOf(data), [section]: entries };
}

/** The same kubeconfig without this entry. */
export function withoutEntry(data: JsonObject, kind: EntryKind, name: string): JsonObject {
  const section = SECTIONS[kind];
  return { ...data, [section]: listAt(data, section).filter((entry) => !isNamed(name)(entry)) };
}

/** The same kubeconfig with this current context; empty for none. */
export function withCurrentContext(data: JsonObject, name: string): JsonObject {
  return { ...startOf(data), 'current-context': name };
}

/** What every kubeconfig begins with, where there is nothing yet. */
function startOf(data: JsonObject): JsonObject {
  return Object.keys(data).length === 0 ? { apiVersion: 'v1', kind: 'Config' } : data;
}
