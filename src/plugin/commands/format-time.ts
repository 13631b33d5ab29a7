const UNITS = [
  { name: 'd', seconds: 86_400 },
  { name: 'h', seconds: 3_600 },
  { name: 'min', seconds: 60 },
  { name: 's', seconds: 1 },
] as const;

/** Says a span of ms in its two largest units: "1 h 12 min"; what is over is "ended". */
export function formatDuration(spanMs: number): string {
  let left = Math.floor(spanMs / 1000);
  if (left <= 0) return 'ended';
  const parts: string[] = [];
  for (const { name, seconds } of UNITS) {
    const count = Math.floor(left / seconds);
    if (count > 0) parts.push(`${String(count)} ${name}`);
    left -= count * seconds;
    if (parts.length > 0 && (count === 0 || parts.length === 2)) break;
  }
  return parts.join(' ');
}

/** A time (ms since 1970) as RFC 3339 in UTC, whole seconds. */
export function formatTimestamp(at: number): string {
  return new Date(at).toISOString().replace(/\.\d+Z$/, 'Z');
}
