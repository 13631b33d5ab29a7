/** A server that sends a wrong time gives a token for a sensible time, or an error: never for years, never for the past. */
import t from 'tap';
import type { Test } from 'tap';
import { checkFailure, checkSuccess, EXIT_STATUS, makeLoginSettings } from '../support/check-run.ts';
import { startKeystoneForTest } from '../support/check-run.ts';
import { setUp } from '../support/fixture.ts';
import type { RunResult } from '../support/run-plugin.ts';
import { changeResponse, withDate } from '../support/stand-in-faults.ts';
import type { Handler } from '../support/stand-in-keystone/handlers.ts';
import { makeTokenResponse, startStandInProvider } from '../support/stand-in-provider.ts';

const LIFETIME_S = 3_600;
const DAY_S = 86_400;
const LONGEST_S = 30 * DAY_S;

/** Seconds, for a login on a very busy machine. */
const TOLERANCE_S = 600;

async function logIn(t: Test, handler: Handler, aheadSeconds = 0): Promise<RunResult> {
  const standIn = await startKeystoneForTest(t, { lifetimeSeconds: LIFETIME_S });
  standIn.clockAheadSeconds = aheadSeconds;
  standIn.answerAlways(handler);
  return setUp(t, { settings: makeLoginSettings(`${standIn.url}/v3`) }).run();
}

/** Returns how long the token of a successful login lives, in seconds. */
function readLifetime(t: Test, result: RunResult): number {
  const { expirationTimestamp } = checkSuccess(t, result);
  return (Date.parse(expirationTimestamp) - Date.now()) / 1000;
}

const WRONG_DATES = [
  'Thu, 01 Jan 1970 00:00:00 GMT',
  'Fri, 31 Dec 9999 23:59:59 GMT',
  'Mon, 01 Jan 0001 00:00:00 GMT',
  'Sat, 13 Sep 275760 00:00:00 GMT',
  '+020000-01-01T00:00:00Z',
  '-000001-01-01T00:00:00Z',
  new Date(Date.now() + 2 * DAY_S * 1000).toUTCString(),
  new Date(Date.now() - 2 * DAY_S * 1000).toUTCString(),
];

for (const date of WRONG_DATES) {
  await t.test(`Date: ${date}`, async (t) => {
    const lifetime = readLifetime(t, await logIn(t, withDate(date)));
    t.ok(Math.abs(lifetime - LIFETIME_S) < TOLERANCE_S, `the token lives ${Math.round(lifetime)} s, as Keystone says`);
  });
}

await t.test('a clock in another time zone is still corrected', async (t) => {
  for (const hours of [-12, 14]) {
    const lifetime = readLifetime(t, await logIn(t, withDate(hours * 3_600), hours * 3_600));
    t.ok(Math.abs(lifetime - LIFETIME_S) < TOLERANCE_S, `${hours} h: the token lives ${Math.round(lifetime)} s`);
  }
});

function withExpiry(expiresAt: string): Handler {
  return changeResponse((answer) => {
    const { token } = answer.body as { token: Record<string, unknown> };
    return { ...answer, body: { token: { ...token, expires_at: expiresAt } } };
  });
}

for (const expiry of ['9999-12-31T23:59:59Z', '2082-01-01T00:00:00.000000Z']) {
  await t.test(`expires_at: ${expiry}`, async (t) => {
    const lifetime = readLifetime(t, await logIn(t, withExpiry(expiry)));
    t.ok(lifetime > DAY_S && lifetime <= LONGEST_S, `the token is used for ${Math.round(lifetime / DAY_S)} days`);
  });
}

for (const expiry of ['0001-01-01T00:00:00Z', '1970-01-01T00:00:00Z', new Date(Date.now() - 60_000).toISOString()]) {
  await t.test(`expires_at: ${expiry}`, async (t) => {
    const result = await logIn(t, withExpiry(expiry));
    checkFailure(t, result, EXIT_STATUS.protocol, { says: ['expired before it arrived', 'clock of this machine'] });
  });
}

const claimsOf = (exp: number): string =>
  ['{"alg":"none"}', JSON.stringify({ iss: 'i', sub: 's', exp }), 'signature']
    .map((part) => Buffer.from(part).toString('base64url'))
    .join('.');

await t.test('an identity provider that grants a token forever', async (t) => {
  const now = Math.floor(Date.now() / 1000);
  const responses = [
    makeTokenResponse({ access_token: claimsOf(253_402_300_799) }),
    makeTokenResponse({ access_token: claimsOf(8_640_000_000_000) }),
    makeTokenResponse({ access_token: claimsOf(now + 400 * DAY_S) }),
    makeTokenResponse({ expires_in: 10_000_000_000 }),
    makeTokenResponse({ expires_in: 1e300 }),
  ];
  for (const response of responses) {
    const provider = await startStandInProvider(t);
    provider.tokenResponses = [response];
    const env = {
      OS_AUTH_TYPE: 'v3oidcclientcredentials',
      OS_CLIENT_ID: 'client',
      OS_CLIENT_SECRET: 'secret-of-the-client',
      OS_ACCESS_TOKEN_ENDPOINT: `${provider.url}/token`,
      CLIENT_KEYSTONE_AUTH_TOKEN_KIND: 'access_token',
    };
    const lifetime = readLifetime(t, await setUp(t, { settings: env }).run());
    t.ok(lifetime > 0 && lifetime <= LONGEST_S, `the token is used for ${Math.round(lifetime / DAY_S)} days`);
  }
});

await t.test('doctor says how wrong the clock is', async (t) => {
  const standIn = await startKeystoneForTest(t);
  standIn.answerAlways(withDate(-20 * 365 * DAY_S));
  const env = makeLoginSettings(`${standIn.url}/v3`);
  const { stdout } = await setUp(t, { settings: env }).run('doctor', '--no-cluster');
  t.match(stdout, /✗ clock +this machine's clock is 7300 d ahead of Keystone's/);
});
