import type { Host } from '../../shared/base/host.ts';

type Paint = (text: string) => string;

/** Colours by what they mean. */
export interface Painter {
  readonly good: Paint;
  readonly bad: Paint;
  readonly doubtful: Paint;
  readonly strong: Paint;
  readonly faint: Paint;
}

const plain: Paint = (text) => text;

/** Select Graphic Rendition (ECMA-48, 8.3.117), and back to how it was. */
const sgr =
  (on: number, off: number): Paint =>
  (text) =>
    `\u001b[${String(on)}m${text}\u001b[${String(off)}m`;

const COLOURED: Painter = {
  good: sgr(32, 39),
  bad: sgr(31, 39),
  doubtful: sgr(33, 39),
  strong: sgr(1, 22),
  faint: sgr(2, 22),
};

const PLAIN: Painter = { good: plain, bad: plain, doubtful: plain, strong: plain, faint: plain };

/** Colours where stdout is a terminal and nobody has asked for none (https://no-color.org). */
export function choosePainter(host: Host): Painter {
  const wanted = (host.env['NO_COLOR'] ?? '') === '' && host.env['TERM'] !== 'dumb';
  return wanted && host.columns() !== undefined ? COLOURED : PLAIN;
}
