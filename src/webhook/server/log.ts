/** What the webhook writes: one JSON object a line on stdout. No token ever gets this far. */
import { pino } from 'pino';
import type { Logger } from 'pino';

export type Log = Logger;

/** Opens the log. */
export function openLog(level: string, write: (line: string) => unknown): Log {
  return pino(
    {
      level,
      base: null,
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
    },
    { write },
  );
}
