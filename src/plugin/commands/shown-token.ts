import type { Invocation } from './command.ts';
import { formatTimestamp } from './format-time.ts';

/**
 * Says what a token is that a terminal is about to show: it stays on the screen.
 *
 * @param expiresAt ms since 1970, UTC
 * @param alternative what the user may want instead, as a clause
 */
export function warnAboutShownToken({ host, reporter }: Invocation, expiresAt: number, alternative: string): void {
  if (host.columns() === undefined) return;
  reporter.info(
    `this is a token: until ${formatTimestamp(expiresAt)}, anyone who sees it can act as you ("logout" ends it); ` +
      alternative,
  );
}
