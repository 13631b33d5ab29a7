/** Commands other than get-token: which one is meant, what it is called with, and how its answer is written. */
import { listWords, parseCommandLine, makeUnexpectedArgumentError } from '../cli/parse-command-line.ts';
import { EXIT } from '../cli/exit-status.ts';
import { makeReporter } from '../cli/reporter.ts';
import { runToEnd } from '../cli/run-to-end.ts';
import type { RunResult } from '../cli/run-to-end.ts';
import { readEnvironment } from '../../shared/options/environment.ts';
import type { Layer } from '../../shared/options/layer.ts';
import type { Option } from '../../shared/options/option.ts';
import { resolveConfig } from '../../shared/options/resolve-config.ts';
import { UsageError } from '../../shared/base/errors.ts';
import type { Host } from '../../shared/base/host.ts';
import { USER_AGENT } from '../../shared/base/version.ts';
import { renderResult } from './render-result.ts';
import type { Invocation, Command } from './command.ts';
import { findCommand, listCommandGroup, listGetTokenOptions } from './find-command.ts';
import { chooseColors } from './colors.ts';

function only(layer: Layer, options: readonly Option[]): Layer {
  return new Map([...layer].filter(([name]) => options.some((option) => option.name === name)));
}

/** @throws UsageError where words are missing, or there are too many */
function takeWords(command: Command, words: readonly string[]): readonly string[] {
  const own = words.slice(command.words.length);
  const wanted = command.arguments ?? [];
  if (own.length > wanted.length && wanted.at(-1)?.variadic !== true) throw makeUnexpectedArgumentError();
  const missing = wanted.find(({ required }, index) => required === true && own[index] === undefined);
  if (missing !== undefined) {
    throw new UsageError(`${command.words.join(' ')} needs ${missing.name}`, { hint: `it is the ${missing.help}` });
  }
  for (const [index, { name, choices }] of wanted.entries()) {
    const word = own[index];
    if (word !== undefined && choices?.includes(word) === false) {
      throw new UsageError(`${name} must be ${choices.join(' or ')}`, { hint: 'see --help' });
    }
  }
  return own;
}

function prepare(host: Host, command: Command): Invocation {
  const login = listGetTokenOptions(command);
  const { words, flags } = parseCommandLine(host.argv, [...login, ...command.options]);
  const loginFlags = only(flags, login);
  const ownConfig = resolveConfig(
    [only(flags, command.options), readEnvironment(host.env, command.options)],
    command.options,
  );
  const reporter = makeReporter(host, loginFlags);
  return {
    host,
    args: takeWords(command, words),
    ownConfig,
    flags: loginFlags,
    runContext: { host, execInfo: undefined, flags: loginFlags, reporter, userAgent: USER_AGENT, onFastPath: false },
    reporter,
    colors: chooseColors(host),
  };
}

async function answer(host: Host): Promise<RunResult> {
  const words = listWords(host.argv);
  if (host.argv.includes('--help')) {
    const { renderHelp } = await import('./help.ts');
    const asked = words.length === 0 || listCommandGroup(words[0]).length === 0 ? undefined : words;
    return { document: await renderHelp(asked, host.columns()), exitStatus: EXIT.ok };
  }
  const command = findCommand(words);
  const call = prepare(host, command);
  const given = await command.run(call);
  return {
    document: await renderResult(given, call.ownConfig.text('output')),
    exitStatus: given.exitStatus ?? EXIT.ok,
  };
}

/** Runs a command to its end, its failures included. */
export async function runCommand(host: Host): Promise<void> {
  await runToEnd(host, () => answer(host));
}
