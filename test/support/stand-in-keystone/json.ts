/** Members of JSON objects in requests, which can contain anything. */

export type Json = Record<string, unknown>;

export function isObject(value: unknown): value is Json {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Returns the object, or an empty one for anything else. */
export function asObject(value: unknown): Json {
  return isObject(value) ? value : {};
}
