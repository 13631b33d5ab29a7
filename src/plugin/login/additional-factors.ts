import { AdditionalFactorRequired, AuthRejected, InteractionRequired } from '../../shared/base/errors.ts';
import type { Receipt } from '../../shared/base/errors.ts';
import type { AuthRequest } from '../../shared/keystone/auth-request.ts';
import type { IssuedToken } from '../../shared/keystone/client.ts';
import type { ResolvedConfig } from '../config/resolve-config.ts';
import type { Factor } from '../auth-methods/auth-method.ts';
import { buildFactorPayload } from '../auth-methods/factors.ts';
import { findMissingFactorOptions } from '../auth-methods/missing-options.ts';
import { FACTOR_BY_NAME } from '../auth-methods/multifactor.ts';
import type { LoginContext } from './login-context.ts';
import { promptForMissing } from './prompt-missing.ts';

/** Keystone refused a factor that the user typed: the settings may be right. */
export class AnswerRejected extends AuthRejected {}

/** Ends a login in which the server keeps asking for more factors. */
const MAX_RECEIPTS = 3;

/**
 * Sends a login request; if Keystone requires more factors, prompts only for those that are missing (Keystone API v3,
 * "auth receipt").
 *
 * @throws AdditionalFactorRequired if Keystone requires a factor that is not available here
 * @throws AnswerRejected if it refuses what the user typed
 */
export async function sendWithFactors(
  login: LoginContext,
  config: ResolvedConfig,
  firstRequest: AuthRequest,
  send: (request: AuthRequest) => Promise<IssuedToken>,
): Promise<IssuedToken> {
  let request = firstRequest;
  let complete = config;
  for (let receipts = 0; ; receipts += 1) {
    try {
      return await send(request);
    } catch (error) {
      if (error instanceof AuthRejected && complete !== config) throw toAnswerRejected(error);
      if (!(error instanceof AdditionalFactorRequired) || receipts === MAX_RECEIPTS) throw error;
      const factors = chooseFactors(complete, error.receipt);
      if (factors === undefined) throw error;
      login.reporter.debug(`Keystone also requires ${factors.map(({ name }) => name).join(' and ')}`);
      complete = await promptForFactors(login, complete, factors, error);
      request = buildFactorRequest(complete, request, error.receipt, factors);
    }
  }
}

function toAnswerRejected(error: AuthRejected): AnswerRejected {
  const { code, message, hint, requestId } = error;
  return new AnswerRejected(code, message, { hint, requestId, cause: error });
}

/** Of the combinations of factors that Keystone accepts, chooses the one with the fewest missing options. */
function chooseFactors(config: ResolvedConfig, { missingMethodSets }: Receipt): readonly Factor[] | undefined {
  const supported = missingMethodSets.flatMap((names) => {
    const factors = names.flatMap((name) => FACTOR_BY_NAME.get(name) ?? []);
    return factors.length === names.length && names.length > 0 ? [factors] : [];
  });
  const countMissing = (factors: readonly Factor[]): number => findMissingFactorOptions(config, factors).length;
  return supported.toSorted((a, b) => countMissing(a) - countMissing(b))[0];
}

/** @throws AdditionalFactorRequired if no prompt is possible */
async function promptForFactors(
  login: LoginContext,
  config: ResolvedConfig,
  factors: readonly Factor[],
  { message, receipt, requestId }: AdditionalFactorRequired,
): Promise<ResolvedConfig> {
  try {
    return await promptForMissing(login, config, (current) => findMissingFactorOptions(current, factors));
  } catch (error) {
    if (!(error instanceof InteractionRequired)) throw error;
    throw new AdditionalFactorRequired(message, receipt, { hint: error.hint, requestId, cause: error });
  }
}

/** Builds the request with the receipt and only the missing factors; it repeats the scope, as Keystone requires. */
function buildFactorRequest(
  config: ResolvedConfig,
  request: AuthRequest,
  { id }: Receipt,
  factors: readonly Factor[],
): AuthRequest {
  const causes = factors.map(({ rejectionCause }) => rejectionCause).join(' or ');
  return {
    ...request,
    ...buildFactorPayload(config, factors, request.expected.scope),
    headers: { 'openstack-auth-receipt': id },
    statusExplanations: {
      401: {
        // Not 'auth-rejected': the factors that were sent before are valid.
        code: 'factor-refused',
        message: `Keystone refused the additional factor for ${request.subject}: ${causes}`,
        hint: 'check it, and the clock of the device that shows it',
      },
    },
  };
}
