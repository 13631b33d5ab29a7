import t from 'tap';
import { renderBars } from '../../scripts/lib/bar-chart.ts';

await t.test('bars are in proportion to the medians', async (t) => {
  const svg = renderBars('Start', [
    { label: 'plugin', median: 40, low: 30, high: 50 },
    { label: 'node -e 0', median: 80, low: 70, high: 100, reference: true },
  ]);
  t.match(svg, /^<svg xmlns="http:\/\/www\.w3\.org\/2000\/svg" [^>]* role="img" aria-label="Start">\n/);
  const widths = [...svg.matchAll(/<rect class="(\w+)" x="250" y="\d+" width="([\d.]+)"/g)];
  t.strictSame(
    widths.map(([, kind, width]) => [kind, width]),
    [
      ['bar', '172.0'],
      ['reference', '344.0'],
    ],
  );
  t.match(svg, 'd="M379.0 49H465.0M379.0 45v8M465.0 45v8"', 'the range of the first bar');
  t.match(svg, '>40 ms</text>');
  t.match(svg, '>node -e 0</text>');
  t.match(svg, '@media (prefers-color-scheme: dark)');
});

await t.test('labels are escaped', async (t) => {
  const svg = renderBars('a "b" & c', [{ label: '<script>', median: 1, low: 1, high: 1 }]);
  t.match(svg, 'aria-label="a &quot;b&quot; &amp; c"');
  t.match(svg, '>&lt;script&gt;</text>');
  t.notMatch(svg, '<script>');
});
