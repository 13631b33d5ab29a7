import { listUnset } from '../config/resolve-config.ts';
import { resolvePath } from '../../shared/base/host.ts';
import type { ResolvedConfig } from '../config/resolve-config.ts';
import { listMissingScope, resolveScope } from '../config/resolve-scope.ts';
import { describeScope, listScopeFields } from '../../shared/keystone/scope.ts';
import type { StatusExplanation } from '../../shared/keystone/auth-request.ts';
import type { Host } from '../../shared/base/host.ts';
import type { AuthMethod } from './auth-method.ts';
import { describeJwtSubject, identifyJwt, readJwtFile, requireUnexpiredJwt } from './presented-jwt.ts';
import type { JwtSource } from './presented-jwt.ts';

/** Where a pod finds the token of its service account. */
const TOKEN_FILE = '/var/run/secrets/kubernetes.io/serviceaccount/token';

const SOURCE: JwtSource = {
  label: "the service account's token",
  hint: 'run in a pod with a service account, or set OS_K8S_AUTH_TOKEN_FILE (--k8s-auth-token-file)',
};

function tokenFile(config: ResolvedConfig, host: Host): string {
  return resolvePath(config.text('k8s-auth-token-file') ?? TOKEN_FILE, host);
}

function refusals(config: ResolvedConfig, who: string): Readonly<Partial<Record<number, StatusExplanation>>> {
  const instance = config.text('k8s-auth-instance-id') ?? '';
  const role = config.text('k8s-auth-role');
  const rule = role === undefined ? 'the mapping rules' : `mapping rule "${role}"`;
  const refused: StatusExplanation = {
    code: 'auth-rejected',
    message: `Keystone refused the token of ${who}`,
    hint: `check its audience and expiry, whether instance ${instance} is enabled, and ${rule}`,
  };
  return {
    401: refused,
    403: refused,
    404: {
      code: 'credential-unknown',
      message: `Keystone knows no Kubernetes auth instance ${instance}`,
      hint: 'check OS_K8S_AUTH_INSTANCE_ID',
    },
  };
}

/** Keystone API v4 (Rust), "k8s_auth": the service account of a pod, which Keystone asks the cluster about. */
export const v4Kubernetes: AuthMethod = {
  name: 'v4k8s',
  aliases: [],
  summary: "the service account of a pod, at Rust Keystone's v4",
  options: [
    {
      name: 'k8s-auth-instance-id',
      group: 'Kubernetes',
      env: ['OS_K8S_AUTH_INSTANCE_ID'],
      help: 'what Keystone calls the cluster of the service account, by id',
      prompt: 'Kubernetes auth instance id',
    },
    {
      name: 'k8s-auth-role',
      group: 'Kubernetes',
      env: ['OS_K8S_AUTH_ROLE'],
      help: 'mapping rule (or role, as older versions say) to try first',
    },
    {
      name: 'k8s-auth-token-file',
      group: 'Kubernetes',
      kind: 'file',
      env: ['OS_K8S_AUTH_TOKEN_FILE'],
      help: `file of the service account's token (${TOKEN_FILE})`,
    },
  ],
  impliedBy: [],
  conflictsWith: [],
  usesMachineIdentity: true,
  listMissing: (config) => [...listUnset(config, 'k8s-auth-instance-id'), ...listMissingScope(config)],
  identify: (config, host) => [
    config.text('k8s-auth-instance-id'),
    config.text('k8s-auth-role'),
    identifyJwt(readJwtFile(tokenFile(config, host), SOURCE)),
    ...listScopeFields(resolveScope(config)),
  ],
  // The kubelet replaces the file every hour or so: then one run finds the same key by reading it.
  listIdentityFiles: (config, host) => [tokenFile(config, host)],
  async prepareRequest(config, { host }) {
    const scope = resolveScope(config);
    const jwt = readJwtFile(tokenFile(config, host), SOURCE);
    requireUnexpiredJwt(jwt, host.now(), SOURCE);
    const role = config.text('k8s-auth-role');
    const who = describeJwtSubject(jwt);
    return {
      verb: 'POST',
      version: 'v4',
      path: `k8s_auth/instances/${encodeURIComponent(config.text('k8s-auth-instance-id') ?? '')}/auth`,
      // The rule was called a role until June 2026; the name that a version does not know is ignored.
      body: { jwt: jwt.text, ...(role === undefined ? {} : { rule_name: role, role_name: role }) },
      expected: { scope },
      mismatchHint:
        'the mapping at Keystone decides the scope: unset the project, domain or system, or have the rule changed',
      subject: scope.kind === 'default' ? who : `${who} ${describeScope(scope)}`,
      statusExplanations: refusals(config, who),
    };
  },
};
