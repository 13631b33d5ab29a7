import { join } from 'node:path';
import t from 'tap';
import { listMarkdownFiles } from '../../scripts/lib/markdown-files.ts';
import { checkLinks } from '../../scripts/lib/markdown-links.ts';

await t.test('links that resolve are accepted', async (t) => {
  const root = t.testdir({
    'README.md': [
      '# Title',
      '## Tokens & `keys`',
      '## Twice',
      '## Twice',
      '[file](docs/page.md), [folder](docs), [heading](docs/page.md#a-heading), [here](#tokens--keys), [second](#twice-1)',
      '![image](docs/plot.svg) <img src="docs/plot.svg"> [elsewhere](https://keystone.example.com/gone.md)',
      '`[not a link](missing.md)` [html](docs/page.md#by-id) [encoded](docs/two%20words.md) [root](/docs/page.md)',
    ].join('\n'),
    docs: {
      'page.md': '# A heading\n\n<a id="by-id"></a>\n\n[up](../README.md#title)\n',
      'plot.svg': '',
      'two words.md': '',
    },
  });
  t.strictSame(
    checkLinks(
      root,
      listMarkdownFiles(root).map((file) => file.slice(root.length + 1)),
    ),
    {
      checked: 11,
      broken: [],
    },
  );
});

await t.test('links that do not resolve are reported', async (t) => {
  const root = t.testdir({
    'README.md': '# Title\n\n[gone](docs/gone.md)\n\n- [no heading](#titles)\n- [other](docs/page.md#missing)\n',
    docs: { 'page.md': '[out](../docs.md)\n\n![image](plot.svg)\n\n[line](page.ts#L1)\n', 'page.ts': '' },
  });
  t.strictSame(checkLinks(root, ['README.md', join('docs', 'page.md')]), {
    checked: 6,
    broken: [
      'README.md:3: docs/gone.md: no such file',
      'README.md:5: #titles: no such heading',
      'README.md:6: docs/page.md#missing: no such heading',
      'docs/page.md:1: ../docs.md: no such file',
      'docs/page.md:3: plot.svg: no such file',
      'docs/page.md:5: page.ts#L1: only Markdown files have anchors that can be checked',
    ],
  });
});
