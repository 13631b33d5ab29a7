import { resolvePath } from '../../shared/base/host.ts';
import type { ResolvedConfig } from '../config/resolve-config.ts';
import { listUnset } from '../config/resolve-config.ts';
import { listMissingScope, resolveScope } from '../config/resolve-scope.ts';
import { listScopeFields } from '../../shared/keystone/scope.ts';
import type { ExplainStatus, StatusExplanations } from '../../shared/keystone/auth-request.ts';
import type { Host } from '../../shared/base/host.ts';
import type { AuthMethod } from './auth-method.ts';
import {
  describeJwtLogin,
  describeJwtSubject,
  explainJwtStatuses,
  identifyJwt,
  readJwtFile,
  requireUnexpiredJwt,
} from './presented-jwt.ts';
import type { JwtSource, PresentedJwt } from './presented-jwt.ts';
import { readPathSegment } from './path-segment.ts';

/** The token of the service account in a pod. */
const DEFAULT_TOKEN_FILE = '/var/run/secrets/kubernetes.io/serviceaccount/token';

const SOURCE: JwtSource = {
  label: 'the service account token',
  hint: 'run in a pod with a service account, or set OS_K8S_AUTH_TOKEN_FILE (--k8s-auth-token-file)',
};

function readTokenPath(config: ResolvedConfig, host: Host): string {
  return resolvePath(config.text('k8s-auth-token-file') ?? DEFAULT_TOKEN_FILE, host);
}

const ROLE_HINT = 'set OS_K8S_AUTH_ROLE (--k8s-auth-role) to a role of this instance';

function explainStatuses(config: ResolvedConfig, jwt: PresentedJwt): StatusExplanations {
  const instance = config.text('k8s-auth-instance-id') ?? '';
  const role = config.text('k8s-auth-role');
  const rule = role === undefined ? 'the mapping rules' : `mapping rule "${role}"`;
  const refusals = explainJwtStatuses(
    {
      message: `Keystone refused the token of ${describeJwtSubject(jwt)}`,
      hint:
        'give its service account the ClusterRole system:auth-delegator (ClusterRoleBinding), ' +
        "use a token with the API server's own audience, " +
        `and check that instance ${instance} is enabled, and ${rule}`,
    },
    ({ text }) =>
      /\bauth role\b/.test(text)
        ? {
            code: 'credential-unknown',
            message: `Kubernetes auth instance ${instance} has no role "${role ?? ''}"`,
            hint: ROLE_HINT,
          }
        : {
            code: 'credential-unknown',
            message: `Keystone has no Kubernetes auth instance ${instance}`,
            hint: 'check OS_K8S_AUTH_INSTANCE_ID',
          },
  );
  const explainMissingRole: ExplainStatus = (message) =>
    /missing field `(?:role|rule)_name`/.test(message.text)
      ? { code: 'request-rejected', message: 'this Keystone requires the name of a role', hint: ROLE_HINT }
      : undefined;
  return { ...refusals, 400: explainMissingRole, 422: explainMissingRole };
}

/** Keystone API v4 (Rust), "k8s_auth": the service account of a pod, whose token Keystone reviews at the cluster. */
export const v4Kubernetes: AuthMethod = {
  name: 'v4k8s',
  aliases: [],
  use: 'Program',
  summary: 'the service account of a pod, at v4 of Rust Keystone',
  options: [
    {
      name: 'k8s-auth-instance-id',
      cacheKey: 'identity',
      group: 'Kubernetes',
      env: ['OS_K8S_AUTH_INSTANCE_ID'],
      help: 'ID of the Kubernetes auth instance in Keystone, which is the cluster of the service account',
      prompt: 'Kubernetes auth instance ID',
    },
    {
      name: 'k8s-auth-role',
      cacheKey: 'identity',
      group: 'Kubernetes',
      env: ['OS_K8S_AUTH_ROLE'],
      help: 'the only mapping rule (role, in older versions) that Keystone tries',
    },
    {
      name: 'k8s-auth-token-file',
      cacheKey: 'identity',
      group: 'Kubernetes',
      kind: 'file',
      env: ['OS_K8S_AUTH_TOKEN_FILE'],
      help: `file that contains the service account token (${DEFAULT_TOKEN_FILE})`,
    },
  ],
  impliedBy: [],
  conflictsWith: [],
  usesMachineIdentity: true,
  listMissing: (config) => [...listUnset(config, 'k8s-auth-instance-id'), ...listMissingScope(config)],
  identify: (config, host) => [
    config.text('k8s-auth-instance-id'),
    config.text('k8s-auth-role'),
    identifyJwt(readJwtFile(readTokenPath(config, host), SOURCE)),
    ...listScopeFields(resolveScope(config)),
  ],
  // The kubelet replaces the file about every hour; the next run reads it and finds the same cache key.
  listIdentityFiles: (config, host) => [readTokenPath(config, host)],
  async prepareRequest(config, { host }) {
    const scope = resolveScope(config);
    const jwt = readJwtFile(readTokenPath(config, host), SOURCE);
    requireUnexpiredJwt(jwt, host.now(), SOURCE);
    const role = config.text('k8s-auth-role');
    return {
      verb: 'POST',
      version: 'v4',
      path: `k8s_auth/instances/${readPathSegment(config, 'k8s-auth-instance-id')}/auth`,
      // Rust Keystone named the rule a role until June 2026, and ignores the name that it does not know.
      body: { jwt: jwt.text, ...(role === undefined ? {} : { rule_name: role, role_name: role }) },
      expected: { scope },
      mismatchHint:
        'the mapping rule decides the scope: unset the project, ' +
        'domain or system, or ask the operator to change the rule',
      subject: describeJwtLogin(jwt, scope),
      statusExplanations: explainStatuses(config, jwt),
    };
  },
};
