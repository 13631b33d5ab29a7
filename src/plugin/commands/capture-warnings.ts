import type { Reporter } from '../login/login-context.ts';

/** A reporter that collects warnings instead of printing them. */
export interface CapturedWarnings {
  readonly reporter: Reporter;
  /** In the order in which they came. */
  readonly warnings: string[];
}

/** Collects the warnings of a run, for a command that shows them in its result or has already printed them. */
export function captureWarnings(reporter: Reporter): CapturedWarnings {
  const warnings: string[] = [];
  const warn = (message: string): void => {
    warnings.push(message);
  };
  return { reporter: { ...reporter, warn }, warnings };
}
