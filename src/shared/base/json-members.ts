/** Reads members of untrusted JSON objects whose type must be right. */
import { isJsonObject } from './json.ts';
import type { JsonObject } from './json.ts';

/** Whether a parsed value is a list of strings. */
export function isTextList(value: unknown): value is readonly string[] {
  return Array.isArray(value) && value.every((item) => typeof item === 'string');
}

/** The member `name`, or undefined if it is absent or null, which Go treats alike. */
export function memberAt(value: JsonObject, name: string): unknown {
  return Object.hasOwn(value, name) ? (value[name] ?? undefined) : undefined;
}

/** Readers of one type each; undefined for a member that is absent or null, an error for one of another type. */
export interface MemberReader {
  readonly text: (value: JsonObject, name: string) => string | undefined;
  readonly textList: (value: JsonObject, name: string) => readonly string[] | undefined;
  readonly object: (value: JsonObject, name: string) => JsonObject | undefined;
}

const isText = (value: unknown): value is string => typeof value === 'string';

/**
 * Makes readers that throw an error of the caller's kind.
 *
 * @param makeError takes the name of the member and what it must be, such as `a string`
 */
export function makeMemberReader(makeError: (name: string, expected: string) => Error): MemberReader {
  const makeReader =
    <T>(isExpected: (member: unknown) => member is T, expected: string) =>
    (value: JsonObject, name: string): T | undefined => {
      const member = memberAt(value, name);
      if (member === undefined || isExpected(member)) return member;
      throw makeError(name, expected);
    };
  return {
    text: makeReader(isText, 'a string'),
    textList: makeReader(isTextList, 'a list of strings'),
    object: makeReader(isJsonObject, 'an object'),
  };
}
