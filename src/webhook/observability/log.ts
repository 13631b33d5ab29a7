/** The webhook's log: one JSON object per line on stdout. Callers never pass a token. */
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
