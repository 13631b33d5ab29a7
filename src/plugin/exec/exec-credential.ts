import type { ApiVersion } from './exec-info.ts';

/**
 * Serialises the one document that stdout may carry (kubernetes doc "client authentication", output).
 *
 * @param expiresAt ms since 1970, UTC; floored to whole seconds, so that kubectl never outlives the token
 */
export function renderExecCredential(apiVersion: ApiVersion, token: string, expiresAt: number): string {
  const wholeSeconds = Math.floor(expiresAt / 1000) * 1000;
  const expirationTimestamp = new Date(wholeSeconds).toISOString().replace('.000Z', 'Z');
  return `${JSON.stringify({ apiVersion, kind: 'ExecCredential', status: { expirationTimestamp, token } })}\n`;
}
