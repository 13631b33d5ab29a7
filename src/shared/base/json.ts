/** A JSON object with members that are not checked yet. */
export type JsonObject = Readonly<Record<string, unknown>>;

/** Whether a parsed value is a JSON object (neither null nor a list). */
export function isJsonObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Parses text that should be a JSON object; undefined if it is anything else. */
export function parseJsonObject(text: string): JsonObject | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return isJsonObject(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

/** Ignores what a value inherits, such as `constructor`. */
function memberOf(value: JsonObject | undefined, name: string): unknown {
  return value !== undefined && Object.hasOwn(value, name) ? value[name] : undefined;
}

/** The member `name` if it is an object of `value` itself, else undefined. */
export function objectAt(value: JsonObject | undefined, name: string): JsonObject | undefined {
  const member = memberOf(value, name);
  return isJsonObject(member) ? member : undefined;
}

/** The member `name` if it is a string of `value` itself, else undefined. */
export function textAt(value: JsonObject | undefined, name: string): string | undefined {
  const member = memberOf(value, name);
  return typeof member === 'string' ? member : undefined;
}

/** The member `name` if it is a finite number of `value` itself, else undefined. */
export function numberAt(value: JsonObject | undefined, name: string): number | undefined {
  const member = memberOf(value, name);
  return typeof member === 'number' && Number.isFinite(member) ? member : undefined;
}

/** The member `name` if it is a list of `value` itself, else an empty list. */
export function listAt(value: JsonObject | undefined, name: string): readonly unknown[] {
  const member = memberOf(value, name);
  return Array.isArray(member) ? member : [];
}
