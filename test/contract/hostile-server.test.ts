/**
 * After any response of a server, a run ends soon, with limited memory, and with one harmless line that explains the
 * error.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import type { Test } from 'tap';
import * as faults from '../support/stand-in-faults.ts';
import { EXIT_STATUS, PASSWORD } from '../support/check-run.ts';
import { checkFailure, checkSuccess, makeLoginSettings, startKeystoneForTest } from '../support/check-run.ts';
import type { ExecCredentialStatus } from '../support/check-run.ts';
import { setUp } from '../support/fixture.ts';
import { runBundles } from '../support/run-bundles.ts';
import type { HostParts } from '../support/run-bundles.ts';
import { runPlugin } from '../support/run-plugin.ts';
import type { RunResult } from '../support/run-plugin.ts';
import type { Handler } from '../support/stand-in-keystone/handlers.ts';
import type { StandInKeystone } from '../support/stand-in-keystone.ts';
import { waitUntil } from '../support/wait-until.ts';

// Most of these tests only wait, so they run in parallel. A new object for each test, because tap changes it.
const inParallel = (): { buffered: true; jobs: number } => ({ buffered: true, jobs: 8 });

interface Result extends RunResult {
  readonly keystone: StandInKeystone;
  /** The delays of the timers that the run started, in ms, without those of connections. */
  readonly pauses: readonly number[];
}

interface Attack {
  /** Handles every request. */
  readonly always?: Handler;
  /** Handles only the first request. */
  readonly first?: Handler;
  readonly args?: readonly string[];
  readonly prepare?: (keystone: StandInKeystone) => void;
  readonly parts?: HostParts;
}

/** Starts a stand-in that attacks. */
async function startAttacker(t: Test, { always, first, prepare, parts = {} }: Attack): Promise<StandInKeystone> {
  const keystone = await startKeystoneForTest(t, parts.now === undefined ? {} : { now: parts.now });
  prepare?.(keystone);
  if (always !== undefined) keystone.answerAlways(always);
  if (first !== undefined) keystone.answerNext(first);
  return keystone;
}

/** How long a connection may take, in ms. */
const CONNECT_MS = 5_000;

/** The longest pause before another try, in ms. A longer timer is the deadline. */
const MAX_PAUSE_MS = 10_000;

/** Logs in at a stand-in that attacks. */
async function run(t: Test, attack: Attack = {}): Promise<Result> {
  const keystone = await startAttacker(t, attack);
  const pauses: number[] = [];
  const holdTimer = (ms: number): boolean => {
    if (ms > 0 && ms !== CONNECT_MS && ms <= MAX_PAUSE_MS) pauses.push(ms);
    return false;
  };
  const alice = setUp(t, {
    settings: makeLoginSettings(`${keystone.url}/v3`),
    runner: (run) => runBundles(run, { holdTimer, ...attack.parts }),
  });
  return { ...(await alice.run(...(attack.args ?? []))), keystone, pauses };
}

interface Expected {
  readonly status: number;
  readonly says: readonly (string | RegExp)[];
  readonly requests?: number;
}

async function fails(t: Test, name: string, always: Handler, expected: Expected): Promise<void> {
  await t.test(name, inParallel(), async (t) => {
    const { keystone, ...result } = await run(t, { always });
    checkFailure(t, result, expected.status, expected);
    t.equal(keystone.requests.length, expected.requests ?? 1, 'requests');
  });
}

/** Declares the tests of a group without waiting for each. tap waits for all. */
async function group(name: string, declare: (t: Test) => Promise<void>[]): Promise<void> {
  await t.test(name, inParallel(), async (t) => {
    await Promise.all(declare(t));
  });
}

const notKeystone = 'not Keystone';
const generic401 = 'The request you have made requires authentication.';

await t.test('a response without an end is not read to the end', async (t) => {
  const mostMiB = 160;
  const bodies: Record<string, Handler> = {
    'Keystone announces 1 GiB': faults.hugeBody(),
    'Keystone sends 1 GiB in chunks': faults.hugeBody(undefined, { announced: false }),
    'Keystone sends a body without an end': faults.neverEndingBody(),
    'Keystone sends a gzip bomb': faults.gzipBomb(),
  };
  const directory = t.testdir();
  const reporter = join(directory, 'report.cjs');
  const report = join(directory, 'peak');
  // The process reports its own peak, because this works on every platform.
  const write = `require('fs').writeFileSync(${JSON.stringify(report)}, String(process.resourceUsage().maxRSS))`;
  writeFileSync(reporter, `process.on('exit', () => { ${write}; });`);
  for (const [name, sendBody] of Object.entries(bodies)) {
    await t.test(name, async (t) => {
      let countSent = (): number => 0;
      const always: Handler = (request, response, exchange) => {
        const { socket } = response;
        countSent = () => (socket?.bytesWritten ?? 0) / 1024 / 1024;
        return sendBody(request, response, exchange);
      };
      const keystone = await startAttacker(t, { always });
      const settings = { ...makeLoginSettings(`${keystone.url}/v3`), NODE_OPTIONS: `--require ${reporter}` };
      const result = await setUp(t, { settings, runner: runPlugin }).run();
      checkFailure(t, result, EXIT_STATUS.protocol, { says: ['larger than 1 MiB', notKeystone] });
      // The buffers of both sockets can hold some MiB.
      t.ok(countSent() < 64, `the run ends at the limit, after ${countSent().toFixed()} MiB`);
      const peakMiB = Math.round(Number(readFileSync(report, 'utf8')) / 1024);
      t.ok(peakMiB > 0 && peakMiB <= mostMiB, `memory peaks at ${String(peakMiB)} MiB`);
    });
  }

  await t.test('a body of just 1 MiB is read, and one of a byte more is not', async (t) => {
    const limit = 1024 * 1024;
    const padded = (size: number): Handler =>
      faults.changeResponse((answer) => {
        const text = JSON.stringify(answer.body);
        return { ...answer, body: text + ' '.repeat(size - text.length) };
      });
    checkSuccess(t, await run(t, { always: padded(limit) }));
    checkFailure(t, await run(t, { always: padded(limit + 1) }), EXIT_STATUS.protocol, { says: ['larger than 1 MiB'] });
  });

  await t.test('a compressed response is rejected, because none was requested', async (t) => {
    const { keystone, ...result } = await run(t, { always: faults.gzipBomb(1024) });
    checkFailure(t, result, EXIT_STATUS.protocol, { says: ['the response is compressed'] });
    t.equal(keystone.requests[0]?.headers['accept-encoding'], 'identity');
  });
});

await group('a run ends at its deadline', (t) => {
  const deadlineMs = 2_000;
  const pauseMs = 9_000;
  /** What Keystone does, and where the run is when the deadline passes. */
  type IsThere = (sentBytes: number, timers: readonly number[]) => boolean;
  const hasBegun: IsThere = (sentBytes) => sentBytes > 0;
  const slow: Record<string, readonly [handler: Handler, isThere: IsThere]> = {
    'Keystone sends one byte of the body per second': [faults.slowBody(), hasBegun],
    'Keystone sends one byte of the headers per second': [faults.slowHeaders(), hasBegun],
    'Keystone does not answer': [faults.silence(), () => true],
    'Keystone asks for a pause that is longer than the deadline': [
      faults.retryAfter(429, pauseMs / 1000),
      (_sentBytes, timers) => timers.includes(pauseMs),
    ],
  };
  return Object.entries(slow).map(async ([name, [handler, isThere]]) => {
    await t.test(name, inParallel(), async (t) => {
      const timers: number[] = [];
      let countSent: (() => number) | undefined;
      let hasEnded = false;
      let passDeadline = (): void => undefined;
      const always: Handler = (request, response, exchange) => {
        const { socket } = response;
        countSent = () => socket?.bytesWritten ?? 0;
        return handler(request, response, exchange);
      };
      const holdTimer = (ms: number, end: () => void): boolean => {
        timers.push(ms);
        // The pause must not end before the deadline.
        if (ms === pauseMs) return true;
        if (ms !== deadlineMs) return false;
        passDeadline = end;
        return true;
      };
      const args = ['--timeout', String(deadlineMs / 1000)];
      const running = run(t, { always, args, parts: { holdTimer } }).finally(() => (hasEnded = true));
      await waitUntil('the run waits', () => countSent !== undefined && isThere(countSent(), timers));
      t.notOk(hasEnded, 'the run waits for its deadline');
      passDeadline();
      const { keystone, ...result } = await running;
      checkFailure(t, result, EXIT_STATUS.unreachable, { says: ['did not respond within 2 s', '--timeout'] });
      t.equal(keystone.requests.length, 1);
    });
  });
});

await group('a connection that breaks is not tried again, because the login may have counted', (t) => {
  const status = EXIT_STATUS.unreachable;
  const middle = ['in the middle of its response'];
  return [
    fails(t, 'Keystone resets the connection', faults.resetImmediately(), {
      status,
      says: ['it closed the connection'],
    }),
    fails(t, 'Keystone resets the connection in the middle of the body', faults.resetMidBody(), {
      status,
      says: middle,
    }),
    fails(t, 'Keystone closes the connection in the middle of the body', faults.cutMidBody(), { status, says: middle }),
  ];
});

await group('an answer that is not from Keystone is explained', (t) => {
  const status = EXIT_STATUS.protocol;
  const noJson = { status, says: [/answered with no JSON, which is not Keystone; check OS_AUTH_URL/] };
  const bodies = ['', '[]', 'null', '"token"', '[{"token":{}}]', '{"__proto__":{"token":{}}', '['.repeat(200_000)];
  const tokenless = ['{}', '{"token":null}', '{"token":[]}', '{"__proto__":{"token":{}}}'];
  return [
    fails(t, 'the JSON is broken', faults.malformedJson(), noJson),
    ...bodies.map((body) =>
      fails(t, `the body is ${body === '' ? 'empty' : body.slice(0, 40)}`, faults.withBody(body), noJson),
    ),
    ...tokenless.map((body) =>
      fails(t, `the body is ${body}`, faults.withBody(body), {
        status,
        says: ['does not contain a token', notKeystone],
      }),
    ),
    fails(t, 'the header X-Subject-Token is missing', faults.withoutToken(), {
      status,
      says: ['without the X-Subject-Token header'],
    }),
    fails(t, 'a captive portal answers', faults.respondHtml(200), {
      status,
      says: ['answered with HTML', 'sign in to the network'],
    }),
    fails(t, 'the answer is HTML with 201', faults.respondHtml(201), { status, says: ['answered with HTML'] }),
    fails(t, 'the answer is empty with 204', faults.respondHtml(204, ''), { status, says: [notKeystone] }),
    fails(t, 'the page is not found', faults.respondHtml(404), { status, says: ['no Keystone v3', 'OS_AUTH_URL'] }),
    fails(t, 'the status is one that nobody uses', faults.respondHtml(418), { status, says: ['HTML', notKeystone] }),
  ];
});

await group('a token that is not valid in a header does not reach kubectl', (t) => {
  // An HTTP parser reads this as the end of the header. The token before it is complete.
  const { 'carriage return and line feed': splitting = '', ...hostile } = faults.hostileTokens;
  const says = [
    /a token that is not valid in an HTTP header|is not valid HTTP \(HPE_\w+\)|headers of its response are too long/,
  ];
  const longest = 'g'.padEnd(16_384, 'A');
  const passes = async (name: string, sent: string, token: string): Promise<void> => {
    await t.test(name, inParallel(), async (t) => {
      t.equal(checkSuccess(t, await run(t, { always: faults.withToken(sent) })).token, token);
    });
  };
  return [
    ...Object.entries(hostile).map(([name, token]) =>
      fails(t, `a token is rejected if it is or has this: ${name}`, faults.withToken(token), {
        status: EXIT_STATUS.protocol,
        says,
      }),
    ),
    passes('the token ends at a carriage return and a line feed', splitting, 'gAAAA'),
    passes('the longest token that is allowed reaches kubectl', longest, longest),
  ];
});

function passesAtSecondTry(t: Test, name: string, first: Handler): Promise<void> {
  return t
    .test(name, inParallel(), async (t) => {
      const { keystone, ...result } = await run(t, { first });
      checkSuccess(t, result);
      t.equal(keystone.countLogins(), 2);
    })
    .then();
}

await group('an error of the server is reported, and a gateway error is retried', (t) => {
  const status = EXIT_STATUS.unreachable;
  const ofKeystone = { error: { code: 500, message: 'An unexpected error', title: 'Internal Server Error' } };
  return [
    fails(t, 'a proxy answers 500', faults.respondHtml(500), { status, says: ['failed with error 500'] }),
    fails(t, 'a proxy answers 501', faults.respondHtml(501), { status, says: ['failed with error 501'] }),
    fails(t, 'Keystone answers 500', faults.respondJson(500, ofKeystone, { 'x-openstack-request-id': 'req-12' }), {
      status,
      says: ['failed with error 500', '(req-12)'],
    }),
    ...[502, 503, 504].map(async (code) => {
      await t.test(`status ${String(code)} is retried twice, after 0.5 s and 1 s`, inParallel(), async (t) => {
        const { keystone, pauses, ...result } = await run(t, { always: faults.respondHtml(code) });
        checkFailure(t, result, status, { says: [`is unavailable (${String(code)} from a proxy`] });
        t.notMatch(result.stderr, /<|html/i, 'no HTML');
        t.equal(keystone.requests.length, 3);
        t.strictSame(pauses, [500, 1000]);
      });
    }),
    passesAtSecondTry(t, 'a gateway is back at the second try', faults.respondHtml(502)),
    passesAtSecondTry(t, 'a gateway closes the connection between two tries', faults.respondHtmlOnce(502)),
  ];
});

await group('a limit of the rate is waited for unless it takes too long', (t) => {
  const status = EXIT_STATUS.unreachable;
  const waitsOneSecond = async (name: string, first: Handler): Promise<void> => {
    await t.test(name, inParallel(), async (t) => {
      const { keystone, pauses, ...result } = await run(t, { first });
      checkSuccess(t, result);
      t.strictSame(pauses, [1000]);
      t.equal(keystone.countLogins(), 2);
    });
  };
  const far = new Date(Date.now() + 3_600_000);
  const limited = 'limits the rate of logins';
  return [
    waitsOneSecond('status 429 with seconds is waited for', faults.retryAfter(429, 1)),
    waitsOneSecond('status 503 with seconds is waited for', faults.retryAfter(503, 1)),
    t
      .test('status 429 with a date is waited for', inParallel(), async (t) => {
        let [sentAt, date] = [0, 0];
        const first: Handler = (...exchange) => {
          sentAt = Date.now();
          // A date has whole seconds.
          date = Math.floor(sentAt / 1000) * 1000 + 6000;
          return faults.retryAfter(429, new Date(date))(...exchange);
        };
        const pauses: { readonly ms: number; readonly beganAt: number }[] = [];
        const holdTimer = (ms: number, end: () => void): boolean => {
          if (ms <= 0 || ms === CONNECT_MS || ms > MAX_PAUSE_MS) return false;
          pauses.push({ ms, beganAt: Date.now() });
          setImmediate(end);
          return true;
        };
        const { keystone, ...result } = await run(t, { first, parts: { holdTimer } });
        checkSuccess(t, result);
        const [{ ms, beganAt } = { ms: 0, beganAt: 0 }, ...more] = pauses;
        // The time that the answer travels counts too. A date that is over by then is waited for for a moment.
        t.ok(ms <= date - sentAt && ms >= Math.min(1, date - beganAt), `the run waited ${ms} ms`);
        t.strictSame(more, []);
        t.equal(keystone.countLogins(), 2);
      })
      .then(() => undefined),
    fails(t, 'status 429 with too long a time is reported', faults.retryAfter(429, 60), {
      status,
      says: [limited, 'try again in 60 s'],
    }),
    fails(t, 'status 429 with a far date is reported', faults.retryAfter(429, far), {
      status,
      says: [`try again at ${far.toUTCString()}`],
    }),
    fails(t, 'status 503 with too long a time is reported', faults.retryAfter(503, 60), {
      status,
      says: ['Retry-After: 60'],
    }),
    fails(t, 'status 429 is reported after three requests', faults.retryAfter(429, 1), {
      status,
      says: [limited, 'in 1 s'],
      requests: 3,
    }),
    fails(t, 'status 429 without a time is reported', faults.respondJson(429, {}), {
      status,
      says: [limited, 'try again later'],
    }),
  ];
});

await group('a refusal is final, because a second try could lock the account', (t) => {
  const status = EXIT_STATUS.refused;
  const refused = { status, says: ['refused the login for alice (domain acme) on project web', 'does not tell which'] };
  const receipt = { 'openstack-auth-receipt': 'gAAAA' };
  const wanted = { receipt: { methods: ['password'] }, required_auth_methods: [['totp', 'password']] };
  const odd = { receipt: { methods: 1 }, required_auth_methods: [[{ toString: 1 }, null, 'totp'], 5, {}] };
  const offer = { error: { identity: { methods: ['totp', { toString: 1 }] } } };
  return [
    fails(t, 'Keystone answers 401', faults.respondKeystoneError(401, generic401), refused),
    fails(t, 'a proxy answers 401', faults.respondHtml(401), refused),
    fails(t, 'Keystone answers 401 with Retry-After', faults.respondJson(401, {}, { 'retry-after': '1' }), refused),
    fails(t, 'Keystone answers 400', faults.respondKeystoneError(400, 'Expecting to find domain in user.'), {
      status,
      says: ['Expecting to find domain in user', 'OS_USER_DOMAIN_NAME'],
    }),
    fails(t, 'Keystone answers 403', faults.respondKeystoneError(403, 'No.'), {
      status,
      says: ['forbids the login', ': No;'],
    }),
    fails(t, 'Keystone answers with a receipt', faults.respondJson(401, wanted, receipt), {
      status,
      says: ['another factor', ': totp;'],
    }),
    fails(t, 'Keystone answers with an odd receipt', faults.respondJson(401, odd, receipt), {
      status,
      says: ['another factor', ': totp'],
    }),
    fails(t, 'Keystone offers another method', faults.respondJson(401, offer), { status, says: ['it offers totp;'] }),
  ];
});

await group('the expiry of a token is read in every format, whatever the clock of the server', (t) => {
  const hour = 3_600_000;
  const unreadable = { status: EXIT_STATUS.protocol, says: ['without a readable expires_at'] };
  const endOf = ({ expirationTimestamp }: ExecCredentialStatus): number => Date.parse(expirationTimestamp);
  // The clock stands still, so that times can be compared.
  const start = Date.now();
  const parts = { now: () => start };
  /** Seconds between the expiry by the local clock and one hour after the start of the run. */
  const measureError = async (t: Test, attack: Attack): Promise<number> =>
    (endOf(checkSuccess(t, await run(t, { ...attack, parts }))) - start - hour) / 1000;
  const isExact = async (name: string, attack: Attack): Promise<void> => {
    await t.test(name, inParallel(), async (t) => {
      const seconds = await measureError(t, attack);
      t.ok(Math.abs(seconds) <= 5, `${seconds.toFixed(1)} s off`);
    });
  };
  return [
    ...Object.entries(faults.expiryFormats).map(async ([name, format]) => {
      await t.test(`the expiry has ${name}`, inParallel(), async (t) => {
        const written: Date[] = [];
        const prepare = (keystone: StandInKeystone): void => {
          keystone.formatExpiry = (expiry) => {
            written.push(expiry);
            return format(expiry);
          };
        };
        t.equal(endOf(checkSuccess(t, await run(t, { prepare }))), written[0]?.getTime());
      });
    }),
    t
      .test('the expiry is a leap second, which is the last second of a month', inParallel(), async (t) => {
        const prepare = (keystone: StandInKeystone): void => {
          keystone.formatExpiry = faults.formatLeapSecond;
        };
        const newYear = Date.UTC(2027, 0, 1);
        const attack = { prepare, parts: { now: () => newYear - hour + 30_000 } };
        t.equal(endOf(checkSuccess(t, await run(t, attack))), newYear);
      })
      .then(),
    ...faults.unreadableExpiries.map(async (expiry) => {
      await t.test(`the expiry ${JSON.stringify(expiry)} is unreadable`, inParallel(), async (t) => {
        const prepare = (keystone: StandInKeystone): void => {
          keystone.formatExpiry = () => expiry;
        };
        checkFailure(t, await run(t, { prepare }), unreadable.status, unreadable);
      });
    }),
    fails(t, 'an expiry that is not text is unreadable', faults.withBody({ token: { expires_at: 1 } }), unreadable),
    ...[-10, 10].map((minutes) =>
      isExact(`the clock of the server is ${String(minutes)} min off`, {
        prepare: (keystone) => {
          keystone.clockAheadSeconds = minutes * 60;
        },
      }),
    ),
    isExact('the answer has no Date', { always: faults.withDate(undefined) }),
    isExact('the answer has a Date that is none', { always: faults.withDate('yesterday') }),
  ];
});

await t.test('text of the server reaches the terminal without control characters', async (t) => {
  const corpus = [
    '\x1b]52;c;ZXZpbA==\x07',
    '\x1b]0;title\x1b\\',
    '\x1b]8;;https://evil.example\x1b\\',
    '\x1b[2J\x1b[1;1H\x1b[31mred',
    '\x1bP$q"p\x1b\\',
    '\x1bc',
    '\x9b31m\x9d52;c;ZXZpbA==\x9c',
    '\r\nPassword: ',
    'a\rb\bc\vd\fe\0f\x07g\x7fh\ti',
    '\u202eevil\u202c\u2066x\u2069\u200e\u200f\u061c',
    'a\u2028b\u2029c\u0085d',
    'a\u200bb\u200dc\ufeffd\u00ade\u2060f\u180e',
    '\u{e0041}\u{e007f}',
    '\ue000\u{f0000}\u{10ffff}',
    PASSWORD,
  ].join(' ');
  // A message quotes at most 300 characters of the server, so the rest cannot appear.
  t.ok(corpus.length < 280);
  const shapes: Record<string, (text: string) => Handler> = {
    'a message': (text) => faults.respondKeystoneError(400, text),
    'the message of a 403': (text) => faults.respondKeystoneError(403, text),
    'the message of a 404': (text) => faults.respondKeystoneError(404, text),
    'the message of a 409': (text) => faults.respondKeystoneError(409, text),
    'the message of a 418': (text) => faults.respondKeystoneError(418, text),
    'a detail': (text) => faults.respondJson(400, { errors: [{ detail: text }] }),
    'a title': (text) => faults.respondJson(400, { errors: [{ title: text }] }),
    'an offered method': (text) => faults.respondJson(401, { error: { identity: { methods: [text] } } }),
    'a required method': (text) =>
      faults.respondJson(401, { required_auth_methods: [[text]] }, { 'openstack-auth-receipt': 'gAAAA' }),
  };
  for (const [name, shape] of Object.entries(shapes)) {
    await t.test(`${name} is escaped and redacted`, async (t) => {
      const result = await run(t, { always: shape(`begin ${corpus} end`) });
      checkFailure(t, result, name.endsWith('418') ? EXIT_STATUS.protocol : EXIT_STATUS.refused, {
        says: ['begin \\u{1b}]52;', '\\u{d}\\u{a}Password:', '\\u{202e}evil', '[redacted] end'],
      });
    });
  }

  await t.test('a header is escaped, redacted and shortened', async (t) => {
    const message = `${PASSWORD} \x9b31m\x85`;
    const says = [/\[redacted\] .*\\u\{9b\}31m.*\\u\{85\}/];
    const id = { 'x-openstack-request-id': message };
    checkFailure(t, await run(t, { always: faults.respondJson(400, {}, id) }), EXIT_STATUS.refused, { says });
    const later = { 'retry-after': message };
    checkFailure(t, await run(t, { always: faults.respondJson(429, {}, later) }), EXIT_STATUS.unreachable, { says });
    const wall = { 'x-openstack-request-id': 'r'.repeat(10_000) };
    const { stderr } = await run(t, { always: faults.respondJson(400, {}, wall) });
    t.ok(stderr.length < 1000, 'the message is short');
  });
});

await t.test('a verbose run prints no secrets', async (t) => {
  const keystone = await startKeystoneForTest(t);
  const alice = setUp(t, { settings: makeLoginSettings(`${keystone.url}/v3`) });
  const { stdout, stderr, status } = await alice.run('-vvv');
  t.equal(status, 0);
  const { token } = (JSON.parse(stdout) as { status: ExecCredentialStatus }).status;
  t.notOk(stderr.includes(PASSWORD));
  t.notOk(stderr.includes(token));
  t.match(stderr, 'answered 201');
});
