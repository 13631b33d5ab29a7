/**
 * Clocks go wrong: Keystone's, this machine's, and everybody's twice a year. A token lives from its receipt for as long
 * as Keystone gave it, counted by the clock that kubectl reads, and nobody logs in twice in that time. In one process,
 * because there the hours pass at will.
 */
import { join } from 'node:path';
import t from 'tap';
import type { Test } from 'tap';
import { getExecCredential } from '../../src/plugin/login/get-token.ts';
import { findCachedCredential } from '../../src/plugin/fast-path/find-cached-credential.ts';
import { checkNoProblems, startProgram, parseToken } from '../support/stress.ts';
import { fakeHost } from '../support/fake-host.ts';
import { makeLoginSettings, startKeystoneForTest } from '../support/check-run.ts';
import { PLUGIN_COMMAND, makeEnvironment, makeHome } from '../support/run-plugin.ts';
import { formatLikeKeystone } from '../support/stand-in-keystone.ts';
import type { StandInKeystone } from '../support/stand-in-keystone.ts';

t.setTimeout(170_000);

const LIFETIME_S = 3_600;
const MINUTE_MS = 60_000;
const MARGIN_MS = 2 * MINUTE_MS;
const SKEWS_S = [-600, -90, -6, 0, 6, 90, 600];

const uid = process.geteuid?.();

interface ClockScenario {
  readonly standIn: StandInKeystone;
  readonly folder: string;
  /** When it begins, by this machine's clock, ms since 1970, UTC. */
  readonly from: number;
  /** How far Keystone's clock is ahead. */
  readonly skewSeconds: number;
}

/** Asks for the token every ten minutes of its life and once after, and says what went wrong. */
async function runScenario({ standIn, folder, from, skewSeconds }: ClockScenario): Promise<string[]> {
  const problems: string[] = [];
  const started = standIn.countLogins();
  const ask = async (at: number): Promise<{ token: string; ends: number }> => {
    standIn.clockAheadSeconds = (at - Date.now()) / 1000 + skewSeconds;
    const env = { ...makeLoginSettings(`${standIn.url}/v3`), CLIENT_KEYSTONE_AUTH_CACHE_DIR: folder };
    const host = fakeHost({ env, uid, now: () => at });
    const reporter = {
      warn: (text: string) => problems.push(text),
      info: () => undefined,
      progress: () => undefined,
      debug: () => undefined,
    };
    const run = { host, execInfo: undefined, flags: new Map(), reporter, userAgent: 'test', onFastPath: true };
    const document = findCachedCredential(host) ?? (await getExecCredential(run));
    const { status } = JSON.parse(document) as { status: { expirationTimestamp: string } };
    return { token: parseToken(document) ?? '', ends: Date.parse(status.expirationTimestamp) };
  };
  const first = await ask(from);
  // Whole seconds, and a difference too small to be told from the way there.
  const off = first.ends - (from + LIFETIME_S * 1000);
  if (Math.abs(off) > 7_000) problems.push(`the end is ${off} ms off`);
  for (let at = from; at < first.ends - MARGIN_MS; at += 10 * MINUTE_MS) {
    const again = await ask(at);
    if (again.token !== first.token || again.ends !== first.ends) problems.push(`another token after ${at - from} ms`);
  }
  if ((await ask(first.ends - MARGIN_MS - 1)).token !== first.token) problems.push('not used to its end');
  if (standIn.countLogins() !== started + 1) problems.push(`${standIn.countLogins() - started} logins in one life`);
  if ((await ask(first.ends - MARGIN_MS)).token === first.token) problems.push('used beyond its end');
  if (standIn.countLogins() !== started + 2) problems.push(`${standIn.countLogins() - started} logins in two lives`);
  return problems;
}

async function inZone<T>(zone: string, act: () => Promise<T>): Promise<T> {
  const before = process.env['TZ'];
  process.env['TZ'] = zone;
  try {
    return await act();
  } finally {
    if (before === undefined) delete process.env['TZ'];
    else process.env['TZ'] = before;
  }
}

/** Zones with their steps of 2026, one of them of half an hour, and one that has none. */
const EDGES: readonly (readonly [zone: string, ...edges: string[]])[] = [
  ['Europe/Berlin', '2026-03-29T01:00:00Z', '2026-10-25T01:00:00Z'],
  ['America/New_York', '2026-03-08T07:00:00Z', '2026-11-01T06:00:00Z'],
  ['Australia/Lord_Howe', '2026-04-04T15:00:00Z', '2026-10-03T15:30:00Z'],
  ['Asia/Kolkata', '2026-12-31T23:59:59Z', '2028-02-29T00:00:00Z'],
];

/** How `expires_at` may be written. */
const SPELLINGS: Readonly<Record<string, (expiry: Date) => string>> = {
  'as Keystone does': formatLikeKeystone,
  'without a zone': (expiry) => formatLikeKeystone(expiry).replace('Z', ''),
  'with another zone': (expiry) =>
    new Date(expiry.getTime() + 5.5 * 60 * MINUTE_MS).toISOString().replace('Z', '+05:30'),
  'as a leap second': (expiry) =>
    expiry.getUTCSeconds() === 0
      ? new Date(expiry.getTime() - 1_000).toISOString().replace(/59\.000Z$/, '60Z')
      : expiry.toISOString(),
};

await t.test("Keystone's clock, the zone and the spelling", async (t: Test) => {
  const standIn = await startKeystoneForTest(t, { lifetimeSeconds: LIFETIME_S });
  const problems: string[] = [];
  let lives = 0;
  for (const [zone, ...edges] of EDGES) {
    await inZone(zone, async () => {
      for (const edge of edges) {
        for (const skewSeconds of SKEWS_S) {
          for (const [spelling, spell] of Object.entries(SPELLINGS)) {
            standIn.formatExpiry = spell;
            // The step falls into the middle of the token's life. Even seconds, so that it may end with `:60`.
            const from = Date.parse(edge) - 30 * MINUTE_MS;
            const folder = join(t.testdir(), `cache-${(lives += 1)}`);
            const what = `${zone} ${edge}, Keystone ${skewSeconds} s ahead, ${spelling}`;
            const found = await runScenario({ standIn, folder, from, skewSeconds });
            problems.push(...found.map((problem) => `${what}: ${problem}`));
          }
        }
      }
    });
  }
  checkNoProblems(
    t,
    problems,
    `${lives} lives of a token in ${EDGES.length} zones: ${problems.length} problems, 1 login each`,
  );
});

await t.test('the program itself', async (t) => {
  const standIn = await startKeystoneForTest(t, { lifetimeSeconds: LIFETIME_S });
  for (const clockAheadSeconds of [-600, 600]) {
    for (const TZ of ['Pacific/Kiritimati', 'America/St_Johns']) {
      standIn.clockAheadSeconds = clockAheadSeconds;
      const home = makeHome();
      t.teardown(() => home.remove());
      const env = makeEnvironment(home, { ...makeLoginSettings(`${standIn.url}/v3`), TZ });
      const before = standIn.countLogins();
      const first = await startProgram([...PLUGIN_COMMAND], env).ended;
      const second = await startProgram([...PLUGIN_COMMAND], env).ended;
      t.equal(second.stdout, first.stdout, `${TZ}, ${clockAheadSeconds} s: the same document`);
      t.equal(standIn.countLogins(), before + 1, 'one login');
      const { status } = JSON.parse(first.stdout) as { status: { expirationTimestamp: string } };
      const off = Date.parse(status.expirationTimestamp) - Date.now() - LIFETIME_S * 1000;
      t.ok(Math.abs(off) < 7_000, `the end by this clock is ${off} ms off`);
    }
  }
});
