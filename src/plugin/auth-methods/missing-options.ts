import { readAuthUrl } from '../../shared/keystone/auth-url.ts';
import { describeSources, nameInSentence } from '../../shared/options/option.ts';
import type { Option, OptionName } from '../config/option.ts';
import type { ResolvedConfig } from '../config/resolve-config.ts';
import { InteractionRequired } from '../../shared/base/errors.ts';
import type { AuthMethod, Factor } from './auth-method.ts';
import { OPTIONS } from './registry.ts';

const OPTION_BY_NAME = new Map(OPTIONS.map((option) => [option.name, option]));

function lookUp(names: readonly OptionName[]): Option[] {
  return names.flatMap((name) => OPTION_BY_NAME.get(name) ?? []);
}

/** Finds the options that the login still needs, in the order of the prompts. */
export function findMissingOptions(
  config: ResolvedConfig,
  method: Pick<AuthMethod, 'listMissing' | 'worksWithoutKeystoneUrl'>,
): Option[] {
  const needsUrl = method.worksWithoutKeystoneUrl?.(config) !== true && readAuthUrl(config) === undefined;
  return lookUp([...(needsUrl ? (['keystone-url'] as const) : []), ...method.listMissing(config)]);
}

/** Finds the options that further factors still need. */
export function findMissingFactorOptions(config: ResolvedConfig, factors: readonly Factor[]): Option[] {
  return lookUp(factors.flatMap((factor) => factor.listMissing(config)));
}

/**
 * Explains which options are missing and how to set them, when the plugin cannot prompt.
 *
 * @param because why the plugin cannot prompt, as a clause
 */
export function explainMissingOptions(missing: readonly Option[], because: string): InteractionRequired {
  const names = missing.map(nameInSentence);
  const verb = names.length === 1 ? 'is' : 'are';
  return new InteractionRequired(`${names.join(', ')} ${verb} not set and ${because}`, {
    hint: `set ${missing.map(describeSources).join(', ')}`,
  });
}
