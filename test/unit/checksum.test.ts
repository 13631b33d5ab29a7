/** Which texts count as written by the plugin: complete, unchanged, and in this version of the format. */
import t from 'tap';
import { computeChecksum, parseWithChecksum, serializeWithChecksum } from '../../src/plugin/cache/checksum.ts';
import { parseAlias } from '../../src/plugin/cache/token-record.ts';

const sign = (text: string): string => `${computeChecksum(text)}\n${text}\n`;

void t.test('the checksum is MurmurHash3 with 32 bits of the UTF-8 bytes', async (t) => {
  const known = {
    '': '0',
    a: '3c2569b2',
    ab: '9bbfd75f',
    abc: 'b3dd93fa',
    abcd: '43ed676a',
    'Hello, world!': 'c0363e43',
    π: 'f1954df6',
  };
  for (const [text, checksum] of Object.entries(known)) t.equal(computeChecksum(text), checksum, text);
});

void t.test('the checksum changes with each bit', async (t) => {
  const text = serializeWithChecksum({ token: 'abc' }).split('\n')[1] ?? '';
  for (let index = 0; index < text.length; index += 1) {
    for (const bit of [1, 2, 4, 8, 16, 32, 64]) {
      const changed = text.slice(0, index) + String.fromCharCode(text.charCodeAt(index) ^ bit) + text.slice(index + 1);
      t.not(computeChecksum(changed), computeChecksum(text), `character ${String(index)}, bit ${String(bit)}`);
    }
  }
});

void t.test('what was written is read, with the version of the format', async (t) => {
  t.strictSame(parseWithChecksum(serializeWithChecksum({ a: 1 })), { version: 2, a: 1 });
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
    sign('{"version":1,"a":1}'),
    sign('{"version":"2","a":1}'),
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
