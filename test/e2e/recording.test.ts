/** The recording in the README shows what the programs print now. */
import { readFileSync } from 'node:fs';
import t from 'tap';
import { COLUMNS, recordSession } from '../../scripts/recording/record.ts';
import { renderScreen } from '../../scripts/recording/screen.ts';
import { drawSession } from '../../scripts/recording/svg.ts';
import { requireKubectl } from '../support/missing-tools.ts';

const FILE = 'docs/recording.svg';

const kubectl = await requireKubectl('new');
const skip = 'missing' in kubectl && kubectl.missing;

await t.test('a new run prints what the recording shows', { skip }, async (t) => {
  const steps = 'path' in kubectl ? await recordSession(kubectl.path) : [];
  t.match(
    steps.flatMap(({ lines }) => lines.map((line) => line.map(({ text }) => text).join(''))).join('\n'),
    /\nweb-0 +1\/1 +Running[^]*API server +authenticates you/,
    'kubectl gets the pods, and doctor finds nothing wrong',
  );
  t.equal(drawSession(steps, COLUMNS), readFileSync(FILE, 'utf8'), 'run "npm run recording" if this is meant');
});

await t.test('the recording contains no secret, and no path of a machine', async (t) => {
  const svg = readFileSync(FILE, 'utf8');
  t.notMatch(svg, /\/(?:tmp|home|root|Users)\//);
  t.notMatch(svg, /gAAAA/, 'no Fernet token');
  t.match(svg, /prefers-color-scheme: dark/);
});

await t.test('a terminal emulator reads colors, cursor movements and wrapped lines', async (t) => {
  const lines = await renderScreen('plain \x1b[1;32mok\x1b[0m <&>\r\nlate\x1b[4Dlong text that wraps', 20);
  t.strictSame(lines, [
    [
      { column: 0, text: 'plain ', style: '' },
      { column: 6, text: 'ok', style: 'green bold' },
      { column: 8, text: ' <&>', style: '' },
    ],
    [{ column: 0, text: 'long text that wraps', style: '' }],
  ]);
  t.match(
    drawSession([{ command: 'a < b', lines }], 20),
    /<tspan [^>]*class="bold">a &lt; b<\/tspan>[^]*&lt;&amp;&gt;/,
  );
});
