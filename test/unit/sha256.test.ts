import { createHash } from 'node:crypto';
import t from 'tap';
import { digestFields, sha256 } from '../../src/plugin/cache/sha256.ts';

const reference = (text: string): string => createHash('sha256').update(text).digest('hex');

void t.test('the result equals that of node:crypto for every length around the block boundaries', async (t) => {
  for (let length = 0; length <= 260; length += 1) {
    const text = 'abcdefghij'.repeat(26).slice(0, length);
    if (sha256(text) !== reference(text)) t.fail(`differs at length ${String(length)}`);
  }
  t.equal(sha256('abc'), 'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad', 'FIPS 180-4, example');
});

void t.test('text is hashed as UTF-8', async (t) => {
  for (const text of ['é', '€'.repeat(40), '😀 mixed ü'.repeat(13)]) t.equal(sha256(text), reference(text));
});

void t.test('a known digest stays the same, because a change would invalidate every cache', async (t) => {
  t.equal(
    digestFields('purpose 1', ['a', undefined, '', 'é']),
    '703c74eb22f79e44fcb970760a3e1f68ce76fda88827a0c41c82ec5d81414cc4',
  );
});

void t.test('different lists have different digests', async (t) => {
  const lists = [
    [],
    [''],
    [undefined],
    ['', ''],
    ['a', 'b'],
    ['ab'],
    ['ab', ''],
    ['', 'ab'],
    ['a\n1:b'],
    ['a', '1:b'],
    ['-'],
    ['1:a'],
    ['a', undefined],
    [undefined, 'a'],
  ];
  t.equal(new Set(lists.map((list) => digestFields('purpose', list))).size, lists.length);
  t.not(digestFields('purpose 1', ['a']), digestFields('purpose 2', ['a']));
});
