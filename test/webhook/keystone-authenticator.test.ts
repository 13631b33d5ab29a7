// What time decides about Keystone tokens: outages, floods, and how long a verdict counts. Keystone is a function here
// and time is virtual, so that minutes under attack take a second. keystone-outage.test.ts has the real requests.

import { randomBytes } from 'node:crypto';
import t from 'tap';
import { sleep } from '../../src/shared/base/clock.ts';
import { Secret } from '../../src/shared/base/secret.ts';
import { answerInTime } from '../../src/webhook/authn/answer-in-time.ts';
import { makeKeystoneAuthenticator } from '../../src/webhook/authn/keystone-authenticator.ts';
import { makeRateLimiter } from '../../src/webhook/authn/rate-limiter.ts';
import type { TokenOwner } from '../../src/webhook/authn/token-owner.ts';
import type { ValidationResult } from '../../src/webhook/authn/validate-token.ts';
import type { TokenVerdict } from '../../src/webhook/review/review.ts';
import { pickSize } from '../support/stress.ts';
import { makeVirtualClock } from '../support/virtual-clock.ts';
import type { VirtualClock } from '../support/virtual-clock.ts';
import { makeFakeToken } from '../support/webhook-client.ts';
import { OWNER } from '../support/token-owner.ts';

const HOUR_MS = 3_600_000;
const REVIEW_MS = 4_800;
type Answer = ValidationResult | 'silence' | { readonly afterMs: number; readonly result: ValidationResult };

interface Fixture {
  readonly clock: VirtualClock;
  /** The virtual time of each request to Keystone, in ms. */
  readonly requestTimes: number[];
  /** Decides what Keystone answers; silence lasts until the deadline of the request. */
  answer: (token: string) => Answer;
  readonly authenticate: (token: string) => Promise<TokenVerdict>;
  /** Issues a token that Keystone accepts. */
  readonly issueToken: (lifetimeMs?: number) => string;
}

function setUp(
  settings: { readonly cacheTtlMs?: number; readonly concurrency?: number; readonly rate?: number } = {},
): Fixture {
  const clock = makeVirtualClock();
  const expiries = new Map<string, number>();
  const fixture: Fixture = {
    clock,
    requestTimes: [],
    answer(token) {
      const expiresAt = expiries.get(token);
      return expiresAt === undefined || expiresAt <= clock.now()
        ? { kind: 'refused', cause: 'not-accepted', reason: 'Keystone does not accept the token' }
        : { kind: 'valid', owner: OWNER, groups: [], expiresAt, keystoneExpiresAt: expiresAt };
    },
    authenticate: async (token) => (await authenticate(new Secret(token))).verdict,
    issueToken(lifetimeMs = HOUR_MS) {
      const frame = Buffer.alloc(9, 0x80);
      frame.writeBigUInt64BE(BigInt(Math.floor(clock.now() / 1_000)), 1);
      const token = Buffer.concat([frame, randomBytes(128)]).toString('base64url');
      expiries.set(token, clock.now() + lifetimeMs);
      return token;
    },
  };
  const authenticator = makeKeystoneAuthenticator({
    validate: async (token, { timeoutMs }) => {
      fixture.requestTimes.push(clock.monotonicMs());
      const answer = fixture.answer(token.reveal());
      if (answer !== 'silence' && 'kind' in answer) return answer;
      const { afterMs, result } =
        answer === 'silence' ? { afterMs: timeoutMs, result: { kind: 'unknown', reason: 'silence' } as const } : answer;
      await sleep(clock, afterMs);
      return result;
    },
    rateLimiter: makeRateLimiter({
      concurrency: settings.concurrency ?? 16,
      tokensPerSecond: settings.rate ?? 15,
      maxQueueMs: REVIEW_MS,
      maxWaitMs: 30_000,
      clock,
    }),
    namingRules: () => ({
      usernameFormat: '%n',
      groupFormat: '%n',
      roleMappings: [],
      allowedNames: [],
      allowsMappedSystemNames: false,
    }),
    skipsShapeCheck: () => false,
    cacheTtlMs: settings.cacheTtlMs ?? 30_000,
    timeoutMs: 30_000,
    clock,
    now: clock.now,
    onNamesDropped: () => undefined,
    onAuthenticated: () => Promise.resolve(),
  });
  const authenticate = answerInTime(authenticator.authenticate, { timeoutMs: REVIEW_MS, clock });
  return fixture;
}

/** Counts the verdicts of many reviews by kind, with the longest wait. */
function collect(fixture: Fixture): {
  readonly counts: Record<TokenVerdict['kind'], number>;
  maxWaitMs: number;
  readonly review: (token: string) => void;
} {
  const tally = {
    counts: { accepted: 0, refused: 0, unknown: 0 },
    maxWaitMs: 0,
    review: (token: string) => {
      const startedAt = fixture.clock.monotonicMs();
      void fixture.authenticate(token).then(({ kind }) => {
        tally.counts[kind] += 1;
        tally.maxWaitMs = Math.max(tally.maxWaitMs, fixture.clock.monotonicMs() - startedAt);
      });
    },
  };
  return tally;
}

void t.test('a token whose owner changes belongs to nobody, until Keystone is asked again', async (t) => {
  const owners: readonly TokenOwner[] = [
    { ...OWNER, user: { id: 'u2', name: 'bob' } },
    { ...OWNER, project: { id: 'p2', name: 'db' } },
  ];
  for (const other of owners) {
    const fixture = setUp();
    const token = fixture.issueToken();
    const group = (verdict: TokenVerdict) =>
      verdict.kind === 'accepted' ? [verdict.userInfo.username, verdict.userInfo.groups[0]] : verdict;
    t.strictSame(group(await fixture.authenticate(token)), ['alice', 'p1']);
    const answer = fixture.answer;
    fixture.answer = (text) => ({ ...(answer(text) as ValidationResult), owner: other }) as ValidationResult;
    await fixture.clock.advance(30_000);
    t.match(await fixture.authenticate(token), { kind: 'unknown', reason: /another owner/ });
    t.strictSame(group(await fixture.authenticate(token)), [other.user.name, other.project.id]);
    t.equal(fixture.requestTimes.length, 3);
  }
});

void t.test('requests that hang in an outage do not block tokens after it', async (t) => {
  const fixture = setUp({ concurrency: 4, rate: 1_000 });
  const { clock, answer } = fixture;
  fixture.answer = () => 'silence';
  const during = collect(fixture);
  for (let index = 0; index < 20; index += 1) during.review(fixture.issueToken());
  await clock.advance(1_500);
  t.equal(fixture.requestTimes.length, 8, 'a request that hangs gives up its turn after a second');
  fixture.answer = answer;
  const after = collect(fixture);
  for (let index = 0; index < 4; index += 1) after.review(fixture.issueToken());
  await clock.advance(1_999);
  t.strictSame(after.counts, { accepted: 4, refused: 0, unknown: 0 });
  t.ok(after.maxWaitMs < 2_000, `${after.maxWaitMs} ms after Keystone was back`);
  await clock.advance(1_499);
  t.equal(during.counts.accepted + during.counts.unknown, 20, 'all are answered, and none is refused');
  t.ok(during.maxWaitMs < 5_000, `${during.maxWaitMs} ms`);
});

void t.test('every review is answered in less than 5 s, whatever Keystone does', async (t) => {
  const fixture = setUp();
  fixture.answer = () => 'silence';
  const tally = collect(fixture);
  for (let index = 0; index < 600; index += 1) tally.review(index % 2 === 0 ? fixture.issueToken() : makeFakeToken());
  await fixture.clock.advance(4_999);
  t.strictSame(tally.counts, { accepted: 0, refused: 0, unknown: 600 });
});

void t.test('a thousand simultaneous reviews of a token cause one request', async (t) => {
  const fixture = setUp();
  const token = fixture.issueToken();
  const tally = collect(fixture);
  for (let index = 0; index < 1_000; index += 1) tally.review(token);
  await fixture.clock.advance(0);
  t.strictSame(tally.counts, { accepted: 1_000, refused: 0, unknown: 0 });
  t.equal(fixture.requestTimes.length, 1);
});

const FLOOD_SECONDS = pickSize(600, 30);

void t.test(`a flood of 500 invalid tokens per second for ${FLOOD_SECONDS} s does not affect users`, async (t) => {
  const fixture = setUp({ cacheTtlMs: 1_000 });
  const { clock } = fixture;
  const tokens = Array.from({ length: 16 }, () => fixture.issueToken(24 * HOUR_MS));
  const [users, garbage] = [collect(fixture), collect(fixture)];
  const validTokens = new Set(tokens);
  let invalidRequests = 0;
  const { answer } = fixture;
  fixture.answer = (token) => {
    if (!validTokens.has(token)) invalidRequests += 1;
    return answer(token);
  };
  for (const token of tokens) users.review(token);
  for (let index = 0; index < 150; index += 1) garbage.review(makeFakeToken());
  await clock.advance(2_000);
  t.strictSame(users.counts, { accepted: 16, refused: 0, unknown: 0 });
  const seconds: number[] = [];
  for (let second = 0; second < FLOOD_SECONDS; second += 1) {
    const before = invalidRequests;
    for (let round = 0; round < 20; round += 1) {
      for (let index = 0; index < 25; index += 1) garbage.review(makeFakeToken());
      for (const token of tokens) users.review(token);
      await clock.advance(50);
    }
    seconds.push(invalidRequests - before);
  }
  await clock.advance(REVIEW_MS);
  const userReviews = 16 * (1 + 20 * FLOOD_SECONDS);
  t.strictSame(users.counts, { accepted: userReviews, refused: 0, unknown: 0 }, 'no user is rejected');
  t.equal(users.maxWaitMs, 0, 'no user waits');
  t.equal(garbage.counts.accepted, 0, 'no invalid token is accepted');
  t.equal(garbage.counts.refused + garbage.counts.unknown, 150 + 500 * FLOOD_SECONDS, 'each of them is answered');
  t.ok(Math.max(...seconds) <= 20, `${Math.max(...seconds)} requests per second to Keystone at most`);
  const validations = fixture.requestTimes.length - invalidRequests;
  t.ok(validations <= 16 * (FLOOD_SECONDS + 4) * 1.6, `${validations} requests for the tokens of users`);
});

void t.test('a cached token is validated again in the background after two thirds of its time', async (t) => {
  const fixture = setUp({ cacheTtlMs: 6_000 });
  const token = fixture.issueToken();
  const tally = collect(fixture);
  for (let round = 0; round < 140; round += 1) {
    tally.review(token);
    await fixture.clock.advance(50);
  }
  t.strictSame(tally.counts, { accepted: 140, refused: 0, unknown: 0 });
  t.equal(tally.maxWaitMs, 0, 'no review waits for it');
  t.strictSame(fixture.requestTimes, [0, 4_000]);
});

void t.test('a cached token counts in an outage until its time in the cache ends', async (t) => {
  const fixture = setUp();
  const { clock, answer } = fixture;
  const token = fixture.issueToken();
  t.match(await fixture.authenticate(token), { kind: 'accepted' });
  fixture.answer = () => 'silence';
  const tally = collect(fixture);
  for (let round = 0; round < 30; round += 1) {
    tally.review(token);
    await clock.advance(1_000);
  }
  t.strictSame(tally.counts, { accepted: 30, refused: 0, unknown: 0 });
  t.strictSame(fixture.requestTimes, [0, 20_000, 23_000, 26_000, 29_000], 'it is tried again every three seconds');
  const late = collect(fixture);
  late.review(token);
  await clock.advance(5_000);
  t.strictSame(late.counts, { accepted: 0, refused: 0, unknown: 1 }, 'unknown, because a refusal would be cached');
  fixture.answer = answer;
  t.match(await fixture.authenticate(token), { kind: 'accepted' }, 'after the outage');
});

void t.test('the answer of a slow Keystone is remembered for the next review, and asked for once', async (t) => {
  const fixture = setUp();
  const { clock, answer } = fixture;
  const delay = (afterMs: number): void => {
    fixture.answer = (token) => ({ afterMs, result: answer(token) as ValidationResult });
  };
  delay(16_000);
  const [token, otherToken] = [fixture.issueToken(), makeFakeToken()];
  const first = collect(fixture);
  for (const each of [token, otherToken]) first.review(each);
  await clock.advance(4_799);
  t.strictSame(first.counts, { accepted: 0, refused: 0, unknown: 0 });
  await clock.advance(1);
  t.strictSame(first.counts, { accepted: 0, refused: 0, unknown: 2 }, 'in time, and neither is refused');
  await clock.advance(11_200);
  const second = collect(fixture);
  for (const each of [token, otherToken]) second.review(each);
  await clock.advance(0);
  t.strictSame(second.counts, { accepted: 1, refused: 1, unknown: 0 }, 'at once');
  t.equal(fixture.requestTimes.length, 2);

  // Keystone answers in turn what it was asked 16 s ago: it is slow, and nothing is lost.
  for (let round = 0; round < 8; round += 1) {
    collect(fixture).review(fixture.issueToken());
    await clock.advance(2_000);
  }
  const before = fixture.requestTimes.length;
  const patient = fixture.issueToken();
  for (let round = 0; round < 7; round += 1) {
    collect(fixture).review(fixture.issueToken());
    collect(fixture).review(patient);
    await clock.advance(2_500);
  }
  t.equal(fixture.requestTimes.length, before + 8, 'one request for each token');
});

void t.test(
  'in a burst that Keystone is too slow for, each token is asked about once, and none is refused',
  async (t) => {
    const fixture = setUp();
    const { clock, answer } = fixture;
    fixture.answer = (token) => ({ afterMs: 900, result: answer(token) as ValidationResult });
    const tokens = Array.from({ length: 240 }, () => fixture.issueToken());
    const last = collect(fixture);
    for (let round = 0; round < 4; round += 1) {
      const tally = round === 3 ? last : collect(fixture);
      for (const token of tokens) tally.review(token);
      await clock.advance(5_000);
      t.equal(tally.counts.refused, 0);
    }
    t.strictSame(last.counts, { accepted: 240, refused: 0, unknown: 0 });
    t.equal(fixture.requestTimes.length, 240);
  },
);

void t.test('a question that is lost does not keep its token waiting after an outage', async (t) => {
  const fixture = setUp();
  const { clock, answer } = fixture;
  const token = fixture.issueToken();
  fixture.answer = () => 'silence';
  const during = collect(fixture);
  for (let round = 0; round < 5; round += 1) {
    during.review(token);
    await clock.advance(5_000);
  }
  t.strictSame(during.counts, { accepted: 0, refused: 0, unknown: 5 });
  fixture.answer = answer;
  t.match(await fixture.authenticate(token), { kind: 'accepted' });
  t.equal(clock.monotonicMs(), 25_000, 'without a wait');
});

void t.test('a lost question is asked again when Keystone has answered a later one', async (t) => {
  const fixture = setUp();
  const { clock, answer } = fixture;
  const token = fixture.issueToken();
  fixture.answer = () => 'silence';
  collect(fixture).review(token);
  await clock.advance(1_000);
  fixture.answer = answer;
  t.match(await fixture.authenticate(fixture.issueToken()), { kind: 'accepted' }, 'another token');
  await clock.advance(1_000);
  t.match(await fixture.authenticate(token), { kind: 'accepted' });
  t.equal(clock.monotonicMs(), 2_000);
});

void t.test('a late answer to an early question does not replace the answer to a later one', async (t) => {
  const fixture = setUp();
  const { clock, answer } = fixture;
  const token = fixture.issueToken();
  fixture.answer = (text) => ({ afterMs: 20_000, result: answer(text) as ValidationResult });
  collect(fixture).review(token);
  await clock.advance(5_000);
  fixture.answer = () => ({ kind: 'refused', cause: 'not-accepted', reason: 'revoked' });
  t.match(await fixture.authenticate(token), { kind: 'refused' });
  await clock.advance(20_000);
  t.match(await fixture.authenticate(token), { kind: 'refused' });
});

void t.test('a cached token is refused as soon as it expires', async (t) => {
  const fixture = setUp();
  const token = fixture.issueToken(2_000);
  t.match(await fixture.authenticate(token), { kind: 'accepted' });
  await fixture.clock.advance(1_333);
  t.match(await fixture.authenticate(token), { kind: 'accepted' });
  await fixture.clock.advance(667);
  t.strictSame(await fixture.authenticate(token), {
    kind: 'refused',
    cause: 'expired',
    reason: 'the token has expired',
  });
  t.equal(fixture.requestTimes.length, 1);
});

void t.test('a refusal is cached for a minute', async (t) => {
  const fixture = setUp();
  const token = makeFakeToken();
  t.match(await fixture.authenticate(token), { kind: 'refused' });
  await fixture.clock.advance(59_999);
  t.match(await fixture.authenticate(token), { kind: 'refused' });
  t.equal(fixture.requestTimes.length, 1);
  await fixture.clock.advance(1);
  t.match(await fixture.authenticate(token), { kind: 'refused' });
  t.equal(fixture.requestTimes.length, 2);
});
