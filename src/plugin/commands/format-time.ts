const UNITS = [
  { name: 'd', seconds: 86_400 },
  { name: 'h', seconds: 3_600 },
  { name: 'min', seconds: 60 },
  { name: 's', seconds: 1 },
] as const;

/** Formats a duration (ms) in its two largest units: "1 h 12 min". A duration that is not positive is "ended". */
export function formatDuration(durationMs: number): string {
  let restSeconds = Math.floor(durationMs / 1000);
  if (restSeconds <= 0) return 'ended';
  const parts: string[] = [];
  for (const { name, seconds } of UNITS) {
    const count = Math.floor(restSeconds / seconds);
    if (count > 0) parts.push(`${String(count)} ${name}`);
    restSeconds -= count * seconds;
    if (parts.length > 0 && (count === 0 || parts.length === 2)) break;
  }
  return parts.join(' ');
}

/** Formats a time (ms since 1970) as RFC 3339 in UTC, in whole seconds. */
export function formatTimestamp(at: number): string {
  return new Date(at).toISOString().replace(/\.\d+Z$/, 'Z');
}

/** Formats the end of a token (both ms since 1970): "2026-07-27T12:00:00Z (in 59 min)". */
export function formatTokenEnd(expiresAt: number, now: number): string {
  return `${formatTimestamp(expiresAt)} (in ${formatDuration(expiresAt - now)})`;
}

/** Returns the whole seconds until a time (both ms since 1970), 0 when it is over. */
export function secondsUntil(at: number, now: number): number {
  return Math.max(0, Math.floor((at - now) / 1000));
}
