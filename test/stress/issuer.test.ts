// The issuer under a flood of exchanges that are none. Time is virtual, except where memory is measured.

import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import t from 'tap';
import { CLIENT_LIMIT } from '../../src/webhook/server/request-log.ts';
import {
  AUDIENCE,
  encodeForm,
  ISSUER_URL,
  makeForm,
  makeIssuerCommandLine,
  postForm,
  writeFormRequest,
} from '../support/issuer-settings.ts';
import { makeKeyFile, startIssuer } from '../support/issuer.ts';
import { generateLoad } from '../support/load-generator.ts';
import { skipWithout } from '../support/missing-tools.ts';
import { pickSize } from '../support/stress.ts';
import { waitForEvents } from '../support/wait-until.ts';
import { makeFakeToken } from '../support/webhook-client.ts';
import { countValidations, issueToken, startTestKeystone } from '../support/webhook-keystone.ts';
import { startServerProcess } from '../support/webhook-process.ts';
import { shareTestPki } from '../support/webhook-settings.ts';

/** Exchanges in all, and how often a user comes in between. */
const COUNT = pickSize(10_000, 2_000);
const USERS = 10;
const MEMORY_COUNT = pickSize(10_000, 1_000);

/** More than the tokens that can wait for Keystone, so that some exchanges are turned away. */
const CONNECTIONS = 160;

/** Unknown tokens that are validated in each second, and at once after a quiet time. */
const RATE = 15;
const BURST = 250;
const MS_PER_TURN = 1_000 / RATE + 1;
const ANSWERS_PER_TURN = 20;

/** Another address of this machine, which only Linux answers for without further ado. */
const OTHER_ADDRESS = '127.0.0.2';

const REFUSED = /^\{"error":"[a-z_]+","error_description":"[^"\\]+"\}$/;

const ca = readFileSync((await shareTestPki()).ca);
const { pathname } = new URL(ISSUER_URL);

const writeRequest = (body: string): string => writeFormRequest(`${pathname}/token`, body);

/** What no test may find in the log: each piece of garbage contains one of the two. */
const CANARY = 'canary';
const FERNET = 'gAAAA';

/** Makes garbage that costs no request to Keystone. */
const CHEAP: readonly (() => string)[] = [
  () => encodeForm(makeForm(`${CANARY}${randomBytes(60).toString('base64url')}`)),
  () => `${encodeForm(makeForm(makeFakeToken()))}&audience=${CANARY}`,
  () => `${CANARY}=${randomBytes(30).toString('latin1')}%ff%\0&&==`,
  () => encodeForm({ ...makeForm(CANARY.repeat(3_000), CANARY), x: CANARY.repeat(3_000) }),
];

/** Tokens that only Keystone can judge: most as if made now, and one of any age. */
const COSTLY: readonly ((nowMs: number) => string)[] = [
  (nowMs) => encodeForm(makeForm(makeFakeToken(nowMs))),
  (nowMs) => encodeForm(makeForm(makeFakeToken(nowMs))),
  () => encodeForm(makeForm(makeFakeToken(), `${AUDIENCE}-${CANARY}`)),
];

/** Makes the piece of garbage with this number: a third only Keystone can judge. */
function makeGarbage(number: number, nowMs: number): { readonly body: string; readonly isCostly: boolean } {
  const isCostly = number % 3 === 0;
  const make = isCostly ? COSTLY[(number / 3) % COSTLY.length] : CHEAP[number % CHEAP.length];
  return { body: make?.(nowMs) ?? '', isCostly };
}

void t.test(`${COUNT} garbage exchanges cost Keystone no more than the limit, and lock nobody out`, async (t) => {
  const keystone = await startTestKeystone(t);
  const issuer = await startIssuer(t, { keystone });
  const known = issueToken(keystone);
  t.match(await postForm(issuer, makeForm(known)), { status: 200 });
  /** The tokens of users that are being exchanged, each in an exchange of its own. */
  const exchanging = new Set<{ readonly token: string }>();
  const exchangeElsewhere = async (token: string): Promise<number> => {
    const exchange = { token };
    exchanging.add(exchange);
    const { status } = await issuer.sendRequest({
      method: 'POST',
      path: `${pathname}/token`,
      body: encodeForm(makeForm(token)),
      headers: { 'content-type': 'application/x-www-form-urlencoded' },
      tls: process.platform === 'linux' ? { localAddress: OTHER_ADDRESS } : {},
    });
    exchanging.delete(exchange);
    return status;
  };
  const wrong: string[] = [];
  const users: Promise<number>[] = [];
  const waiting = new Set<string>();
  let [sent, answered, active, isOver] = [0, 0, CONNECTIONS, false];
  const flood = generateLoad({
    port: issuer.port,
    ca,
    connections: CONNECTIONS,
    writeRequest,
    nextBody: () => {
      if (sent >= COUNT) {
        active -= 1;
        return undefined;
      }
      sent += 1;
      if (sent % (COUNT / USERS) === 0) {
        users.push(exchangeElsewhere(known));
        if (process.platform === 'linux') users.push(exchangeElsewhere(issueToken(keystone)));
      }
      const { body, isCostly } = makeGarbage(sent, issuer.clock.now());
      if (isCostly) waiting.add(body);
      return body;
    },
    onResponse: (response, body) => {
      waiting.delete(body);
      answered += 1;
      if (!REFUSED.test(response)) wrong.push(response);
    },
  });
  const statuses = flood.then(() => Promise.all(users)).finally(() => (isOver = true));
  let [answeredBefore, askedBefore] = [0, -1];
  /**
   * Whether time may pass by one turn: after some answers, or if everybody who is left waits for Keystone. The deadlines of
   * users must not pass while their requests are on their way. Only a user who has just logged in needs turns, until
   * Keystone is asked about the token. Each turn leads to a question, so the next one follows only after that.
   */
  const mayTimePass = (): boolean => {
    const isAsked = ({ token }: { readonly token: string }): boolean =>
      token === known || keystone.requests.some(({ headers }) => headers['x-subject-token'] === token);
    if ([...exchanging].some(isAsked)) return false;
    if (exchanging.size > 0) return countValidations(keystone) > askedBefore;
    return answered - answeredBefore >= ANSWERS_PER_TURN || waiting.size >= active;
  };
  while (!isOver) {
    await waitForEvents('all are answered, or a turn', () => isOver || mayTimePass());
    [answeredBefore, askedBefore] = [answered, countValidations(keystone)];
    await issuer.clock.advance(MS_PER_TURN);
  }
  t.strictSame(wrong, [], 'all garbage is refused');
  t.strictSame(
    (await statuses).filter((status) => status !== 200),
    [],
    'a user with a known token gets one, and so does a user who has just logged in elsewhere',
  );
  const limit = 1 + users.length + BURST + (RATE * issuer.clock.monotonicMs()) / 1_000;
  const asked = countValidations(keystone);
  t.ok(asked > BURST && asked <= limit, `${asked} questions to Keystone, of which ${limit.toFixed(0)} are allowed`);
  await issuer.stop();
  const log = issuer.readOutput();
  const refusals = log.split('"msg":"exchange refused"').length - 1;
  const leftOut = [...log.matchAll(/"leftOut":\{[^}]*"exchange refused":(\d+)/g)].map(([, count]) => Number(count));
  t.equal(
    refusals + leftOut.reduce((sum, count) => sum + count, 0),
    COUNT,
    'each refusal is in the log, or counted there',
  );
  const room = CLIENT_LIMIT.burst + (CLIENT_LIMIT.perSecond * issuer.clock.monotonicMs()) / 1_000;
  t.ok(refusals <= room, `${refusals} lines about ${COUNT} refusals, of which ${room.toFixed(0)} have room`);
  t.notOk(log.includes(CANARY) || log.includes(FERNET), 'no text is there that somebody made up');
});

void t.test(
  'garbage exchanges do not fill the memory of the program',
  { skip: skipWithout('/proc', () => process.platform === 'linux') },
  async (t) => {
    const keystone = await startTestKeystone(t);
    const keyFile = await makeKeyFile(t);
    const args = ['--keystone-rate', '9999'];
    const issuer = await startServerProcess(t, await makeIssuerCommandLine(t, { keystone, keyFile, args }));
    const readMb = (name: string): number =>
      Number(new RegExp(`${name}:\\s+(\\d+)`).exec(readFileSync(`/proc/${issuer.pid}/status`, 'utf8'))?.[1]) / 1_024;
    let sent = 0;
    const send = async (count: number): Promise<void> => {
      const end = sent + count;
      await generateLoad({
        port: issuer.port,
        ca,
        connections: 32,
        writeRequest,
        nextBody: () => {
          if (sent >= end) return undefined;
          sent += 1;
          return makeGarbage(sent, Date.now()).body;
        },
        onResponse: (response) => {
          if (!REFUSED.test(response)) throw new Error(response);
        },
      });
    };
    await send(MEMORY_COUNT / 10);
    const before = readMb('VmRSS');
    await send((MEMORY_COUNT * 9) / 10);
    const grown = readMb('VmHWM') - before;
    // A pod of the chart may have 256 MiB, and starts with less than 100.
    t.ok(grown < 100, `${grown.toFixed(0)} MB more for ${(MEMORY_COUNT * 9) / 10} exchanges`);
    t.ok(issuer.readOutput().length < MEMORY_COUNT * 200, 'nor a disk');
    t.match(await issuer.sendRequest({ path: '/healthz' }), { status: 200 });
  },
);
