import t from 'tap';
import { digestFields } from '../../src/plugin/cache/digest.ts';

void t.test('a golden digest: changing the framing orphans every cache', async (t) => {
  t.equal(
    digestFields('purpose 1', ['a', undefined, '', 'é']),
    '703c74eb22f79e44fcb970760a3e1f68ce76fda88827a0c41c82ec5d81414cc4',
  );
});

void t.test('lists that differ anywhere give different digests', async (t) => {
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
