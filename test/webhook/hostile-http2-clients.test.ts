// Clients that attack the built program over HTTP/2: with floods of frames, and with requests that never end. Meanwhile
// others are served over both protocols, and memory stays bounded.

import { readFileSync } from 'node:fs';
import { setImmediate, setTimeout as sleep } from 'node:timers/promises';
import t from 'tap';
import {
  encodeHeaders,
  FLAG,
  FRAME,
  makeFrame,
  makeReset,
  makeReviewHeaders,
  makeSettings,
  makeWindowUpdate,
  SETTING,
} from '../support/http2-frames.ts';
import { pickSize } from '../support/stress.ts';
import { waitUntil } from '../support/wait-until.ts';
import { makeAccessReview } from '../support/webhook-client.ts';
import { connectFrameClient, connectOverHttp2, makeReviewFrames } from '../support/webhook-over-http2.ts';
import type { FrameClient } from '../support/webhook-over-http2.ts';
import { startWebhookProcess } from '../support/webhook-process.ts';
import type { WebhookProcess } from '../support/webhook-process.ts';
import { shareTestPki } from '../support/webhook-settings.ts';

const pki = await shareTestPki();

/** Connections of each attack. */
const ATTACKERS = pickSize(40, 8);

/** Connections that do almost nothing. */
const SLOW_ATTACKERS = pickSize(500, 40);

/** Batches of frames on each connection. */
const BATCHES = pickSize(400, 60);

const FRAMES_PER_BATCH = 250;

/** The pause between the reviews of others: without one, they would take all processors while an attacker waits. */
const PAUSE_MS = 20;

/** In MB: 65 at the start, what the attackers keep, and what the garbage collector has not collected yet. */
const MAX_RESIDENT_MB = 256;

const REVIEW = makeAccessReview({ roles: ['member'] });
const CANCEL = 8;

/** The stream of a frame, if each frame opens another one. */
const streamOf = (batch: number, number: number): number => 2 * (batch * FRAMES_PER_BATCH + number) + 1;

const repeat = (makeFrames: (number: number) => readonly Buffer[]): readonly Buffer[] =>
  Array.from({ length: FRAMES_PER_BATCH }, (_, number) => makeFrames(number)).flat();

const REVIEW_HEADERS = encodeHeaders(makeReviewHeaders(1_000));
const openRequest = (stream: number): Buffer => makeFrame(FRAME.headers, FLAG.endHeaders, stream, REVIEW_HEADERS);

/** A header of 4 KB that the server remembers, and a byte that repeats it (RFC 7541, sections 6.2.1 and 6.1). */
const REMEMBERED_HEADER = Buffer.concat([Buffer.from([0x40, 1, 0x78, 0x7f, 0xa1, 0x1e]), Buffer.alloc(4_000, 0x61)]);
const REPEATED_HEADER = 0xbe;

interface Attack {
  readonly name: string;
  readonly attackers?: number;
  readonly settings?: Parameters<typeof makeSettings>[0];
  readonly readsNothing?: boolean;
  /** Sent once, before the batches. */
  readonly first?: readonly Buffer[];
  readonly makeBatch: (batch: number) => readonly Buffer[];
  /** Whether the server closes the connections during the flood, and not only after its time limits. */
  readonly isCutOff: boolean;
}

const ATTACKS: readonly Attack[] = [
  {
    name: 'requests of which only the beginning arrives',
    attackers: SLOW_ATTACKERS,
    first: [openRequest(1).subarray(0, 20)],
    makeBatch: () => [],
    // After ten seconds without a request.
    isCutOff: true,
  },
  {
    name: 'reviews that are reset at once',
    makeBatch: (batch) =>
      repeat((number) => {
        const stream = streamOf(batch, number);
        return [...makeReviewFrames(stream, JSON.stringify(REVIEW)), makeReset(stream, CANCEL)];
      }),
    isCutOff: true,
  },
  {
    name: 'streams that make the server reset them',
    makeBatch: (batch) =>
      repeat((number) => [openRequest(streamOf(batch, number)), makeWindowUpdate(streamOf(batch, number), 0)]),
    isCutOff: true,
  },
  {
    name: 'headers that never end',
    first: [makeFrame(FRAME.headers, FLAG.none, 1, REVIEW_HEADERS)],
    makeBatch: () =>
      repeat(() => [makeFrame(FRAME.continuation, FLAG.none, 1, encodeHeaders([['x-a', 'a'.repeat(200)]]))]),
    isCutOff: true,
  },
  {
    name: 'headers that the server decodes to megabytes',
    makeBatch: (batch) => {
      const repeated = Buffer.alloc(8_000, REPEATED_HEADER);
      const block =
        batch === 0
          ? Buffer.concat([REVIEW_HEADERS, REMEMBERED_HEADER, repeated])
          : Buffer.concat([REVIEW_HEADERS, repeated]);
      return [makeFrame(FRAME.headers, FLAG.endHeaders | FLAG.endStream, 2 * batch + 1, block)];
    },
    isCutOff: false,
  },
  {
    name: 'settings whose acknowledgements are not read',
    readsNothing: true,
    makeBatch: () => repeat(() => [makeSettings([[SETTING.initialWindowSize, 65_535]])]),
    isCutOff: true,
  },
  {
    name: 'pings whose answers are not read',
    readsNothing: true,
    makeBatch: () => repeat(() => [makeFrame(FRAME.ping, FLAG.none, 0, Buffer.alloc(8))]),
    isCutOff: true,
  },
  {
    name: 'empty parts of a body',
    first: [openRequest(1)],
    makeBatch: () => repeat(() => [makeFrame(FRAME.data, FLAG.none, 1)]),
    isCutOff: false,
  },
  {
    name: 'priorities',
    makeBatch: (batch) =>
      repeat((number) => [makeFrame(FRAME.priority, FLAG.none, streamOf(batch, number), Buffer.from([0, 0, 0, 0, 7]))]),
    isCutOff: false,
  },
  {
    name: 'more requests than are allowed, each with a part of its body',
    makeBatch: (batch) =>
      batch < 4
        ? repeat((number) => [
            openRequest(streamOf(batch, number)),
            makeFrame(FRAME.data, FLAG.none, streamOf(batch, number), Buffer.alloc(200)),
          ])
        : [],
    isCutOff: false,
  },
  {
    name: 'reviews whose answers have no room',
    settings: [[SETTING.initialWindowSize, 0]],
    makeBatch: (batch) =>
      batch === 0 ? repeat((number) => makeReviewFrames(streamOf(batch, number), JSON.stringify(REVIEW))) : [],
    isCutOff: false,
  },
  {
    name: 'large bodies that never end',
    makeBatch: (batch) =>
      batch < 5
        ? [
            ...(batch === 0 ? [1, 3, 5, 7].map(openRequest) : []),
            ...[1, 3, 5, 7].map((stream) => makeFrame(FRAME.data, FLAG.none, stream, Buffer.alloc(10_000, 0x20))),
          ]
        : [],
    isCutOff: false,
  },
];

const readResidentMb = ({ pid }: WebhookProcess): number =>
  Number(/VmHWM:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) / 1024;

/** Runs one attack on one connection, until the server closes it or all is sent. */
async function attack(
  webhook: WebhookProcess,
  { settings, first = [], readsNothing, makeBatch }: Attack,
): Promise<FrameClient> {
  const client = await connectFrameClient(t, webhook.port, pki, settings);
  if (readsNothing) client.stopReading();
  await client.send(...first);
  for (let batch = 0; batch < BATCHES && !client.isClosed(); batch += 1) {
    const sent = client.send(...makeBatch(batch));
    // The server may stop reading from a client that reads nothing.
    await (readsNothing ? setImmediate() : sent);
  }
  client.continueReading();
  return client;
}

for (const oneAttack of ATTACKS) {
  void t.test(`${oneAttack.name}: others are served, and memory stays bounded`, async (t) => {
    const webhook = await startWebhookProcess(t, { args: ['--log-level', 'info'] });
    const good = await connectOverHttp2(t, webhook.port, pki);
    const statuses: number[] = [];
    let isOver = false;
    t.teardown(() => (isOver = true));
    const serveOthers = async (): Promise<void> => {
      while (!isOver) {
        const answers = await Promise.all([good.postReview(REVIEW), webhook.postReview(REVIEW)]);
        statuses.push(...answers.map(({ status }) => status));
        await sleep(PAUSE_MS);
      }
    };
    const others = serveOthers();
    // The server closes a connection whose first request comes late, and this process will be busy with the attackers.
    await waitUntil('others are served', () => statuses.length > 0);
    const { attackers = ATTACKERS } = oneAttack;
    const clients = await Promise.all(Array.from({ length: attackers }, () => attack(webhook, oneAttack)));
    if (oneAttack.isCutOff) await waitUntil('they are closed', () => clients.every((client) => client.isClosed()));
    const { length } = statuses;
    await waitUntil('others are still served', () => statuses.length > length + 20);
    isOver = true;
    await others;
    t.strictSame([...new Set(statuses)], [200], `${statuses.length} reviews of others`);
    const residentMb = readResidentMb(webhook);
    t.ok(residentMb <= MAX_RESIDENT_MB, `${residentMb.toFixed(0)} MB`);
    t.comment(
      `${clients.filter((client) => client.isClosed()).length} of ${attackers} closed, ${residentMb.toFixed(0)} MB`,
    );
    t.match(await webhook.sendRequest({ path: '/healthz', tls: {} }), { status: 200 });
    t.equal(await webhook.stop(), 0);
  });
}
