import type { WebhookClient } from './webhook-client.ts';

/** Counts the tokens that an issuer has issued, by its metrics. */
export async function countExchanges(issuer: Pick<WebhookClient, 'sendRequest'>): Promise<number> {
  const { body } = await issuer.sendRequest({ path: '/metrics' });
  const counters = [...String(body).matchAll(/^keystone_auth_exchanges_total\{[^}]*result="issued"\} (\d+)$/gm)];
  return counters.reduce((sum, [, value]) => sum + Number(value), 0);
}
