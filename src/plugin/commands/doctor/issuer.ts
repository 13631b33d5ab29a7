/** The issuer of a token exchange: what it says about itself, its clock, its JWT, and the keys that verify it. */
import { parseJsonObject } from '../../../shared/base/json.ts';
import { KeystoneProtocolError } from '../../../shared/base/errors.ts';
import { PROGRAM_NAME } from '../../../shared/base/program.ts';
import { isPlaintextRemote, parseWebUrl } from '../../../shared/http/peer.ts';
import { discoverIssuer, SIGNATURE_ALGORITHMS } from '../../../shared/oidc/exchange-request.ts';
import type { IssuerDocument } from '../../../shared/oidc/exchange-request.ts';
import { makeJwtVerifier, readJwsHeader } from '../../../shared/oidc/jwt.ts';
import type { JwtVerdict } from '../../../shared/oidc/jwt.ts';
import type { TokenRecord } from '../../cache/token-record.ts';
import { getExchangedToken } from '../../login/cluster-token.ts';
import { withHttp } from '../../login/http-context.ts';
import type { LoginContext } from '../../login/login-context.ts';
import type { TokenExchange } from '../../login/token-exchange.ts';
import { formatDuration } from '../format-time.ts';
import type { TokenFlaw } from './api-server.ts';
import { fail, pass } from './check-runner.ts';
import type { CheckOutcome } from './check-runner.ts';

/** Why a cluster may reject a JWT that is in order. */
export const UNTRUSTED_ISSUER: TokenFlaw = {
  message: 'the cluster does not accept the JWTs of this issuer',
  fix:
    'ask the administrator of the cluster whether its AuthenticationConfiguration (or --oidc-issuer-url and ' +
    '--oidc-client-id of kube-apiserver) names this issuer and this audience, and whether it can reach the issuer',
};

/** An issuer that answers. */
export interface CheckedIssuer {
  readonly exchange: TokenExchange;
  readonly document: IssuerDocument;
}

/**
 * Checks that the issuer answers and is the one that the settings name.
 *
 * @throws KeystoneUnreachable | KeystoneProtocolError
 */
export async function checkIssuer(login: LoginContext, exchange: TokenExchange): Promise<CheckOutcome<CheckedIssuer>> {
  const { issuer, tls } = exchange;
  const document = await withHttp({ ...login, tls }, login.deadlineMs, (http) => discoverIssuer(http, issuer));
  return pass(`${issuer.url} exchanges tokens (${issuer.peer.setting})`, { exchange, document });
}

/**
 * Exchanges, unless the cache holds a JWT.
 *
 * @throws PluginError
 */
export async function checkExchange(
  login: LoginContext,
  { exchange }: CheckedIssuer,
): Promise<CheckOutcome<TokenRecord>> {
  const record = await getExchangedToken(login, exchange);
  const { audience, issuer } = exchange;
  const left = formatDuration(record.expiresAt - login.host.now());
  const source = record.receivedAt < login.startedAt ? 'the cache holds a JWT' : 'the issuer gave a JWT';
  return pass(`${source} for ${audience}, ${left} left (${issuer.audienceSetting})`, record);
}

function explainVerdict(verdict: JwtVerdict, keyId: string | undefined): CheckOutcome<true> {
  const fix = 'ask the operator of the issuer whether all its replicas have the same keys';
  const name = keyId === undefined ? 'the key' : `key ${keyId}`;
  if (verdict.kind === 'valid') return pass(`${name} verifies the JWT`, true);
  if (verdict.kind === 'no-key') return fail(`${name} of the JWT is not among its keys`, fix, { code: 'protocol' });
  const clockFix = 'compare the clocks of this machine and of the issuer';
  return fail(`its keys do not verify the JWT: ${verdict.reason}`, verdict.cause === 'expired' ? clockFix : fix, {
    code: 'protocol',
  });
}

/**
 * Verifies the JWT with the keys of the issuer, as the cluster does.
 *
 * @throws KeystoneUnreachable | KeystoneProtocolError
 */
export async function checkIssuerKeys(
  login: LoginContext,
  { exchange, document }: CheckedIssuer,
  { token }: TokenRecord,
): Promise<CheckOutcome<true>> {
  const { issuer, audience, tls } = exchange;
  const { keysUrl } = document;
  const fix = `ask the operator of the issuer: a cluster cannot verify its JWTs`;
  const url = parseWebUrl(keysUrl ?? '');
  if (url === undefined || isPlaintextRemote(url))
    return fail('it names no https:// jwks_uri', fix, { code: 'protocol' });
  const response = await withHttp({ ...login, tls }, login.deadlineMs, (http) =>
    http.send({ verb: 'GET', url: url.href, peer: issuer.peer }),
  );
  const keySet = response.status === 200 ? parseJsonObject(response.body) : undefined;
  if (keySet === undefined)
    return fail(`its keys cannot be read (status ${response.status})`, fix, { code: 'protocol' });
  const header = readJwsHeader(token);
  try {
    const verdict = await makeJwtVerifier(keySet)(token, {
      issuer: document.issuer,
      audience,
      algorithms: SIGNATURE_ALGORITHMS,
      leewaySeconds: 0,
      now: login.host.now() + response.serverAheadMs,
    });
    return explainVerdict(verdict, header?.keyId);
  } catch {
    throw new KeystoneProtocolError('protocol', 'its keys are not a key set', {
      hint: `ask the operator of the issuer, or run "${PROGRAM_NAME} explain"`,
    });
  }
}
