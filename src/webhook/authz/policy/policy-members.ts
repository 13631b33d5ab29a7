/** Looking into a policy without trusting it: what has a wrong type makes the whole policy void. */
import { isJsonObject } from '../../../shared/base/json.ts';
import type { JsonObject } from '../../../shared/base/json.ts';

/** The text is no policy. */
export class InvalidPolicyError extends Error {}

/** The member, or undefined where it is absent or null, as Go takes it. */
export function readMember(value: JsonObject, name: string): unknown {
  return Object.hasOwn(value, name) ? (value[name] ?? undefined) : undefined;
}

/**
 * The member if it is an object.
 *
 * @throws BadPolicy where it is anything else
 */
export function readObjectMember(value: JsonObject, name: string): JsonObject | undefined {
  const member = readMember(value, name);
  if (member === undefined || isJsonObject(member)) return member;
  throw new InvalidPolicyError(`"${name}" must be an object`);
}

/**
 * The member if it is a string.
 *
 * @throws BadPolicy where it is anything else
 */
export function readTextMember(value: JsonObject, name: string): string | undefined {
  const member = readMember(value, name);
  if (member === undefined || typeof member === 'string') return member;
  throw new InvalidPolicyError(`"${name}" must be a string`);
}

/**
 * The member if it is a list of strings.
 *
 * @throws BadPolicy where it is anything else
 */
export function readTextListMember(value: JsonObject, name: string): readonly string[] | undefined {
  const member = readMember(value, name);
  if (member === undefined) return undefined;
  if (Array.isArray(member) && member.every((one) => typeof one === 'string')) return member;
  throw new InvalidPolicyError(`"${name}" must be a list of strings`);
}
