import { styleText } from 'node:util';
import type { Host } from '../../shared/base/host.ts';

type Paint = (text: string) => string;

/** What a command prints in color. */
export interface Colors {
  readonly green: Paint;
  readonly red: Paint;
  readonly yellow: Paint;
  readonly bold: Paint;
  readonly dim: Paint;
}

/** Returns colors if stdout is a terminal and the environment does not turn them off (https://no-color.org). */
export function chooseColors(host: Host): Colors {
  const isColored = host.columns() !== undefined && (host.env['NO_COLOR'] ?? '') === '' && host.env['TERM'] !== 'dumb';
  // The decision above holds: styleText must not make its own from the process's streams and environment.
  const paint = (format: keyof Colors): Paint =>
    isColored ? (text) => styleText(format, text, { validateStream: false }) : (text) => text;
  return {
    green: paint('green'),
    red: paint('red'),
    yellow: paint('yellow'),
    bold: paint('bold'),
    dim: paint('dim'),
  };
}
