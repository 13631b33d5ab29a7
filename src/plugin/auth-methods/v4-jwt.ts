import { listUnset } from '../config/resolve-config.ts';
import { resolvePath } from '../../shared/base/host.ts';
import type { ResolvedConfig } from '../config/resolve-config.ts';
import { listMissingScope, resolveScope } from '../config/resolve-scope.ts';
import { describeScope, findRescopeTarget, listScopeFields } from '../../shared/keystone/scope.ts';
import { ConfigError } from '../../shared/base/errors.ts';
import type { Host } from '../../shared/base/host.ts';
import type { StatusExplanation } from '../../shared/keystone/auth-request.ts';
import { Secret } from '../../shared/base/secret.ts';
import type { AuthMethod } from './auth-method.ts';
import { IDENTITY_PROVIDER_OPTION } from './oidc.ts';
import { describeJwtSubject, identifyJwt, parseJwt, readJwtFile, requireUnexpiredJwt } from './presented-jwt.ts';
import type { JwtSource, PresentedJwt } from './presented-jwt.ts';

const hint = 'set OS_JWT_FILE (--jwt-file) or OS_JWT to a JWT of your identity provider that still lives';

function jwtFile(config: ResolvedConfig, host: Host): string | undefined {
  const path = config.text('jwt-file');
  return path === undefined ? undefined : resolvePath(path, host);
}

function sourceOf(config: ResolvedConfig): JwtSource {
  return { label: `the JWT of ${config.origin(config.has('jwt-file') ? 'jwt-file' : 'jwt')}`, hint };
}

/** @throws ConfigError when one layer gives two */
function readJwt(config: ResolvedConfig, host: Host): PresentedJwt | undefined {
  const text = config.secret('jwt');
  const file = jwtFile(config, host);
  if (text !== undefined && file !== undefined) {
    throw new ConfigError(
      `${config.origin('jwt')} and ${config.origin('jwt-file')} are both set`,
      { hint: 'unset one of them' },
      'config-conflict',
    );
  }
  if (file !== undefined) return readJwtFile(file, sourceOf(config));
  return text === undefined ? undefined : parseJwt(text.reveal(), sourceOf(config));
}

/** @throws ConfigError when no header can carry it */
function readMapping(config: ResolvedConfig): string | undefined {
  const name = config.text('attribute-mapping-name');
  if (name === undefined || /^[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?$/.test(name)) return name;
  throw new ConfigError(`${config.origin('attribute-mapping-name')} holds what no HTTP header can carry`, {
    hint: 'use a name of printable ASCII characters',
  });
}

function refusals(config: ResolvedConfig, who: string): Readonly<Partial<Record<number, StatusExplanation>>> {
  const provider = config.text('identity-provider') ?? '';
  const mapping = readMapping(config);
  const refused: StatusExplanation = {
    code: 'auth-rejected',
    message: `Keystone refused the JWT of ${who}`,
    hint: `check its issuer, audience and expiry, and the mapping of identity provider ${provider}`,
  };
  return {
    401: refused,
    403: refused,
    404: {
      code: 'credential-unknown',
      message: `Keystone knows no identity provider ${provider}${mapping === undefined ? '' : ` with a mapping ${mapping}`}`,
      hint: 'check OS_IDENTITY_PROVIDER and OS_ATTRIBUTE_MAPPING_NAME',
    },
  };
}

/** Keystone API v4 (Rust), "federation": a JWT that an identity provider has signed for a program. */
export const v4Jwt: AuthMethod = {
  name: 'v4jwt',
  aliases: [],
  summary: "a JWT of an identity provider, such as that of a CI job, at Rust Keystone's v4",
  options: [
    IDENTITY_PROVIDER_OPTION,
    {
      name: 'jwt',
      group: 'Federation',
      flag: false,
      pair: 'jwt',
      env: ['OS_JWT'],
      help: 'the JWT to show',
      secret: true,
      random: true,
      prompt: 'JWT',
    },
    { name: 'jwt-file', group: 'Federation', pair: 'jwt', kind: 'file', env: ['OS_JWT_FILE'], help: 'file of the JWT' },
    {
      name: 'attribute-mapping-name',
      group: 'Federation',
      env: ['OS_ATTRIBUTE_MAPPING_NAME'],
      help: 'mapping to try first',
    },
  ],
  impliedBy: [],
  conflictsWith: [],
  // The file's content is a secret that no setting holds.
  usesMachineIdentity: true,
  listMissing: (config) => [
    ...listUnset(config, 'identity-provider'),
    ...listMissingScope(config),
    ...(config.has('jwt-file') ? [] : listUnset(config, 'jwt')),
  ],
  identify(config, host) {
    const shown = readJwt(config, host);
    return [
      config.text('identity-provider'),
      config.text('attribute-mapping-name'),
      shown === undefined ? undefined : identifyJwt(shown),
      ...listScopeFields(resolveScope(config)),
    ];
  },
  listIdentityFiles(config, host) {
    const path = jwtFile(config, host);
    return path === undefined ? [] : [path];
  },
  async prepareRequest(config, { host }) {
    const scope = resolveScope(config);
    const shown = readJwt(config, host) ?? parseJwt('', sourceOf(config));
    requireUnexpiredJwt(shown, host.now(), sourceOf(config));
    const who = describeJwtSubject(shown);
    const mapping = readMapping(config);
    return {
      verb: 'POST',
      version: 'v4',
      path: `federation/identity_providers/${encodeURIComponent(config.text('identity-provider') ?? '')}/jwt`,
      headers: {
        // Small letters: older versions of the server know it in no other spelling.
        authorization: new Secret(`bearer ${shown.text.reveal()}`),
        ...(mapping === undefined ? {} : { 'openstack-mapping': mapping }),
      },
      expected: { scope },
      subject: scope.kind === 'default' ? who : `${who} ${describeScope(scope)}`,
      rescopeTarget: findRescopeTarget(scope),
      statusExplanations: refusals(config, who),
    };
  },
};
