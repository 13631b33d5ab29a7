/**
 * Clocks can be wrong, on Keystone's machine or on this one, and time zones change twice a year. A token must be used
 * for its whole lifetime, measured by the clock that kubectl reads, and the plugin must not log in twice in that time.
 * The tests run in one process, because there they control the time.
 */
import { join } from 'node:path';
import t from 'tap';
import type { Test } from 'tap';
import { getExecCredential } from '../../src/plugin/login/cluster-token.ts';
import { findCachedCredential } from '../../src/plugin/fast-path/find-cached-credential.ts';
import { waitSilently } from '../../src/shared/base/long-wait.ts';
import { checkNoProblems, startProgram, parseToken } from '../support/stress.ts';
import { fakeHost } from '../support/fake-host.ts';
import { makeLoginSettings, startKeystoneForTest } from '../support/check-run.ts';
import { PLUGIN_COMMAND } from '../support/run-plugin.ts';
import { makeEnvironment, makeHome } from '../support/home.ts';
import { formatLikeKeystone } from '../support/stand-in-keystone/responses.ts';
import type { StandInKeystone } from '../support/stand-in-keystone.ts';
import { inTimeZone } from '../support/time-zone.ts';

const LIFETIME_S = 3_600;
const MINUTE_MS = 60_000;
const MARGIN_MS = 2 * MINUTE_MS;
const SKEWS_S = [-600, -90, -6, 0, 6, 90, 600];

const uid = process.geteuid?.();

interface ClockScenario {
  readonly standIn: StandInKeystone;
  /** The clock of the machine of the stand-in, ms since 1970, UTC. */
  readonly clock: { at: number };
  readonly folder: string;
  /** When the scenario begins, by this machine's clock, ms since 1970, UTC. */
  readonly from: number;
  /** How far Keystone's clock is ahead of this machine's clock. */
  readonly skewSeconds: number;
}

/** Requests the token every ten minutes of its lifetime and once after it, and returns the problems. */
async function runScenario({ standIn, clock, folder, from, skewSeconds }: ClockScenario): Promise<string[]> {
  const problems: string[] = [];
  const initialLogins = standIn.countLogins();
  const requestAt = async (at: number): Promise<{ token: string; expiresAt: number }> => {
    clock.at = at;
    standIn.clockAheadSeconds = skewSeconds;
    const env = { ...makeLoginSettings(`${standIn.url}/v3`), CLIENT_KEYSTONE_AUTH_CACHE_DIR: folder };
    const host = fakeHost({ env, uid, now: () => at });
    const reporter = {
      warn: (text: string) => problems.push(text),
      info: () => undefined,
      progress: () => undefined,
      waitFor: waitSilently,
      debug: () => undefined,
    };
    const run = { host, execInfo: undefined, flags: new Map(), reporter, userAgent: 'test', onFastPath: true };
    const document = findCachedCredential(host) ?? (await getExecCredential(run));
    const { status } = JSON.parse(document) as { status: { expirationTimestamp: string } };
    return { token: parseToken(document) ?? '', expiresAt: Date.parse(status.expirationTimestamp) };
  };
  const first = await requestAt(from);
  // The expiry has whole seconds, and a skew of up to 5 s is ignored because the network delay can cause it.
  const off = first.expiresAt - (from + LIFETIME_S * 1000);
  if (Math.abs(off) > 7_000) problems.push(`the expiry is ${off} ms off`);
  for (let at = from; at < first.expiresAt - MARGIN_MS; at += 10 * MINUTE_MS) {
    const again = await requestAt(at);
    if (again.token !== first.token || again.expiresAt !== first.expiresAt)
      problems.push(`another token after ${at - from} ms`);
  }
  if ((await requestAt(first.expiresAt - MARGIN_MS - 1)).token !== first.token)
    problems.push('not used until its expiry');
  if (standIn.countLogins() !== initialLogins + 1)
    problems.push(`${standIn.countLogins() - initialLogins} logins in one lifetime`);
  if ((await requestAt(first.expiresAt - MARGIN_MS)).token === first.token) problems.push('used after its expiry');
  if (standIn.countLogins() !== initialLogins + 2)
    problems.push(`${standIn.countLogins() - initialLogins} logins in two lifetimes`);
  return problems;
}

/**
 * Time zones with their changes in 2026, one of half an hour, and a zone without changes. A lifetime ends half an hour
 * after a change: one at the end of a year.
 */
const ZONE_CHANGES: readonly (readonly [zone: string, ...changes: string[]])[] = [
  ['Europe/Berlin', '2026-03-29T01:00:00Z', '2026-10-25T01:00:00Z'],
  ['America/New_York', '2026-03-08T07:00:00Z', '2026-11-01T06:00:00Z'],
  ['Australia/Lord_Howe', '2026-04-04T15:00:00Z', '2026-10-03T15:30:00Z'],
  ['Asia/Kolkata', '2026-12-31T23:59:59Z', '2026-12-31T23:30:00Z', '2028-02-29T00:00:00Z'],
];

/** Formats of `expires_at`. */
const SPELLINGS: Readonly<Record<string, (expiry: Date) => string>> = {
  'like Keystone': formatLikeKeystone,
  'without a zone': (expiry) => formatLikeKeystone(expiry).replace('Z', ''),
  'with another zone': (expiry) =>
    new Date(expiry.getTime() + 5.5 * 60 * MINUTE_MS).toISOString().replace('Z', '+05:30'),
  'as a leap second': (expiry) =>
    // Leap seconds come at the end of a month in UTC.
    expiry.toISOString().endsWith('-01T00:00:00.000Z')
      ? new Date(expiry.getTime() - 1_000).toISOString().replace(/59\.000Z$/, '60Z')
      : expiry.toISOString(),
};

await t.test('a token is used for its whole lifetime with every clock skew, time zone and format', async (t: Test) => {
  const clock = { at: 0 };
  const standIn = await startKeystoneForTest(t, { lifetimeSeconds: LIFETIME_S, now: () => clock.at });
  const problems: string[] = [];
  let lifetimes = 0;
  for (const [zone, ...changes] of ZONE_CHANGES) {
    await inTimeZone(zone, async () => {
      for (const change of changes) {
        for (const skewSeconds of SKEWS_S) {
          for (const [spelling, spell] of Object.entries(SPELLINGS)) {
            standIn.formatExpiry = spell;
            // The zone changes in the middle of the lifetime.
            const from = Date.parse(change) - 30 * MINUTE_MS;
            const folder = join(t.testdir(), `cache-${(lifetimes += 1)}`);
            const what = `${zone} ${change}, Keystone ${skewSeconds} s ahead, ${spelling}`;
            const scenarioProblems = await runScenario({ standIn, clock, folder, from, skewSeconds });
            problems.push(...scenarioProblems.map((problem) => `${what}: ${problem}`));
          }
        }
      }
    });
  }
  checkNoProblems(
    t,
    problems,
    `${lifetimes} token lifetimes in ${ZONE_CHANGES.length} zones: ${problems.length} problems, 1 login each`,
  );
});

await t.test('the built program handles clock skew and time zones', async (t) => {
  const standIn = await startKeystoneForTest(t, { lifetimeSeconds: LIFETIME_S });
  for (const clockAheadSeconds of [-600, 600]) {
    for (const TZ of ['Pacific/Kiritimati', 'America/St_Johns']) {
      standIn.clockAheadSeconds = clockAheadSeconds;
      const home = makeHome();
      t.teardown(() => home.remove());
      const env = makeEnvironment(home, { ...makeLoginSettings(`${standIn.url}/v3`), TZ });
      const before = standIn.countLogins();
      const startedAt = Date.now();
      const first = await startProgram([...PLUGIN_COMMAND], env).ended;
      const endedAt = Date.now();
      const second = await startProgram([...PLUGIN_COMMAND], env).ended;
      t.equal(second.stdout, first.stdout, `${TZ}, ${clockAheadSeconds} s: the same document`);
      t.equal(standIn.countLogins(), before + 1, 'one login');
      const { status } = JSON.parse(first.stdout) as { status: { expirationTimestamp: string } };
      const receivedAt = Date.parse(status.expirationTimestamp) - LIFETIME_S * 1000;
      // Keystone and kubectl use whole seconds.
      t.ok(receivedAt > startedAt - 2_000, 'the lifetime begins with the run, by this clock');
      t.ok(receivedAt < endedAt + 2_000, 'and not after it');
    }
  }
});
