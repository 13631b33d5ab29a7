/** Draws figures as an SVG bar chart that fits light and dark pages. */

/** One bar of a chart. All figures are in the unit of the chart. */
export interface Bar {
  readonly label: string;
  readonly median: number;
  /** The 10th percentile. */
  readonly low: number;
  /** The 90th percentile. */
  readonly high: number;
  /** A reference that the other bars are compared with, drawn in gray. */
  readonly reference?: boolean;
}

const WIDTH = 760;
/** Space for the figure to the right of the longest range. */
const FIGURE_WIDTH = 80;
const ROW_HEIGHT = 30;
const BAR_HEIGHT = 18;
const HEADER_HEIGHT = 40;
const FOOTER_HEIGHT = 30;

const STYLE = `
    text { font: 13px system-ui, sans-serif; fill: #1f2328; }
    .title { font-weight: 600; font-size: 15px; }
    .note { font-size: 11px; fill: #59636e; }
    .bar { fill: #326ce5; }
    .reference { fill: #9aa4af; }
    .range { stroke: #1f2328; stroke-width: 1.5; fill: none; }
    @media (prefers-color-scheme: dark) {
      text { fill: #f0f6fc; }
      .note { fill: #9198a1; }
      .bar { fill: #4f85f0; }
      .reference { fill: #656c76; }
      .range { stroke: #f0f6fc; }
    }
  `;

const escapeXml = (text: string): string =>
  text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;');

/** What the figures of a chart are. */
export interface Measure {
  readonly unit: string;
  readonly isBetterWhen: 'shorter' | 'longer';
  /** The space for labels, in pixels. */
  readonly labelWidth: number;
}

const TIMES: Measure = { unit: 'ms', isBetterWhen: 'shorter', labelWidth: 250 };

/** Renders horizontal bars of the medians, in the given order, with the range from the 10th to the 90th percentile. */
export function renderBars(
  title: string,
  bars: readonly Bar[],
  { unit, isBetterWhen, labelWidth }: Measure = TIMES,
): string {
  const scale = (WIDTH - labelWidth - FIGURE_WIDTH) / Math.max(...bars.map(({ high }) => high));
  const toX = (figure: number): string => (labelWidth + figure * scale).toFixed(1);
  const height = HEADER_HEIGHT + bars.length * ROW_HEIGHT + FOOTER_HEIGHT;
  const rows = bars.map(({ label, median, low, high, reference }, index) => {
    const top = HEADER_HEIGHT + index * ROW_HEIGHT;
    const middle = top + BAR_HEIGHT / 2;
    const baseline = middle + 5;
    return `  <text x="${labelWidth - 10}" y="${baseline}" text-anchor="end">${escapeXml(label)}</text>
  <rect class="${reference === true ? 'reference' : 'bar'}" x="${labelWidth}" y="${top}" width="${(median * scale).toFixed(1)}" height="${BAR_HEIGHT}" rx="2"/>
  <path class="range" d="M${toX(low)} ${middle}H${toX(high)}M${toX(low)} ${middle - 4}v8M${toX(high)} ${middle - 4}v8"/>
  <text x="${(labelWidth + high * scale + 8).toFixed(1)}" y="${baseline}">${median.toFixed(0)} ${unit}</text>`;
  });
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${WIDTH}" height="${height}" viewBox="0 0 ${WIDTH} ${height}" role="img" aria-label="${escapeXml(title)}">
  <style>${STYLE}</style>
  <text class="title" x="10" y="22">${escapeXml(title)}</text>
${rows.join('\n')}
  <text class="note" x="10" y="${height - 10}">Bars: median. Lines: 10th to 90th percentile. ${isBetterWhen === 'shorter' ? 'Shorter' : 'Longer'} is better.</text>
</svg>
`;
}
