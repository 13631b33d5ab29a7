// What a person waits for is said after a second, once, on a terminal only.

import t from 'tap';
import { makeReporter, openLog } from '../../src/plugin/cli/reporter.ts';
import { openKeyring } from '../../src/plugin/cache/keyring.ts';
import { openNegotiateHttp } from '../../src/plugin/kerberos/negotiate.ts';
import { LONG_WAIT_MS } from '../../src/shared/base/long-wait.ts';
import type { WaitFor } from '../../src/shared/base/long-wait.ts';
import { openHttpClient } from '../../src/shared/http/http-client.ts';
import type { HttpClient, HttpSettings } from '../../src/shared/http/http-client.ts';
import { fakeHost } from '../support/fake-host.ts';
import { makeVirtualClock } from '../support/virtual-clock.ts';
import type { VirtualClock } from '../support/virtual-clock.ts';

/** A promise that the test resolves. */
function makeWork<T>(): { promise: Promise<T>; finish: (value: T) => void } {
  let finish: (value: T) => void = () => undefined;
  const promise = new Promise<T>((resolve) => {
    finish = resolve;
  });
  return { promise, finish: (value) => finish(value) };
}

interface Wait {
  readonly clock: VirtualClock;
  readonly waitFor: WaitFor;
  readonly lines: string[];
}

function setUpWait(isTerminal: boolean, argv: readonly string[] = []): Wait {
  const [clock, lines] = [makeVirtualClock(), [] as string[]];
  const host = fakeHost({
    argv,
    stderrIsTerminal: () => isTerminal,
    writeErr: (text) => lines.push(text),
    writeOut: () => {
      throw new Error('stdout is for the document');
    },
  });
  return { clock, waitFor: makeReporter(openLog(host), new Map(), clock).waitFor, lines };
}

const NOTICE = 'client-keystone-auth: waiting for Keystone at https://k.test\n';

void t.test('a long wait is said after a second, and a short one is not', async (t) => {
  const { clock, waitFor, lines } = setUpWait(true);
  const work = makeWork<string>();
  const waiting = waitFor('Keystone at https://k.test', () => work.promise);
  await clock.advance(LONG_WAIT_MS - 1);
  t.strictSame(lines, []);
  await clock.advance(1);
  t.strictSame(lines, [NOTICE]);
  await clock.advance(60_000);
  work.finish('token');
  t.equal(await waiting, 'token');
  t.strictSame(lines, [NOTICE], 'once');
  t.equal(await waitFor('the system keyring', async () => 1), 1);
  await t.rejects(
    waitFor('the system keyring', () => Promise.reject(new Error('no'))),
    { message: 'no' },
  );
  await clock.advance(60_000);
  t.strictSame(lines, [NOTICE], 'a wait that has ended says nothing, for example under a prompt');
});

void t.test('a run names each thing that it waits for once', async (t) => {
  const { clock, waitFor, lines } = setUpWait(true);
  for (const what of ['Keystone at https://k.test', 'Keystone at https://k.test', 'the system keyring']) {
    const work = makeWork<undefined>();
    const waiting = waitFor(what, () => work.promise);
    await clock.advance(LONG_WAIT_MS);
    work.finish(undefined);
    await waiting;
  }
  t.strictSame(lines, [NOTICE, 'client-keystone-auth: waiting for the system keyring\n']);
});

void t.test('nothing is said where stderr is no terminal', async (t) => {
  const { clock, waitFor, lines } = setUpWait(false);
  const work = makeWork<undefined>();
  const waiting = waitFor('Keystone at https://k.test', () => work.promise);
  await clock.advance(60_000);
  work.finish(undefined);
  await waiting;
  t.strictSame(lines, []);
});

void t.test('with --log-format=json, it is a JSON object', async (t) => {
  const { clock, waitFor, lines } = setUpWait(true, ['--log-format=json']);
  const work = makeWork<undefined>();
  const waiting = waitFor('Keystone at https://k.test', () => work.promise);
  await clock.advance(LONG_WAIT_MS);
  work.finish(undefined);
  await waiting;
  t.match(JSON.parse(lines.join('')), { level: 'info', msg: 'waiting for Keystone at https://k.test' });
});

void t.test('requests, curl and the keyring are waited for like this', async (t) => {
  const awaited: string[] = [];
  const waitFor: WaitFor = (what, work) => {
    awaited.push(what);
    return work();
  };
  // No PATH: neither curl nor a session bus can be found.
  const host = fakeHost({ personalVariables: () => ({}) });
  const settings: HttpSettings = {
    host,
    tls: { insecure: false, paths: {}, files: [] } as unknown as HttpSettings['tls'],
    trustedOrigins: { path: '/trusted', origins: new Map() } as unknown as HttpSettings['trustedOrigins'],
    chooseProxy: () => ({ proxy: undefined, because: 'a test' }),
    userAgent: 'test',
    deadlineMs: 1_000,
    waitFor,
    log: () => undefined,
  };
  const send = (http: HttpClient): Promise<unknown> =>
    http.send({ verb: 'GET', url: 'https://k.test:5000/v3/auth/tokens' }).finally(() => {
      http.close();
    });
  await t.rejects(send(await openHttpClient(settings)), { code: 'config-invalid', message: /servers that you trust/ });
  await t.rejects(send(openNegotiateHttp(settings)), { code: 'config-invalid', message: /servers that you trust/ });
  await t.rejects(openKeyring(host, waitFor).read('key'), { code: 'cache' });
  t.strictSame(awaited, ['Keystone at https://k.test:5000', 'Keystone at https://k.test:5000', 'the system keyring']);
});
