/**
 * Stops the system clock for runs of the plugin in processes of their own: on a busy machine, several runs can take longer
 * than the plugin remembers something. It works with Node, and a packaged executable keeps the clock of the machine.
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Home } from './home.ts';

/** Returns the variables of runs in this home for which it is always now. */
export function stopClock(home: Home): Readonly<Record<string, string>> {
  const script = join(home.path, 'stopped-clock.cjs');
  writeFileSync(script, `Date.now = () => ${Date.now()};\n`);
  return { NODE_OPTIONS: `--require ${script}` };
}
