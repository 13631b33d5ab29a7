/** Which texts count as written by the plugin: complete, unchanged, and in this version of the format. */
import t from 'tap';
import { computeChecksum, parseWithChecksum, serializeWithChecksum } from '../../src/plugin/cache/checksum.ts';
import { parseAlias } from '../../src/plugin/cache/token-record.ts';

const sign = (text: string): string => `${computeChecksum(text)}\n${text}\n`;

void t.test('the checksum is FNV-1a with 32 bits', async (t) => {
  t.equal(computeChecksum(''), '811c9dc5');
  t.equal(computeChecksum('a'), 'e40c292c');
  t.equal(computeChecksum('foobar'), 'bf9cf968');
});

void t.test('what was written is read, with the version of the format', async (t) => {
  t.strictSame(parseWithChecksum(serializeWithChecksum({ a: 1 })), { version: 1, a: 1 });
});

void t.test('every other text counts as absent', async (t) => {
  const text = serializeWithChecksum({ a: 1 });
  for (const other of [
    undefined,
    '',
    computeChecksum(''),
    text.slice(0, -1),
    `${text}\n`,
    `${text}more`,
    `${text}\nmore`,
    `\n${text}`,
    text.replace('1', '2'),
    sign('[]'),
    sign('no JSON'),
    sign('{"a":1}'),
    sign('{"version":2,"a":1}'),
    sign('{"version":"1","a":1}'),
  ]) {
    t.equal(parseWithChecksum(other), undefined, JSON.stringify(other));
  }
});

void t.test('an alias is valid only if each of its files has a path and a stamp', async (t) => {
  const write = (files: unknown): string => serializeWithChecksum({ fingerprint: 'f', key: 'k', files });
  t.match(parseAlias('f', write([['/x', 's']])), { files: [{ path: '/x', stamp: 's' }] });
  for (const files of [['/x'], [['/x']], [[1, 's']], [['/x', 1]], [{}], [null]]) {
    t.equal(parseAlias('f', write(files)), undefined, JSON.stringify(files));
  }
});
