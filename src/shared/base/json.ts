/** A JSON object whose members are not yet known. */
export type JsonObject = Readonly<Record<string, unknown>>;

/** Whether a parsed value is a JSON object (neither null nor a list). */
export function isJsonObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Parses text that should be a JSON object; undefined when it is anything else. */
export function parseJsonObject(text: string): JsonObject | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return isJsonObject(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

/** The member `name` if it is an object that `value` owns, else undefined. */
export function objectAt(value: JsonObject | undefined, name: string): JsonObject | undefined {
  const member = value !== undefined && Object.hasOwn(value, name) ? value[name] : undefined;
  return isJsonObject(member) ? member : undefined;
}

/** The member `name` if it is a string that `value` owns, else undefined. */
export function textAt(value: JsonObject | undefined, name: string): string | undefined {
  const member = value !== undefined && Object.hasOwn(value, name) ? value[name] : undefined;
  return typeof member === 'string' ? member : undefined;
}

/** The member `name` if it is a finite number that `value` owns, else undefined. */
export function numberAt(value: JsonObject | undefined, name: string): number | undefined {
  const member = value !== undefined && Object.hasOwn(value, name) ? value[name] : undefined;
  return typeof member === 'number' && Number.isFinite(member) ? member : undefined;
}

/** The member `name` if it is a list that `value` owns, else an empty list. */
export function listAt(value: JsonObject | undefined, name: string): readonly unknown[] {
  const member = value !== undefined && Object.hasOwn(value, name) ? value[name] : undefined;
  return Array.isArray(member) ? member : [];
}
