import type { ResolvedConfig } from '../../shared/options/resolve-config.ts';
import { AdditionalFactorRequired, InteractionRequired } from '../../shared/base/errors.ts';
import type { Receipt } from '../../shared/base/errors.ts';
import type { AuthRequest } from '../../shared/keystone/auth-request.ts';
import type { IssuedToken } from '../../shared/keystone/client.ts';
import { findMissingFactorOptions } from '../auth-methods/missing-options.ts';
import { buildFactorPayload } from '../auth-methods/factors.ts';
import type { Factor } from '../auth-methods/auth-method.ts';
import { FACTOR_BY_NAME } from '../auth-methods/multifactor.ts';
import { promptForMissing } from './prompt-missing.ts';
import type { LoginContext } from './login-context.ts';

/** A Keystone that asks for more each time would be no Keystone. */
const MOST_RECEIPTS = 3;

/** Of the ways that Keystone leaves open, the one for which most is known already. */
function chooseWay(config: ResolvedConfig, { missingMethodSets }: Receipt): readonly Factor[] | undefined {
  const possible = missingMethodSets.flatMap((way) => {
    const factors = way.flatMap((name) => FACTOR_BY_NAME.get(name) ?? []);
    return factors.length === way.length && way.length > 0 ? [factors] : [];
  });
  const missing = (factors: readonly Factor[]): number => findMissingFactorOptions(config, factors).length;
  return possible.toSorted((one, other) => missing(one) - missing(other))[0];
}

/** The request that shows the receipt and the missing proofs only; the scope is said again (Keystone API, "auth receipt"). */
function requestMissing(
  config: ResolvedConfig,
  request: AuthRequest,
  { id }: Receipt,
  factors: readonly Factor[],
): AuthRequest {
  return {
    ...request,
    ...buildFactorPayload(config, factors, request.expected.scope),
    headers: { 'openstack-auth-receipt': id },
    statusExplanations: {
      401: {
        // Not 'auth-rejected': what was shown before is right.
        code: 'factor-refused',
        message: `Keystone refused the further factor for ${request.subject}: ${factors.map(({ rejectionCause }) => rejectionCause).join(' or ')}`,
        hint: 'check it, and the clock of what shows it',
      },
    },
  };
}

/** @throws AdditionalFactorRequired where nobody can be asked */
async function askFor(
  login: LoginContext,
  known: ResolvedConfig,
  factors: readonly Factor[],
  wanted: AdditionalFactorRequired,
): Promise<ResolvedConfig> {
  try {
    return await promptForMissing(login, known, (now) => findMissingFactorOptions(now, factors));
  } catch (error) {
    if (!(error instanceof InteractionRequired)) throw error;
    throw new AdditionalFactorRequired(wanted.message, wanted.receipt, {
      hint: error.hint,
      requestId: wanted.requestId,
      cause: error,
    });
  }
}

/**
 * Sends a request; where Keystone wants further factors, asks only for those that are missing.
 *
 * @throws AdditionalFactorRequired where it wants one that cannot be given here
 */
export async function sendWithFactors(
  login: LoginContext,
  config: ResolvedConfig,
  first: AuthRequest,
  send: (request: AuthRequest) => Promise<IssuedToken>,
): Promise<IssuedToken> {
  let request = first;
  let known = config;
  for (let receipts = 0; ; receipts += 1) {
    try {
      return await send(request);
    } catch (error) {
      if (!(error instanceof AdditionalFactorRequired) || receipts === MOST_RECEIPTS) throw error;
      const factors = chooseWay(known, error.receipt);
      if (factors === undefined) throw error;
      login.reporter.debug(`Keystone wants ${factors.map(({ name }) => name).join(' and ')} too`);
      known = await askFor(login, known, factors, error);
      request = requestMissing(known, request, error.receipt, factors);
    }
  }
}
