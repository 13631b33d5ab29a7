// The bodies of requests have a limit each, and a limit for all that are incomplete.

import { once } from 'node:events';
import { PassThrough } from 'node:stream';
import t from 'tap';
import { RequestProblem } from '../../src/webhook/server/answer.ts';
import { BodyReader } from '../../src/webhook/server/read-body.ts';
import { waitUntil } from '../support/wait-until.ts';

const MB = 1024 * 1024;

/** A body that has begun, and what became of it. */
function begin(reader: BodyReader, bytes: number): { source: PassThrough; outcome: () => unknown } {
  const source = new PassThrough();
  let outcome: unknown;
  reader.read(source, {
    onText: (text) => (outcome = text.length),
    onRefused: (problem) => (outcome = problem),
  });
  source.write(Buffer.alloc(bytes, 'a'));
  return { source, outcome: () => outcome };
}

/** The client goes. */
async function disconnect(source: PassThrough): Promise<void> {
  const closed = once(source, 'close');
  source.destroy();
  await closed;
}

void t.test('a body is read as text, however it is cut', async (t) => {
  const reader = new BodyReader();
  const source = new PassThrough();
  const reading = new Promise<string>((resolve, reject) => {
    reader.read(source, { onText: resolve, onRefused: reject });
  });
  for (const byte of Buffer.from('{"a":"€"}')) source.write(Buffer.from([byte]));
  source.end();
  t.equal(await reading, '{"a":"€"}');
});

void t.test('a body of more than 1 MiB is refused', async (t) => {
  const reader = new BodyReader();
  const large = begin(reader, MB + 1);
  await waitUntil('it is refused', () => large.outcome() !== undefined);
  t.match(large.outcome(), { status: 413 });
});

void t.test('bodies whose clients are gone take no room, and nobody is told', async (t) => {
  const reader = new BodyReader();
  const gone = Array.from({ length: 40 }, () => begin(reader, MB - 1));
  await waitUntil('the last ones are refused', () => gone.some(({ outcome }) => outcome() !== undefined));
  await Promise.all(gone.map(({ source }) => disconnect(source)));
  const others = Array.from({ length: 15 }, () => begin(reader, MB));
  for (const { source } of others) source.end();
  await waitUntil('there is room again', () => others.every(({ outcome }) => outcome() === MB));
  t.ok(gone.every(({ outcome }) => outcome() === undefined || outcome() instanceof RequestProblem));
});

void t.test('of too many incomplete bodies the largest is given up, and the others are completed', async (t) => {
  const reader = new BodyReader();
  const small = Array.from({ length: 50 }, () => begin(reader, 2_000));
  const large = Array.from({ length: 40 }, (_, number) => begin(reader, MB - 40 + number));
  await waitUntil('enough have failed', () => large.filter(({ outcome }) => outcome() !== undefined).length >= 24);
  for (const { outcome } of large) if (outcome() !== undefined) t.match(outcome(), { status: 429 });
  t.ok(large.every(({ outcome }) => outcome() === undefined || outcome() instanceof RequestProblem));
  for (const { source } of small) source.end();
  await waitUntil('the small ones are read', () => small.every(({ outcome }) => outcome() === 2_000));
  await Promise.all(large.map(({ source }) => disconnect(source)));
  const next = begin(reader, MB);
  next.source.end();
  await waitUntil('there is room again', () => next.outcome() === MB);
});
