import type { Environment } from '../base/host.ts';
import { makeLayer, parseSetting } from './layer.ts';
import type { Layer, Setting } from './layer.ts';
import type { Option } from './option.ts';

const QUOTED = /^(?<quote>["'])(?<inner>.*)\k<quote>$/s;

/**
 * Removes what a shell would have removed: spaces, line breaks and quotes around a value. They stay where a file with
 * Windows line ends is sourced, or where a program reads such a file without a shell (`--env-file`).
 */
function cleanValue(text: string): string {
  const trimmed = text.trim();
  return QUOTED.exec(trimmed)?.groups?.['inner']?.trim() ?? trimmed;
}

/** What is around a secret that cannot be meant, most likely. Only the user can say, so it stays. */
const FLAWS: readonly (readonly [RegExp, string])[] = [
  [/[\r\n]$/, 'ends with a line break'],
  [/\s$/, 'ends with a space'],
  [/^\s/, 'begins with a space or a line break'],
  [QUOTED, 'is wrapped in quotes'],
];

function readVariable(option: Option, name: string, text: string): Setting | undefined {
  if (!option.secret || option.isToken) return parseSetting(option, cleanValue(text), name);
  const setting = parseSetting(option, text, name);
  const flaw = FLAWS.find(([pattern]) => pattern.test(text))?.[1];
  return setting === undefined || flaw === undefined ? setting : { ...setting, flaw };
}

/**
 * Reads the settings that variables make. Spaces, line breaks and quotes around a value do not count, unless a person may
 * have chosen it as a secret.
 *
 * @throws ConfigError if a variable has a value that its option does not accept
 */
export function readEnvironment<Name extends string>(env: Environment, options: readonly Option<Name>[]): Layer<Name> {
  return makeLayer(options, (option, names) => {
    const variables = (names === 'usual' ? option.env : option.legacyEnv) ?? [];
    const name = variables.find((candidate) => cleanValue(env[candidate] ?? '') !== '');
    return name === undefined ? undefined : readVariable(option, name, env[name] ?? '');
  });
}
