import { readAuthUrl } from '../../shared/keystone/auth-url.ts';
import { describeSources } from '../../shared/options/option.ts';
import type { Option, OptionName } from '../config/option.ts';
import type { ResolvedConfig } from '../config/resolve-config.ts';
import { InteractionRequired } from '../../shared/base/errors.ts';
import type { AuthMethod, Factor } from './auth-method.ts';
import { OPTIONS } from './registry.ts';

const OPTION_BY_NAME = new Map(OPTIONS.map((option) => [option.name, option]));

function lookUp(names: readonly OptionName[]): Option[] {
  return names.flatMap((name) => OPTION_BY_NAME.get(name) ?? []);
}

/** What must still be known before the request can be made, in the order of asking. */
export function findMissingOptions(
  config: ResolvedConfig,
  method: Pick<AuthMethod, 'listMissing' | 'worksWithoutKeystoneUrl'>,
): Option[] {
  const needsUrl = method.worksWithoutKeystoneUrl?.(config) !== true && readAuthUrl(config) === undefined;
  return lookUp([...(needsUrl ? (['keystone-url'] as const) : []), ...method.listMissing(config)]);
}

/** What must still be known to give further factors. */
export function findMissingFactorOptions(config: ResolvedConfig, factors: readonly Factor[]): Option[] {
  return lookUp(factors.flatMap((factor) => factor.listMissing(config)));
}

/**
 * Says what is missing and how to give it, where nobody can be asked.
 *
 * @param because why nobody can be asked, as a clause
 */
export function explainMissingOptions(missing: readonly Option[], because: string): InteractionRequired {
  const what = missing.map((option) => (option.prompt ?? option.name).replace(/ \(.*\)$/, '').toLowerCase());
  const verb = what.length === 1 ? 'is' : 'are';
  return new InteractionRequired(`${what.join(', ')} ${verb} not set and ${because}`, {
    hint: `set ${missing.map(describeSources).join(', ')}`,
  });
}
