/** Draws panels of a dashboard as one SVG that fits light and dark pages: lines over time, or single figures. */

/** A line of a panel. */
export interface Line {
  readonly label: string;
  /** Figures at the same distance in time; undefined where there is none. */
  readonly figures: readonly (number | undefined)[];
}

export interface Panel {
  readonly title: string;
  readonly kind: 'lines' | 'figure';
  /** As in Grafana: `s`, `reqps`, `percentunit`, `bytes` or `short`. */
  readonly unit: string;
  readonly lines: readonly Line[];
  /** Columns of 24. */
  readonly width: number;
}

const COLUMN = 40;
const GAP = 12;
const TITLE_HEIGHT = 26;
const HEIGHTS = { lines: 206, figure: 84 } as const;
const PLOT = { left: 54, right: 12, top: 34, bottom: 56 } as const;
const LETTER = 6.2;
const LEGEND_LINE = 16;
const COLORS = ['#326ce5', '#e5733a', '#2f9e58', '#a155c9', '#c9a227', '#d64562', '#3aa6b9', '#7b8794'];

const STYLE = `
    text { font: 11px system-ui, sans-serif; fill: #1f2328; }
    .title { font-weight: 600; font-size: 12px; }
    .figure { font-size: 24px; font-weight: 600; }
    .note { fill: #59636e; }
    .box { fill: none; stroke: #d0d7de; }
    .grid { stroke: #d0d7de; stroke-width: 0.5; }
    .line { fill: none; stroke-width: 1.5; }
    @media (prefers-color-scheme: dark) {
      text { fill: #f0f6fc; }
      .note { fill: #9198a1; }
      .box, .grid { stroke: #3d444d; }
    }
  `;

const escapeXml = (text: string): string =>
  text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;');

const round = (figure: number): string => String(Number(figure.toPrecision(3)));

/** Writes a figure with its unit. */
export function formatFigure(figure: number, unit: string): string {
  if (unit === 'percentunit') return `${round(figure * 100)} %`;
  if (unit === 'bytes') return `${round(figure / 1024 / 1024)} MiB`;
  if (unit === 'reqps') return `${round(figure)}/s`;
  if (unit !== 's') return round(figure);
  if (figure < 1) return `${round(figure * 1_000)} ms`;
  return figure < 172_800 ? `${round(figure)} s` : `${round(figure / 86_400)} d`;
}

function drawLines({ lines, unit, width }: Panel): string {
  const [plotWidth, plotHeight] = [
    width * COLUMN - GAP - PLOT.left - PLOT.right,
    HEIGHTS.lines - PLOT.top - PLOT.bottom,
  ];
  const known = lines.flatMap(({ figures }) => figures.filter((figure) => figure !== undefined));
  const top = Math.max(...known, 0) * 1.1 || 1;
  const toY = (figure: number): number => PLOT.top + plotHeight * (1 - figure / top);
  const grid = [0, 0.5, 1].map((part) => {
    const y = toY(part * top).toFixed(1);
    return `<path class="grid" d="M${PLOT.left} ${y}h${plotWidth}"/><text class="note" x="${PLOT.left - 6}" y="${Number(y) + 4}" text-anchor="end">${formatFigure(part * top, unit)}</text>`;
  });
  const drawn = lines.map(({ figures }, index) => {
    let isOpen = false;
    const steps = figures.map((figure, at) => {
      if (figure === undefined) {
        isOpen = false;
        return '';
      }
      const x = PLOT.left + (plotWidth * at) / Math.max(figures.length - 1, 1);
      const step = `${isOpen ? 'L' : 'M'}${x.toFixed(1)} ${toY(figure).toFixed(1)}`;
      isOpen = true;
      return step;
    });
    return `<path class="line" stroke="${COLORS[index % COLORS.length] ?? ''}" d="${steps.join('')}"/>`;
  });
  let [x, y] = [PLOT.left, HEIGHTS.lines - 14 - LEGEND_LINE];
  const legend = lines.map(({ label }, index) => {
    const labelWidth = 26 + label.length * LETTER;
    if (x + labelWidth > PLOT.left + plotWidth) [x, y] = [PLOT.left, y + LEGEND_LINE];
    const text = `<circle cx="${x + 4}" cy="${y - 4}" r="4" fill="${COLORS[index % COLORS.length] ?? ''}"/><text x="${x + 12}" y="${y}">${escapeXml(label)}</text>`;
    x += labelWidth;
    return text;
  });
  return [...grid, ...drawn, ...legend].join('\n    ');
}

function drawFigure({ lines, unit }: Panel): string {
  const last = lines[0]?.figures.findLast((figure) => figure !== undefined);
  return `<text class="figure" x="12" y="58">${last === undefined ? '–' : escapeXml(formatFigure(last, unit))}</text>`;
}

/** Draws panels in rows of 24 columns. */
export function renderPanels(title: string, panels: readonly Panel[], note: string): string {
  let [x, y, rowHeight] = [0, TITLE_HEIGHT + GAP, 0];
  const boxes = panels.map((panel) => {
    if (x + panel.width > 24) [x, y, rowHeight] = [0, y + rowHeight + GAP, 0];
    const [width, height] = [panel.width * COLUMN - GAP, HEIGHTS[panel.kind]];
    const content = panel.kind === 'lines' ? drawLines(panel) : drawFigure(panel);
    const box = `  <g transform="translate(${x * COLUMN + GAP} ${y})">
    <rect class="box" width="${width}" height="${height}" rx="4"/>
    <text class="title" x="12" y="20">${escapeXml(panel.title)}</text>
    ${content}
  </g>`;
    x += panel.width;
    rowHeight = Math.max(rowHeight, height);
    return box;
  });
  const [width, height] = [24 * COLUMN + GAP, y + rowHeight + 34];
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}" role="img" aria-label="${escapeXml(title)}">
  <style>${STYLE}</style>
  <text class="title" x="${GAP}" y="22">${escapeXml(title)}</text>
${boxes.join('\n')}
  <text class="note" x="${GAP}" y="${height - 12}">${escapeXml(note)}</text>
</svg>
`;
}
