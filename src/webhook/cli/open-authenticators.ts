/** Makes the authenticators that the settings name, each with its own HTTP client. */
import type { Authenticator } from '../authn/authenticator.ts';
import { makeIssuerKeys } from '../authn/issuer-keys.ts';
import { makeKeystoneAuthenticator } from '../authn/keystone-authenticator.ts';
import { fitsIntoHeader } from '../authn/token-shape.ts';
import { hasIssuerClaim, makeOidcAuthenticator } from '../authn/oidc-authenticator.ts';
import type { NamingRules } from '../authn/user-info.ts';
import { reportDroppedNames } from './names-dropped.ts';
import { openHttpClient } from './open-http-client.ts';
import type { HttpClientContext } from './open-http-client.ts';
import { openKeystone } from './open-keystone.ts';
import { openSynchronizer } from './open-synchronizer.ts';
import type { SynchronizerContext } from './open-synchronizer.ts';
import type { AuthenticatorName, WebhookSettings } from './settings.ts';

export type AuthenticatorContext = SynchronizerContext & HttpClientContext;

function skipsShapeCheck({ allowsAnyTokenShape, oidc }: WebhookSettings, token: string): boolean {
  // Tokens of the issuer say so themselves, and Keystone must not see them.
  return allowsAnyTokenShape && fitsIntoHeader(token) && (oidc === undefined || !hasIssuerClaim(oidc.issuer, token));
}

/** Makes the function that returns the current rules, the same object until the role mappings change. */
function followNamingRules({ settings, state }: AuthenticatorContext): () => NamingRules {
  const makeRules = (roleMappings: NamingRules['roleMappings']): NamingRules => ({
    usernameFormat: settings.usernameFormat,
    groupFormat: settings.groupFormat,
    allowedNames: settings.allowedNames,
    roleMappings,
    allowsMappedSystemNames: settings.compatibilities.has('mapped-system-names'),
  });
  let rules = makeRules(state.syncConfig.roleMappings);
  return () => {
    const { roleMappings } = state.syncConfig;
    if (rules.roleMappings !== roleMappings) rules = makeRules(roleMappings);
    return rules;
  };
}

async function openKeystoneAuthenticator(context: AuthenticatorContext): Promise<Authenticator> {
  const { host, settings, metrics, state, clock } = context;
  const authenticator = makeKeystoneAuthenticator({
    ...(await openKeystone(context, {
      maxQueueMs: settings.reviewTimeoutMs,
      recordOutcome: metrics.recordValidation,
    })),
    namingRules: followNamingRules(context),
    skipsShapeCheck: (token) => skipsShapeCheck(settings, token),
    cacheTtlMs: settings.cacheTtlMs,
    timeoutMs: settings.keystoneTimeoutMs,
    clock,
    now: host.now,
    onNamesDropped: reportDroppedNames(context, 'uid'),
    onAuthenticated: await openSynchronizer(context),
  });
  state.readCacheSizes = authenticator.readCacheSizes;
  return authenticator;
}

async function openOidcAuthenticator(context: AuthenticatorContext): Promise<Authenticator> {
  const { host, settings, log, metrics, clock } = context;
  const { oidc } = settings;
  if (oidc === undefined) throw new Error('the authenticator oidc has no issuer');
  const { issuer } = oidc;
  const keys = makeIssuerKeys({
    http: await openHttpClient(context, { what: 'oidc-ca', file: oidc.caFile }),
    issuer,
    clock,
    onRead: (result, reason) => {
      metrics.recordIssuerKeysRead(result);
      if (reason === undefined) log.info({ issuer }, 'the keys of the issuer were read');
      else log.error({ issuer, reason }, 'the keys of the issuer could not be read');
    },
  });
  // Not awaited: an issuer that is down must not delay the start.
  void keys.preload();
  return makeOidcAuthenticator(oidc, {
    keys,
    now: host.now,
    onNamesDropped: reportDroppedNames(context, 'username'),
  });
}

const OPENERS: Readonly<Record<AuthenticatorName, (context: AuthenticatorContext) => Promise<Authenticator>>> = {
  keystone: openKeystoneAuthenticator,
  oidc: openOidcAuthenticator,
};

/**
 * Makes the authenticators in the order of the settings.
 *
 * @throws ConfigError if a CA file or the kubeconfig is not usable
 */
export async function openAuthenticators(context: AuthenticatorContext): Promise<readonly Authenticator[]> {
  const authenticators: Authenticator[] = [];
  for (const name of context.settings.authenticatorNames) authenticators.push(await OPENERS[name](context));
  return authenticators;
}
