import { styleText } from 'node:util';
import type { Host } from '../../shared/base/host.ts';
import type { Paint } from '../../shared/base/terminal-text.ts';

/** Returns colors if stdout is a terminal and the environment does not turn them off (https://no-color.org). */
export function chooseColors(host: Host): Paint {
  const isColored = host.columns() !== undefined && (host.env['NO_COLOR'] ?? '') === '' && host.env['TERM'] !== 'dumb';
  // The decision above holds: styleText must not make its own from the process's streams and environment.
  return isColored ? (style, text) => styleText(style, text, { validateStream: false }) : (_, text) => text;
}
