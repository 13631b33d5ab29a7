/** Flags of kube-apiserver for a cluster that has no webhook, so that it asks none. */
export const WITHOUT_WEBHOOK = {
  'authorization-mode': 'RBAC',
  'authentication-token-webhook-config-file': undefined,
  'authentication-token-webhook-version': undefined,
  'authentication-token-webhook-cache-ttl': undefined,
  'authorization-webhook-config-file': undefined,
  'authorization-webhook-version': undefined,
  'authorization-webhook-cache-authorized-ttl': undefined,
  'authorization-webhook-cache-unauthorized-ttl': undefined,
};
