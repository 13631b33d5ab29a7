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
import { checkFailure, checkSuccess, makeLoginSettings, runInFreshHome } from '../support/check-run.ts';
import { startKeystoneForTest } from '../support/check-run.ts';
import type { ExecCredentialStatus } from '../support/check-run.ts';
import type { RunResult } from '../support/run-plugin.ts';
import type { StandInKeystone } from '../support/stand-in-keystone.ts';
import type { Handler } from '../support/stand-in-keystone/handlers.ts';

t.setTimeout(120_000);

// Most of these tests only wait, so they run in parallel. A new object for each test, because tap changes it.
const inParallel = (): { buffered: true; jobs: number } => ({ buffered: true, jobs: 4 });

interface Result extends RunResult {
  readonly seconds: number;
  readonly standIn: StandInKeystone;
}

interface Run {
  /** Handles every request. */
  readonly always?: Handler;
  /** Handles only the first request. */
  readonly first?: Handler;
  readonly args?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  readonly prepare?: (standIn: StandInKeystone) => void;
}

async function run(t: Test, { always, first, args = [], env = {}, prepare }: Run = {}): Promise<Result> {
  const standIn = await startKeystoneForTest(t);
  prepare?.(standIn);
  if (always !== undefined) standIn.answerAlways(always);
  if (first !== undefined) standIn.answerNext(first);
  const start = performance.now();
  const result = await runInFreshHome({ env: { ...makeLoginSettings(`${standIn.url}/v3`), ...env }, args });
  return { ...result, standIn, seconds: (performance.now() - start) / 1000 };
}

interface Expected {
  readonly status: number;
  readonly says: readonly (string | RegExp)[];
  readonly requests?: number;
}

async function fails(t: Test, name: string, always: Handler, expected: Expected): Promise<void> {
  await t.test(name, inParallel(), async (t) => {
    const { standIn, ...result } = await run(t, { always });
    checkFailure(t, result, expected.status, expected);
    t.equal(standIn.requests.length, expected.requests ?? 1, 'requests');
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

await t.test('responses without an end', async (t) => {
  const most = 160;
  const bodies: Record<string, Handler> = {
    '1 GiB announced': faults.hugeBody(),
    '1 GiB in chunks': faults.hugeBody(undefined, false),
    'a body without end': faults.neverEndingBody(),
    'a gzip bomb': faults.gzipBomb(),
  };
  const directory = t.testdir();
  const reporter = join(directory, 'report.cjs');
  const report = join(directory, 'peak');
  // The process reports its own peak, because this works on every platform.
  const write = `require('fs').writeFileSync(${JSON.stringify(report)}, String(process.resourceUsage().maxRSS))`;
  writeFileSync(reporter, `process.on('exit', () => { ${write}; });`);
  for (const [name, always] of Object.entries(bodies)) {
    await t.test(name, async (t) => {
      const result = await run(t, { always, env: { NODE_OPTIONS: `--require ${reporter}` } });
      checkFailure(t, result, EXIT_STATUS.protocol, { says: ['larger than 1 MiB', notKeystone] });
      t.ok(result.seconds < 10, 'the run ends at the limit');
      const peak = Math.round(Number(readFileSync(report, 'utf8')) / 1024);
      t.ok(peak > 0 && peak <= most, `memory peaks at ${String(peak)} MiB`);
    });
  }

  await t.test('a body of just 1 MiB, and one byte too long', async (t) => {
    const limit = 1024 * 1024;
    const padded = (size: number): Handler =>
      faults.changeResponse((answer) => {
        const text = JSON.stringify(answer.body);
        return { ...answer, body: text + ' '.repeat(size - text.length) };
      });
    checkSuccess(t, await run(t, { always: padded(limit) }));
    const result = await run(t, { always: padded(limit + 1) });
    checkFailure(t, result, EXIT_STATUS.protocol, { says: ['larger than 1 MiB'] });
  });

  await t.test('a compressed response that was not requested', async (t) => {
    const { standIn, ...result } = await run(t, { always: faults.gzipBomb(1024) });
    checkFailure(t, result, EXIT_STATUS.protocol, { says: ['the response is compressed'] });
    t.equal(standIn.requests[0]?.headers['accept-encoding'], 'identity');
  });
});

await group('what takes too long', (t) => {
  const slow: Record<string, Handler> = {
    'a body of one byte a second': faults.slowBody(),
    'headers of one byte a second': faults.slowHeaders(),
    'no answer': faults.silence(),
    'a pause before a retry that is longer than the deadline': faults.retryAfter(429, 9),
  };
  return Object.entries(slow).map(async ([name, always]) => {
    await t.test(name, inParallel(), async (t) => {
      const { standIn, seconds, ...result } = await run(t, { always, args: ['--timeout', '2'] });
      checkFailure(t, result, EXIT_STATUS.unreachable, { says: ['did not respond within 2 s', '--timeout'] });
      t.ok(seconds >= 1.9 && seconds < 5, `${seconds.toFixed(1)} s`);
      t.equal(standIn.requests.length, 1);
    });
  });
});

await group('connections that break are not tried again: the login may have counted', (t) => {
  const status = EXIT_STATUS.unreachable;
  const middle = ['in the middle of its response'];
  return [
    fails(t, 'a reset', faults.resetImmediately(), { status, says: ['it closed the connection'] }),
    fails(t, 'a reset in the middle', faults.resetMidBody(), { status, says: middle }),
    fails(t, 'an end in the middle', faults.cutMidBody(), { status, says: middle }),
  ];
});

await group('answers that are not Keystone’s', (t) => {
  const status = EXIT_STATUS.protocol;
  const noJson = { status, says: [/answered with no JSON, which is not Keystone; check OS_AUTH_URL/] };
  const bodies = ['', '[]', 'null', '"token"', '[{"token":{}}]', '{"__proto__":{"token":{}}', '['.repeat(200_000)];
  const tokenless = ['{}', '{"token":null}', '{"token":[]}', '{"__proto__":{"token":{}}}'];
  return [
    fails(t, 'broken JSON', faults.malformedJson(), noJson),
    ...bodies.map((body) => fails(t, `the body ${body.slice(0, 40)}`, faults.withBody(body), noJson)),
    ...tokenless.map((body) =>
      fails(t, body, faults.withBody(body), { status, says: ['does not contain a token', notKeystone] }),
    ),
    fails(t, 'no X-Subject-Token', faults.withoutToken(), { status, says: ['without the X-Subject-Token header'] }),
    fails(t, 'a captive portal', faults.respondHtml(200), {
      status,
      says: ['answered with HTML', 'sign in to the network'],
    }),
    fails(t, 'HTML with 201', faults.respondHtml(201), { status, says: ['answered with HTML'] }),
    fails(t, 'nothing with 204', faults.respondHtml(204, ''), { status, says: [notKeystone] }),
    fails(t, 'a page that is not found', faults.respondHtml(404), { status, says: ['no Keystone v3', 'OS_AUTH_URL'] }),
    fails(t, 'a status that nobody uses', faults.respondHtml(418), { status, says: ['HTML', notKeystone] }),
  ];
});

await group('tokens that must not reach kubectl', (t) => {
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
      fails(t, name, faults.withToken(token), { status: EXIT_STATUS.protocol, says }),
    ),
    passes('carriage return and line feed', splitting, 'gAAAA'),
    passes('the longest that is allowed', longest, longest),
  ];
});

await group('errors of the server', (t) => {
  const status = EXIT_STATUS.unreachable;
  const ofKeystone = { error: { code: 500, message: 'An unexpected error', title: 'Internal Server Error' } };
  return [
    fails(t, '500 of a proxy', faults.respondHtml(500), { status, says: ['failed with error 500'] }),
    fails(t, '501', faults.respondHtml(501), { status, says: ['failed with error 501'] }),
    fails(t, '500 of Keystone', faults.respondJson(500, ofKeystone, { 'x-openstack-request-id': 'req-12' }), {
      status,
      says: ['failed with error 500', '(req-12)'],
    }),
    ...[502, 503, 504].map(async (code) => {
      await t.test(`${String(code)} is retried twice`, inParallel(), async (t) => {
        const arrivals: number[] = [];
        const page = faults.respondHtml(code);
        const always: Handler = (request, response, exchange) => {
          arrivals.push(performance.now());
          return page(request, response, exchange);
        };
        const result = await run(t, { always });
        checkFailure(t, result, status, { says: [`is unavailable (${String(code)} from a proxy`] });
        t.notMatch(result.stderr, /<|html/i, 'no HTML');
        t.equal(arrivals.length, 3);
        const [first = 0, second = 0] = arrivals.slice(1).map((arrival, index) => arrival - (arrivals[index] ?? 0));
        // A pause can be longer on a busy machine, but never shorter.
        t.ok(first >= 450 && first < 1500, `after ${first.toFixed(0)} ms`);
        t.ok(second >= 950 && second < 2500, `after ${second.toFixed(0)} ms`);
      });
    }),
    t
      .test('a gateway that is back at the second try', inParallel(), async (t) => {
        const { standIn, ...result } = await run(t, { first: faults.respondHtml(502) });
        checkSuccess(t, result);
        t.equal(standIn.countLogins(), 2);
      })
      .then(),
  ];
});

await group('limits of the rate', (t) => {
  const status = EXIT_STATUS.unreachable;
  const waits = async (name: string, makeFirst: () => Handler): Promise<void> => {
    await t.test(name, inParallel(), async (t) => {
      const { standIn, seconds, ...result } = await run(t, { first: makeFirst() });
      checkSuccess(t, result);
      t.ok(seconds >= 1, `the run waited ${seconds.toFixed(1)} s`);
      t.equal(standIn.countLogins(), 2);
    });
  };
  const far = new Date(Date.now() + 3_600_000);
  const limited = 'limits the rate of logins';
  return [
    waits('429 with seconds is waited for', () => faults.retryAfter(429, 1)),
    waits('503 with seconds is waited for', () => faults.retryAfter(503, 1)),
    // A date has whole seconds, so the wait is at least one second minus the start of Node.
    waits('429 with a date is waited for', () => faults.retryAfter(429, new Date(Date.now() + 3000))),
    fails(t, '429 with too long a time', faults.retryAfter(429, 60), { status, says: [limited, 'try again in 60 s'] }),
    fails(t, '429 with a far date', faults.retryAfter(429, far), {
      status,
      says: [`try again at ${far.toUTCString()}`],
    }),
    fails(t, '503 with too long a time', faults.retryAfter(503, 60), { status, says: ['Retry-After: 60'] }),
    fails(t, '429 for ever', faults.retryAfter(429, 1), { status, says: [limited, 'in 1 s'], requests: 3 }),
    fails(t, '429 that does not say when', faults.respondJson(429, {}), { status, says: [limited, 'try again later'] }),
  ];
});

await group('a refusal is final: a second try could lock the account', (t) => {
  const status = EXIT_STATUS.refused;
  const refused = { status, says: ['refused the login for alice (domain acme) on project web', 'does not tell which'] };
  const receipt = { 'openstack-auth-receipt': 'gAAAA' };
  const wanted = { receipt: { methods: ['password'] }, required_auth_methods: [['totp', 'password']] };
  const odd = { receipt: { methods: 1 }, required_auth_methods: [[{ toString: 1 }, null, 'totp'], 5, {}] };
  const offer = { error: { identity: { methods: ['totp', { toString: 1 }] } } };
  return [
    fails(t, '401', faults.respondKeystoneError(401, generic401), refused),
    fails(t, '401 of something else', faults.respondHtml(401), refused),
    fails(t, '401 with Retry-After', faults.respondJson(401, {}, { 'retry-after': '1' }), refused),
    fails(t, '400', faults.respondKeystoneError(400, 'Expecting to find domain in user.'), {
      status,
      says: ['Expecting to find domain in user', 'OS_USER_DOMAIN_NAME'],
    }),
    fails(t, '403', faults.respondKeystoneError(403, 'No.'), { status, says: ['forbids the login', ': No;'] }),
    fails(t, 'a receipt', faults.respondJson(401, wanted, receipt), { status, says: ['another factor', ': totp;'] }),
    fails(t, 'an odd receipt', faults.respondJson(401, odd, receipt), { status, says: ['another factor', ': totp'] }),
    fails(t, 'another method', faults.respondJson(401, offer), { status, says: ['it offers totp;'] }),
  ];
});

await t.test('the expiry of a token', async (t) => {
  const hour = 3_600_000;
  const unreadable = { status: EXIT_STATUS.protocol, says: ['without a readable expires_at'] };
  const endOf = ({ expirationTimestamp }: ExecCredentialStatus): number => Date.parse(expirationTimestamp);
  /** Seconds between the expiry by the local clock and one hour after the start of the run. */
  const offAnHour = async (t: Test, options: Run): Promise<number> => {
    const start = Date.now();
    return (endOf(checkSuccess(t, await run(t, options))) - start - hour) / 1000;
  };

  for (const [name, spell] of Object.entries({ ...faults.expiryFormats, leap: faults.formatLeapSecond })) {
    await t.test(name, async (t) => {
      const written: Date[] = [];
      const prepare = (standIn: StandInKeystone): void => {
        standIn.formatExpiry = (expiry) => {
          // The leap second is at the end of the last full minute.
          written.push(name === 'leap' ? new Date(Math.floor(expiry.getTime() / 60_000) * 60_000) : expiry);
          return spell(expiry);
        };
      };
      t.equal(endOf(checkSuccess(t, await run(t, { prepare }))), written[0]?.getTime());
    });
  }

  for (const expiry of faults.unreadableExpiries) {
    await t.test(`unreadable: ${JSON.stringify(expiry)}`, async (t) => {
      const prepare = (standIn: StandInKeystone): void => {
        standIn.formatExpiry = () => expiry;
      };
      checkFailure(t, await run(t, { prepare }), unreadable.status, unreadable);
    });
  }
  await fails(t, 'no text', faults.withBody({ token: { expires_at: 1 } }), unreadable);

  for (const minutes of [-10, 10]) {
    await t.test(`a clock that is ${String(minutes)} min off`, async (t) => {
      const prepare = (standIn: StandInKeystone): void => {
        standIn.clockAheadSeconds = minutes * 60;
      };
      const off = await offAnHour(t, { prepare });
      t.ok(Math.abs(off) <= 5, `${off.toFixed(1)} s off`);
    });
  }
  for (const [name, date] of Object.entries({ 'no Date': undefined, 'a Date that is none': 'yesterday' })) {
    await t.test(name, async (t) => {
      const off = await offAnHour(t, { always: faults.withDate(date) });
      t.ok(Math.abs(off) <= 5, `${off.toFixed(1)} s off`);
    });
  }
});

await t.test('text of the server on the terminal', async (t) => {
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
    message: (text) => faults.respondKeystoneError(400, text),
    'message of a 403': (text) => faults.respondKeystoneError(403, text),
    'message of a 404': (text) => faults.respondKeystoneError(404, text),
    'message of a 409': (text) => faults.respondKeystoneError(409, text),
    'message of a 418': (text) => faults.respondKeystoneError(418, text),
    detail: (text) => faults.respondJson(400, { errors: [{ detail: text }] }),
    title: (text) => faults.respondJson(400, { errors: [{ title: text }] }),
    'offered method': (text) => faults.respondJson(401, { error: { identity: { methods: [text] } } }),
    'required method': (text) =>
      faults.respondJson(401, { required_auth_methods: [[text]] }, { 'openstack-auth-receipt': 'gAAAA' }),
  };
  for (const [name, shape] of Object.entries(shapes)) {
    await t.test(name, async (t) => {
      const result = await run(t, { always: shape(`begin ${corpus} end`) });
      checkFailure(t, result, name.endsWith('418') ? EXIT_STATUS.protocol : EXIT_STATUS.refused, {
        says: ['begin \\u{1b}]52;', '\\u{d}\\u{a}Password:', '\\u{202e}evil', '[redacted] end'],
      });
    });
  }

  await t.test('headers', async (t) => {
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
  const { stdout, stderr, status } = await run(t, { args: ['-vvv'] });
  t.equal(status, 0);
  const { token } = (JSON.parse(stdout) as { status: ExecCredentialStatus }).status;
  t.notOk(stderr.includes(PASSWORD));
  t.notOk(stderr.includes(token));
  t.match(stderr, 'answered 201');
});
