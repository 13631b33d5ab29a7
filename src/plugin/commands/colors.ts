import type { Host } from '../../shared/base/host.ts';

type Paint = (text: string) => string;

/** Colours by what they mean. */
export interface Colors {
  readonly green: Paint;
  readonly red: Paint;
  readonly yellow: Paint;
  readonly bold: Paint;
  readonly dim: Paint;
}

const plain: Paint = (text) => text;

/** Select Graphic Rendition (ECMA-48, 8.3.117), and back to how it was. */
const sgr =
  (on: number, off: number): Paint =>
  (text) =>
    `\u001b[${String(on)}m${text}\u001b[${String(off)}m`;

const COLOURED: Colors = {
  green: sgr(32, 39),
  red: sgr(31, 39),
  yellow: sgr(33, 39),
  bold: sgr(1, 22),
  dim: sgr(2, 22),
};

const PLAIN: Colors = { green: plain, red: plain, yellow: plain, bold: plain, dim: plain };

/** Colours where stdout is a terminal and nobody has asked for none (https://no-color.org). */
export function chooseColors(host: Host): Colors {
  const wanted = (host.env['NO_COLOR'] ?? '') === '' && host.env['TERM'] !== 'dumb';
  return wanted && host.columns() !== undefined ? COLOURED : PLAIN;
}
