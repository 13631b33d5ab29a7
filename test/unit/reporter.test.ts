import { inspect } from 'node:util';
import t from 'tap';
import { openLog, makeReporter, reportFailure } from '../../src/plugin/cli/reporter.ts';
import { makePrintable } from '../../src/shared/base/terminal-text.ts';
import { AuthRejected, PluginError, UsageError } from '../../src/shared/base/errors.ts';
import { redact, Secret } from '../../src/shared/base/secret.ts';
import { fakeHost } from '../support/fake-host.ts';

function report(error: unknown): { status: number; text: string } {
  let text = '';
  const status = reportFailure(openLog(fakeHost({ writeErr: (line) => (text += line) })), error);
  return { status, text };
}

void t.test('an error is one line: what happened, what to do, and the request ID', async (t) => {
  const error = new AuthRejected('auth-rejected', 'Keystone refused', { hint: 'check it', requestId: 'req-1' });
  t.same(report(error), { status: 5, text: 'client-keystone-auth: Keystone refused; check it (req-1)\n' });
  t.same(report(new UsageError('no')), { status: 2, text: 'client-keystone-auth: no\n' });
  t.equal(report(new PluginError('timed-out', 'x')).status, 6);
});

void t.test('an unexpected error is reported as a bug, without secrets', async (t) => {
  const secret = new Secret('hunter2-canary');
  const { status, text } = report(new TypeError(`bad value ${secret.reveal()}\n    at x`));
  t.equal(status, 1);
  t.match(text, /^client-keystone-auth: internal error: TypeError: bad value \[redacted\].*bug.*\n$/);
  t.notMatch(text, /hunter2/);
  t.equal(text.split('\n').length, 2, 'one line');
});

void t.test('no control characters reach the terminal', async (t) => {
  const hostile = [
    '\u001b]52;c;aGk=\u0007',
    '\u009b31m',
    'a\rb',
    'a\nb',
    '\u202egnp.exe',
    '\u2066x\u2069',
    '\u0000',
    '\u007f',
    '\u200b',
    '\ufeff',
    '\u{e0041}',
  ];
  for (const text of hostile) t.match(makePrintable(text), /^[\x20-\x7e]*$/, JSON.stringify(text));
  t.equal(makePrintable('Grüße, 你好 😀'), 'Grüße, 你好 😀');
});

void t.test('a secret is printed as [redacted]', async (t) => {
  const secret = new Secret('s3cret-value');
  t.equal(String(secret), '[redacted]');
  t.equal(secret.toString(), '[redacted]');
  t.equal(JSON.stringify({ secret }), '{"secret":"[redacted]"}');
  t.notMatch(inspect({ secret }, { showHidden: true, depth: 9 }), /s3cret/);
  t.equal(redact('x s3cret-value y'), 'x [redacted] y');
  new Secret('s3cret-value-longer');
  t.equal(redact('s3cret-value-longer'), '[redacted]');
});

void t.test('debug messages appear only with --verbose', async (t) => {
  let text = '';
  const host = fakeHost({ writeErr: (line) => (text += line) });
  const none = new Map();
  const some = new Map([['verbose' as const, { value: '2', origin: '--verbose' }]]);
  const log = openLog(host);
  makeReporter(log, none).debug('quiet');
  t.equal(text, '');
  makeReporter(log, some).debug('loud');
  makeReporter(log, some).debug('too much', 3);
  makeReporter(log, none).warn('careful');
  t.equal(text, 'client-keystone-auth: loud\nclient-keystone-auth: warning: careful\n');
});

void t.test('--log-format=json prints an object per line, even if the arguments are invalid', async (t) => {
  const lines: unknown[] = [];
  const writeErr = (line: string): void => {
    lines.push(JSON.parse(line));
  };
  const now = (): number => Date.UTC(2026, 0, 2, 3, 4, 5);
  const byFlag = fakeHost({ argv: ['--bogus', '--log-format', 'json'], writeErr, now });
  const joined = fakeHost({ argv: ['--log-format=text', '--log-format=json'], writeErr, now });
  const error = new AuthRejected('auth-rejected', 'Keystone refused', { hint: 'check \u001b it', requestId: 'req-1' });
  t.equal(reportFailure(openLog(byFlag), error), 5);
  makeReporter(openLog(joined), new Map()).warn('careful');
  t.same(lines, [
    {
      time: '2026-01-02T03:04:05.000Z',
      level: 'error',
      msg: 'Keystone refused',
      code: 'auth-rejected',
      hint: 'check \\u{1b} it',
      requestId: 'req-1',
    },
    { time: '2026-01-02T03:04:05.000Z', level: 'warning', msg: 'careful' },
  ]);
});
