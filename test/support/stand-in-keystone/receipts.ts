/** Receipts: what Keystone gives instead of a token if it wants another factor. */
import { formatLikeKeystone, makeJsonResponse, Refusal } from './responses.ts';
import type { StandInResponse } from './responses.ts';
import { addSeconds, readClock, roundDown } from './state.ts';
import type { Receipt, StandInState } from './state.ts';
import { makeFernet } from './tokens.ts';
import type { StandInUser } from './users.ts';

const LIFETIME_SECONDS = 300;
const LENGTH = 119;

/** @throws Refusal if the receipt is unknown or expired */
export function findReceipt(state: StandInState, receipt: string): Receipt {
  const found = state.receipts.get(receipt);
  if (found === undefined || found.expiresAt <= readClock(state)) {
    throw new Refusal(401, `Could not find auth receipt: ${receipt}.`);
  }
  return found;
}

/** Answers a login that lacks a factor. */
export function issueReceipt(
  state: StandInState,
  user: StandInUser,
  methods: readonly string[],
  rules: readonly (readonly string[])[],
): StandInResponse {
  const receipt = makeFernet(state, LENGTH);
  const expiresAt = addSeconds(state, LIFETIME_SECONDS);
  state.receipts.set(receipt, { user, methods, expiresAt });
  const body = {
    receipt: {
      methods,
      user: { id: user.id, name: user.name, domain: user.domain },
      expires_at: formatLikeKeystone(expiresAt),
      issued_at: formatLikeKeystone(roundDown(readClock(state))),
    },
    required_auth_methods: rules,
  };
  return makeJsonResponse(401, body, { 'openstack-auth-receipt': receipt });
}
