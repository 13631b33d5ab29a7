import { resolvePath } from '../../shared/base/host.ts';
import type { ResolvedConfig } from '../config/resolve-config.ts';
import { listUnset } from '../config/resolve-config.ts';
import { listMissingScope, resolveScope } from '../config/resolve-scope.ts';
import { findRescopeTarget, listScopeFields } from '../../shared/keystone/scope.ts';
import { ConfigError } from '../../shared/base/errors.ts';
import type { Host } from '../../shared/base/host.ts';
import type { StatusExplanations } from '../../shared/keystone/auth-request.ts';
import { Secret } from '../../shared/base/secret.ts';
import type { AuthMethod } from './auth-method.ts';
import { IDENTITY_PROVIDER_OPTION } from './oidc-options.ts';
import {
  describeJwtLogin,
  describeJwtSubject,
  explainJwtStatuses,
  identifyJwt,
  parseJwt,
  readJwtFile,
  requireUnexpiredJwt,
} from './presented-jwt.ts';
import type { JwtSource, PresentedJwt } from './presented-jwt.ts';
import { readPathSegment } from './path-segment.ts';

const HINT = 'set OS_JWT_FILE (--jwt-file) or OS_JWT to a valid JWT of your identity provider';

function readJwtPath(config: ResolvedConfig, host: Host): string | undefined {
  const path = config.text('jwt-file');
  return path === undefined ? undefined : resolvePath(path, host);
}

function describeSource(config: ResolvedConfig): JwtSource {
  return { label: `the JWT of ${config.origin(config.has('jwt-file') ? 'jwt-file' : 'jwt')}`, hint: HINT };
}

/** @throws ConfigError when `jwt` and `jwt-file` are both set */
function readJwt(config: ResolvedConfig, host: Host): PresentedJwt | undefined {
  const text = config.secret('jwt');
  const file = readJwtPath(config, host);
  if (text !== undefined && file !== undefined) {
    throw new ConfigError(
      `${config.origin('jwt')} and ${config.origin('jwt-file')} are both set`,
      { hint: 'unset one of them' },
      'config-conflict',
    );
  }
  if (file !== undefined) return readJwtFile(file, describeSource(config));
  return text === undefined ? undefined : parseJwt(text.reveal(), describeSource(config));
}

/** @throws ConfigError when the name is not valid in an HTTP header */
function readMappingName(config: ResolvedConfig): string | undefined {
  const name = config.text('attribute-mapping-name');
  if (name === undefined || /^[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?$/.test(name)) return name;
  throw new ConfigError(
    `${config.origin('attribute-mapping-name')} contains characters that are not valid in an HTTP header`,
    {
      hint: 'use a name with printable ASCII characters only',
    },
  );
}

const MAPPING_HINT = 'set OS_ATTRIBUTE_MAPPING_NAME (--attribute-mapping-name) to a mapping of this provider';

function explainStatuses(config: ResolvedConfig, jwt: PresentedJwt): StatusExplanations {
  const provider = config.text('identity-provider') ?? '';
  const mapping = readMappingName(config);
  const refusals = explainJwtStatuses(
    {
      message: `Keystone refused the JWT of ${describeJwtSubject(jwt)}`,
      hint: `check its issuer, audience and expiry, and the mapping of identity provider ${provider}`,
    },
    ({ text }) =>
      /\bmapping\b/.test(text)
        ? {
            code: 'credential-unknown',
            message: `identity provider ${provider} has no mapping "${mapping ?? ''}"`,
            hint: MAPPING_HINT,
          }
        : {
            code: 'credential-unknown',
            message: `Keystone has no identity provider ${provider}`,
            hint: 'check OS_IDENTITY_PROVIDER',
          },
  );
  const explainReason = refusals[400];
  return {
    ...refusals,
    400: (message) =>
      message.text.includes('openstack-mapping')
        ? { code: 'request-rejected', message: 'this Keystone requires the name of a mapping', hint: MAPPING_HINT }
        : explainReason(message),
  };
}

/** Keystone API v4 (Rust), "federation": a JWT that an identity provider signed for a program. */
export const v4Jwt: AuthMethod = {
  name: 'v4jwt',
  aliases: [],
  use: 'Program',
  summary: 'a JWT of an identity provider, such as the one of a CI job, at v4 of Rust Keystone',
  options: [
    IDENTITY_PROVIDER_OPTION,
    {
      name: 'jwt',
      cacheKey: 'identity',
      group: 'Federation',
      flag: false,
      pair: 'jwt',
      env: ['OS_JWT'],
      help: 'the JWT to present',
      secret: true,
      isToken: true,
      prompt: 'JWT',
    },
    {
      name: 'jwt-file',
      cacheKey: 'identity',
      group: 'Federation',
      pair: 'jwt',
      kind: 'file',
      env: ['OS_JWT_FILE'],
      help: 'file that contains the JWT',
    },
    {
      name: 'attribute-mapping-name',
      cacheKey: 'identity',
      group: 'Federation',
      env: ['OS_ATTRIBUTE_MAPPING_NAME'],
      help: 'name of the only attribute mapping (rule, in newer versions) that Keystone tries',
    },
  ],
  impliedBy: [],
  conflictsWith: [],
  // The content of the file is a secret that no setting contains.
  usesMachineIdentity: true,
  listMissing: (config) => [
    ...listUnset(config, 'identity-provider'),
    ...listMissingScope(config),
    ...(config.has('jwt-file') ? [] : listUnset(config, 'jwt')),
  ],
  identify(config, host) {
    const jwt = readJwt(config, host);
    return [
      config.text('identity-provider'),
      config.text('attribute-mapping-name'),
      jwt === undefined ? undefined : identifyJwt(jwt),
      ...listScopeFields(resolveScope(config)),
    ];
  },
  listIdentityFiles(config, host) {
    const path = readJwtPath(config, host);
    return path === undefined ? [] : [path];
  },
  async prepareRequest(config, { host }) {
    const scope = resolveScope(config);
    const jwt = readJwt(config, host) ?? parseJwt('', describeSource(config));
    requireUnexpiredJwt(jwt, host.now(), describeSource(config));
    const mapping = readMappingName(config);
    return {
      verb: 'POST',
      version: 'v4',
      path: `federation/identity_providers/${readPathSegment(config, 'identity-provider')}/jwt`,
      headers: {
        // In lower case, because older versions of the server do not recognize another spelling.
        authorization: new Secret(`bearer ${jwt.text.reveal()}`),
        ...(mapping === undefined ? {} : { 'openstack-mapping': mapping }),
      },
      expected: { scope },
      subject: describeJwtLogin(jwt, scope),
      rescopeTarget: findRescopeTarget(scope),
      statusExplanations: explainStatuses(config, jwt),
    };
  },
};
