// How three versions of Rust Keystone differ, taken from exchanges with each of them (test/fixtures/rust-keystone).

import { formatLikeKeystone } from './stand-in-keystone/responses.ts';
import type { StandInResponse } from './stand-in-keystone/responses.ts';

/** The published 0.1.1 of March 2026, and two commits of 2026: a1f2ffd2 (June) and 34d5fb9d (August). */
export type RustKeystoneVersion = '0.1.1' | 'june' | 'august';

/** What differs. */
export interface RustKeystoneBehavior {
  /** The field of a pod's login that names the rule. */
  readonly ruleField: 'role_name' | 'rule_name';
  /** Rules of the mapping engine: the first that matches decides, and a token has no names. */
  readonly hasMappingEngine: boolean;
  /** The status of a new token of v3. */
  readonly issuedStatus: number;
  /** Makes the response to a body that cannot be read. */
  readonly refuseBody: (problem: string) => StandInResponse;
  /** What is wrong with `{"unscoped": {}}`. */
  readonly unscopedProblem: string;
  /** Whether `"unscoped"` is a scope. */
  readonly knowsUnscopedText: boolean;
  readonly statusOfV4: 'stable' | 'experimental';
  readonly formatExpiry: (expiry: Date) => string;
  /** Whether users may list their groups. */
  readonly listsOwnGroups: boolean;
}

const DESERIALIZATION = 'Failed to deserialize the JSON body into the target type: ';

function refuseWithJson(problem: string): StandInResponse {
  const headers = { 'content-type': 'application/json' };
  return { status: 400, headers, body: { error: { code: 400, message: DESERIALIZATION + problem } } };
}

function refuseWithText(problem: string): StandInResponse {
  return { status: 422, headers: { 'content-type': 'text/plain; charset=utf-8' }, body: DESERIALIZATION + problem };
}

const formatNanoseconds = (expiry: Date): string => expiry.toISOString().replace(/Z$/, '879197Z');

const JUNE: RustKeystoneBehavior = {
  ruleField: 'role_name',
  hasMappingEngine: false,
  issuedStatus: 200,
  refuseBody: refuseWithText,
  unscopedProblem: 'auth.scope.unscoped: invalid type: map, expected unit at line 1 column 148',
  knowsUnscopedText: true,
  statusOfV4: 'stable',
  formatExpiry: formatNanoseconds,
  listsOwnGroups: false,
};

export const RUST_KEYSTONE: Readonly<Record<RustKeystoneVersion, RustKeystoneBehavior>> = {
  '0.1.1': {
    ...JUNE,
    unscopedProblem:
      'auth.scope: unknown variant `unscoped`, expected one of `project`, `domain`, `system` at line 1 column 147',
    knowsUnscopedText: false,
    statusOfV4: 'experimental',
    listsOwnGroups: true,
  },
  june: JUNE,
  august: {
    ...JUNE,
    ruleField: 'rule_name',
    hasMappingEngine: true,
    issuedStatus: 201,
    refuseBody: refuseWithJson,
    formatExpiry: formatLikeKeystone,
  },
};
