/** Flags of kube-apiserver for a cluster that asks no webhook about tokens. */
export const WITHOUT_WEBHOOK_AUTHENTICATION = {
  'authentication-token-webhook-config-file': undefined,
  'authentication-token-webhook-version': undefined,
  'authentication-token-webhook-cache-ttl': undefined,
};

/** The same for one that asks no webhook what is allowed, but has RBAC. */
export const WITHOUT_WEBHOOK_AUTHORIZATION = {
  'authorization-mode': 'RBAC',
  'authorization-webhook-config-file': undefined,
  'authorization-webhook-version': undefined,
  'authorization-webhook-cache-authorized-ttl': undefined,
  'authorization-webhook-cache-unauthorized-ttl': undefined,
};

/** The same for one that has no webhook. */
export const WITHOUT_WEBHOOK = { ...WITHOUT_WEBHOOK_AUTHENTICATION, ...WITHOUT_WEBHOOK_AUTHORIZATION };
