// The bodies of requests have a limit each, and a limit for all that are incomplete.

import { PassThrough } from 'node:stream';
import t from 'tap';
import { RequestProblem } from '../../src/webhook/server/answer.ts';
import { BodyReader, ClientGone } from '../../src/webhook/server/read-body.ts';
import { waitUntil } from '../support/wait-until.ts';

const MB = 1024 * 1024;

/** A body that has begun, and what became of it. */
function begin(reader: BodyReader, bytes: number): { source: PassThrough; outcome: () => unknown } {
  const source = new PassThrough();
  let outcome: unknown;
  reader.read(source).then(
    (text) => (outcome = text.length),
    (error: unknown) => (outcome = error),
  );
  source.write(Buffer.alloc(bytes, 'a'));
  return { source, outcome: () => outcome };
}

void t.test('a body is read as text, however it is cut', async (t) => {
  const reader = new BodyReader();
  const source = new PassThrough();
  const reading = reader.read(source);
  for (const byte of Buffer.from('{"a":"€"}')) source.write(Buffer.from([byte]));
  source.end();
  t.equal(await reading, '{"a":"€"}');
});

void t.test('a body of more than 1 MiB is refused, and one whose client is gone too', async (t) => {
  const reader = new BodyReader();
  const large = begin(reader, MB + 1);
  const gone = begin(reader, 10);
  gone.source.destroy();
  await waitUntil('both have failed', () => large.outcome() !== undefined && gone.outcome() !== undefined);
  t.match(large.outcome(), { status: 413 });
  t.ok(gone.outcome() instanceof ClientGone);
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
  for (const { source } of large) source.destroy();
  await waitUntil('all are settled', () => large.every(({ outcome }) => outcome() !== undefined));
  const next = begin(reader, MB);
  next.source.end();
  await waitUntil('there is room again', () => next.outcome() === MB);
});
