/** Draws a recorded session as an SVG, light or dark as the reader prefers, command by command. */
import type { RecordedStep } from './record.ts';
import type { ScreenLine, ScreenRun } from './screen.ts';

/** Sizes in pixels. */
const FONT_SIZE = 12;
const CHARACTER = 7.2;
const LINE = 17;
const MARGIN = 14;

/** Seconds between a command and what it prints, and before the next command. */
const ANSWER_DELAY = 0.6;
const STEP_DELAY = 2;

const STYLE = `
  svg { --back: #ffffff; --text: #1f2328; --dim: #656d76; --red: #cf222e; --green: #1a7f37; --yellow: #9a6700; }
  @media (prefers-color-scheme: dark) {
    svg { --back: #0d1117; --text: #e6edf3; --dim: #848d97; --red: #ff7b72; --green: #3fb950; --yellow: #d29922; }
  }
  rect { fill: var(--back); stroke: var(--dim); stroke-opacity: 0.4; }
  text { fill: var(--text); font: ${FONT_SIZE}px ui-monospace, 'SF Mono', Menlo, Consolas, 'Liberation Mono', monospace; white-space: pre; }
  .dim { fill: var(--dim); }
  .red { fill: var(--red); }
  .green { fill: var(--green); }
  .yellow { fill: var(--yellow); }
  .bold { font-weight: bold; }
  g { animation: appear 1ms backwards; }
  @keyframes appear { from { opacity: 0; } }
  @media (prefers-reduced-motion: reduce) { g { animation: none; } }
`;

const ESCAPES: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;' };

const escapeXml = (text: string): string => text.replaceAll(/[&<>]/g, (character) => ESCAPES[character] ?? '');

const round = (value: number): string => String(Math.round(value * 10) / 10);

function drawRun({ column, text, style }: ScreenRun): string {
  const shown = text.trimStart();
  const x = round(MARGIN + (column + text.length - shown.length) * CHARACTER);
  // The reader's font can have another width.
  const width = round(shown.length * CHARACTER);
  const styles = style === '' ? '' : ` class="${style}"`;
  return `<tspan x="${x}" textLength="${width}"${styles}>${escapeXml(shown)}</tspan>`;
}

function drawLines(lines: readonly ScreenLine[], firstRow: number, delay: number): string {
  const texts = lines.map((line, index) => {
    const y = MARGIN + (firstRow + index + 1) * LINE - 5;
    return line.length === 0 ? '' : `    <text y="${round(y)}">${line.map(drawRun).join('')}</text>\n`;
  });
  return `  <g style="animation-delay: ${round(delay)}s">\n${texts.join('')}  </g>\n`;
}

const prompt = (command: string): ScreenLine => [
  { column: 0, text: '$', style: 'dim' },
  { column: 2, text: command, style: 'bold' },
];

/**
 * Draws a session.
 *
 * @param columns width of the terminal
 */
export function drawSession(steps: readonly RecordedStep[], columns: number): string {
  const groups: string[] = [];
  let [row, time] = [0, 0];
  for (const { command, lines } of steps) {
    groups.push(drawLines([prompt(command)], row, time));
    if (lines.length > 0) groups.push(drawLines(lines, row + 1, time + ANSWER_DELAY));
    row += lines.length + 2;
    time += STEP_DELAY;
  }
  const width = round(2 * MARGIN + columns * CHARACTER);
  const height = round(2 * MARGIN + (row - 1) * LINE);
  const commands = steps.map(({ command }) => command).join('; ');
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" role="img" xml:space="preserve">
  <title>A terminal: ${escapeXml(commands)}</title>
  <desc>Recorded by "npm run recording" from real runs of the plugin and kubectl.</desc>
  <style>${STYLE}  </style>
  <rect x="0.5" y="0.5" width="${round(Number(width) - 1)}" height="${round(Number(height) - 1)}" rx="6"/>
${groups.join('')}</svg>
`;
}
