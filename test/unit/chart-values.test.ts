// The values of the Helm chart and their schema, without helm.

import { readFileSync } from 'node:fs';
import { load } from 'js-yaml';
import t from 'tap';
import { readChartValues } from '../../scripts/lib/chart-values.ts';
import { formatFigure, renderPanels } from '../../scripts/lib/panels.ts';

const CHART = 'packaging/chart';

interface Schema {
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly required?: readonly string[];
  readonly additionalProperties?: unknown;
  readonly $ref?: string;
  readonly $defs?: Readonly<Record<string, Schema>>;
}

const isMapping = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

void t.test('the schema has each value, requires it, and allows no others', (t) => {
  const schema = JSON.parse(readFileSync(`${CHART}/values.schema.json`, 'utf8')) as Schema;
  const compare = (part: Schema | undefined, value: unknown, path: string): void => {
    const resolved = part?.$ref === undefined ? part : schema.$defs?.[part.$ref.replace('#/$defs/', '')];
    if (!t.ok(resolved, path) || resolved?.properties === undefined || !isMapping(value)) return;
    t.equal(resolved.additionalProperties, false, path);
    // Requests and limits of resources can be left out.
    if (path !== '.pod.resources') t.strictSame(resolved.required?.toSorted(), Object.keys(value).toSorted(), path);
    for (const [name, member] of Object.entries(value)) compare(resolved.properties[name], member, `${path}.${name}`);
  };
  compare(schema, load(readFileSync(`${CHART}/values.yaml`, 'utf8')), '');
  t.end();
});

void t.test('the table of values has their comments and defaults', (t) => {
  const text = [
    '# A file',
    '',
    '# First value',
    'one: 1',
    'group:',
    '  # Whether',
    '  # it is used',
    '  used: true',
    '  # A map',
    '  map:',
    '    a: b',
  ].join('\n');
  t.strictSame(readChartValues(text), [
    { path: 'one', defaultText: '1', description: 'First value' },
    { path: 'group.used', defaultText: 'true', description: 'Whether it is used' },
    { path: 'group.map', defaultText: 'a: b', description: 'A map' },
  ]);
  t.throws(() => readChartValues('a: 1\n'), /a needs a comment/);
  t.end();
});

void t.test('panels show figures with their units, and gaps as gaps', (t) => {
  t.equal(formatFigure(0.5, 'percentunit'), '50 %');
  t.equal(formatFigure(0.0123, 's'), '12.3 ms');
  t.equal(formatFigure(864_000, 's'), '10 d');
  t.equal(formatFigure(104_857_600, 'bytes'), '100 MiB');
  const svg = renderPanels(
    'a <title>',
    [
      { title: 'x', kind: 'lines', unit: 'reqps', width: 12, lines: [{ label: 'l', figures: [1, undefined, 2, 3] }] },
      { title: 'y', kind: 'figure', unit: 's', width: 12, lines: [{ label: '', figures: [1, 2, undefined] }] },
    ],
    'note',
  );
  t.match(svg, 'a &lt;title&gt;');
  t.match(svg, /d="M[\d. ]+M[\d. ]+L[\d. ]+"/, 'the line has a gap');
  t.match(svg, '>2 s<', 'the last figure');
  t.end();
});
