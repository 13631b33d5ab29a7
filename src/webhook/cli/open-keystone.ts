/** Opens what asks Keystone about tokens, with the settings of a server. */
import { makeRateLimiter } from '../authn/rate-limiter.ts';
import type { RateLimiter } from '../authn/rate-limiter.ts';
import { makeTokenValidator } from '../authn/validate-token.ts';
import type { TokenValidator, TokenValidatorSettings } from '../authn/validate-token.ts';
import { openHttpClient } from './open-http-client.ts';
import type { HttpClientContext } from './open-http-client.ts';
import type { SharedSettings } from './shared-settings.ts';

/** Asks Keystone about tokens, and limits how often. */
export interface KeystoneAccess {
  readonly validate: TokenValidator;
  readonly rateLimiter: RateLimiter;
}

/**
 * Opens the access to Keystone.
 *
 * @param maxQueueMs a new token is turned away if the rate gives it no turn within this time, in ms
 * @throws ConfigError if the file of authorities is invalid
 */
export async function openKeystone(
  context: HttpClientContext & { readonly settings: SharedSettings },
  { maxQueueMs, recordOutcome }: Pick<TokenValidatorSettings, 'recordOutcome'> & { readonly maxQueueMs: number },
): Promise<KeystoneAccess> {
  const { host, settings, log, clock } = context;
  return {
    validate: makeTokenValidator({
      http: await openHttpClient(context, { what: 'keystone-ca', file: settings.keystoneCaFile }),
      authUrl: settings.authUrl,
      refusesAccessRules: settings.refusesAccessRules,
      now: host.now,
      warn: (message) => {
        log.warn(message);
      },
      clock,
      recordOutcome,
    }),
    rateLimiter: makeRateLimiter({
      concurrency: settings.keystoneConcurrency,
      tokensPerSecond: settings.keystoneRate,
      maxQueueMs,
      maxWaitMs: settings.keystoneTimeoutMs,
      clock,
    }),
  };
}
