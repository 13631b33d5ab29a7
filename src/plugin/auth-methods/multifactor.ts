import type { Option } from '../config/option.ts';
import type { ResolvedConfig } from '../config/resolve-config.ts';
import { ConfigError } from '../../shared/base/errors.ts';
import type { AuthMethod, Factor } from './auth-method.ts';
import { identifyUserAndScope, listMissingForFactors, buildFactorRequest } from './factors.ts';
import { password } from './password.ts';
import { token } from './token.ts';
import { totp } from './totp.ts';

/** The methods that can be combined. */
const COMBINABLE: readonly AuthMethod[] = [password, totp, token];

/** Factors by their names in the Keystone API. */
export const FACTOR_BY_NAME: ReadonlyMap<string, Factor> = new Map(
  COMBINABLE.flatMap(({ factor }) => (factor === undefined ? [] : [[factor.name, factor]])),
);

/** The options of all factors. */
export const FACTOR_OPTIONS: readonly Option[] = COMBINABLE.flatMap(({ options }) => options);

const FACTOR_BY_METHOD: ReadonlyMap<string, Factor> = new Map(
  COMBINABLE.flatMap(({ name, aliases, factor }) =>
    factor === undefined ? [] : [name, ...aliases].map((key) => [key, factor] as const),
  ),
);

/** @throws ConfigError for a method that cannot be combined */
function readFactors(config: ResolvedConfig): Factor[] {
  const names = (config.text('auth-methods') ?? '').split(',').map((name) => name.trim());
  const factors = names
    .filter((name) => name !== '')
    .map((name) => {
      const factor = FACTOR_BY_METHOD.get(name) ?? FACTOR_BY_NAME.get(name);
      if (factor !== undefined) return factor;
      throw new ConfigError(
        `${config.origin('auth-methods')} names "${name}", which cannot be combined with other methods`,
        {
          hint: `use ${[...FACTOR_BY_METHOD.keys()].join(', ')}, separated by commas`,
        },
      );
    });
  return [...new Set(factors)];
}

/** Several factors in one request (Keystone API v3, "Multi-Factor Authentication"). */
export const multifactor: AuthMethod = {
  name: 'v3multifactor',
  aliases: [],
  use: 'Password',
  summary: 'several factors of a user in one request',
  options: [
    {
      name: 'auth-methods',
      cacheKey: 'identity',
      group: 'Keystone',
      env: ['OS_AUTH_METHODS'],
      list: true,
      help: 'methods to combine in one login, such as v3password,v3totp',
      prompt: 'Methods to combine, separated by commas',
      suggestion: 'v3password,v3totp',
    },
    ...FACTOR_OPTIONS,
  ],
  impliedBy: ['auth-methods'],
  conflictsWith: [],
  listMissing: (config) =>
    config.has('auth-methods') ? listMissingForFactors(config, readFactors(config)) : ['auth-methods'],
  identify(config) {
    const names = readFactors(config).map(({ name }) => name);
    return [
      // A token for one factor is not a token for two.
      names.join(),
      // The token of the factor can belong to another user than the options name.
      names.includes('token') ? config.secret('token')?.reveal() : undefined,
      ...identifyUserAndScope(config),
    ];
  },
  prepareRequest: async (config) => buildFactorRequest(config, readFactors(config)),
};
