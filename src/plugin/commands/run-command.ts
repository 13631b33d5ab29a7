/** Runs the commands other than get-token: finds the command, prepares its call, and renders its result. */
import {
  makeUnexpectedArgumentError,
  parseCommandLine,
  rejectForeignFlags,
} from '../../shared/options/parse-command-line.ts';
import type { CommandLine } from '../../shared/options/parse-command-line.ts';
import type { Log } from '../cli/reporter.ts';
import { EXIT } from '../cli/exit-status.ts';
import { makeReporter } from '../cli/reporter.ts';
import { runToEnd } from '../cli/run-to-end.ts';
import type { RunResult } from '../cli/run-to-end.ts';
import { readEnvironment } from '../../shared/options/environment.ts';
import { mergeLayers } from '../../shared/options/layer.ts';
import type { Layer } from '../../shared/options/layer.ts';
import type { Option } from '../../shared/options/option.ts';
import { makeConfig } from '../../shared/options/config.ts';
import type { Config } from '../../shared/options/config.ts';
import type { OptionName } from '../config/option.ts';
import type { RunContext } from '../login/login-context.ts';
import type { CommandOptionName } from './command-option.ts';
import { UsageError } from '../../shared/base/errors.ts';
import { EXEC_INFO } from '../../shared/base/host.ts';
import type { Host } from '../../shared/base/host.ts';
import { isRunByKubectl } from '../exec/exec-credential.ts';
import { PROGRAM_NAME, USER_AGENT, VERSION } from '../../shared/base/program.ts';
import { renderLines } from '../../shared/base/terminal-text.ts';
import { renderResult } from './render-result.ts';
import type { Invocation, Command } from './command.ts';
import { chooseLogin } from './choose-login.ts';
import { OPTIONS } from '../auth-methods/registry.ts';
import { listGetTokenOptions } from './accepted-options.ts';
import { renderPluginHelp } from './help/help.ts';
import { ALL_COMMANDS, COMMANDS, GET_TOKEN_COMMAND } from './registry.ts';
import type { ChosenLogin } from './choose-login.ts';
import { COMPLETE, completeCommandLine } from './completion/complete.ts';
import { chooseColors } from './colors.ts';

function pickOptions<Name extends string>(layer: Layer<string>, options: readonly Option<Name>[]): Layer<Name> {
  return new Map(
    options.flatMap(({ name }) => {
      const setting = layer.get(name);
      return setting === undefined ? [] : [[name, setting]];
    }),
  );
}

/** @throws UsageError if words are missing, superfluous or not allowed */
function readArguments(command: Command, words: readonly string[]): readonly string[] {
  const args = words.slice(command.words.length);
  const expected = command.arguments ?? [];
  if (args.length > expected.length && expected.at(-1)?.variadic !== true) throw makeUnexpectedArgumentError();
  const missing = expected.find(({ required }, index) => required === true && args[index] === undefined);
  if (missing !== undefined) {
    throw new UsageError(`${command.words.join(' ')} needs ${missing.name}`, { hint: `give the ${missing.help}` });
  }
  for (const [index, { name, choices }] of expected.entries()) {
    const word = args[index];
    if (word !== undefined && choices?.includes(word) === false) {
      throw new UsageError(`${name} must be ${choices.join(' or ')}`, { hint: 'see --help' });
    }
  }
  return args;
}

/** Every option of every command, once: a command line is parsed before its command is known. */
const EVERY_OPTION: readonly Option[] = [
  ...new Map(
    [...OPTIONS, ...COMMANDS.flatMap(({ options }) => options)].map((option) => [option.name, option]),
  ).values(),
];

async function prepareCall(
  host: Host,
  log: Log,
  command: Command,
  { words, flags }: CommandLine<string>,
): Promise<Invocation> {
  const loginOptions = listGetTokenOptions(command);
  rejectForeignFlags(PROGRAM_NAME, command.words, flags, [...loginOptions, ...command.options]);
  const loginFlags = pickOptions(flags, loginOptions);
  const ownLayers = [pickOptions(flags, command.options), readEnvironment(host.env, command.options)];
  const ownConfig = makeConfig(mergeLayers(ownLayers, command.options));
  const args = readArguments(command, words);
  const { run: runContext, usedContext } = await chooseLoginOf(command, makeRun(host, log, loginFlags), ownConfig);
  return {
    host: runContext.host,
    args,
    isNamed: words.length > 0,
    ownConfig,
    flags: runContext.flags,
    usedContext,
    runContext,
    reporter: runContext.reporter,
  };
}

/** Commands that are about a context themselves read it, and the others log in with it. */
function chooseLoginOf(
  { contextUse = 'login' }: Command,
  run: RunContext,
  ownConfig: Config<CommandOptionName>,
): Promise<ChosenLogin> {
  if (contextUse === 'none' || contextUse === 'subject') return Promise.resolve({ run, usedContext: undefined });
  const selection = { kubeconfig: ownConfig.text('kubeconfig'), context: ownConfig.text('context') };
  return chooseLogin(run, selection, { fileOnly: contextUse === 'login-and-file' });
}

/** @throws UsageError if there is no such command */
async function chooseCommand(words: readonly string[]): Promise<Command> {
  if (words.length === 0) return GET_TOKEN_COMMAND;
  const { findCommand } = await import('../../shared/yargs/yargs.ts');
  return findCommand([GET_TOKEN_COMMAND, ...COMMANDS], words);
}

/** A run for which kubectl does not ask, and which writes no alias for the fast path. */
function makeRun(host: Host, log: Log, flags: Layer<OptionName>): RunContext {
  const reporter = makeReporter(log, flags);
  return { host, execInfo: undefined, flags, reporter, userAgent: USER_AGENT, onFastPath: false };
}

/**
 * Refuses a command that kubectl runs: a kubeconfig says who logs in and where, and not what else happens on this machine.
 *
 * @throws UsageError
 */
function rejectCommandOfKubectl(host: Host, words: readonly string[]): void {
  if (!isRunByKubectl(host)) return;
  throw new UsageError(`kubectl can only run get-token, not "${words.join(' ')}"`, {
    hint: `correct args in the exec stanza of the kubeconfig, or unset ${EXEC_INFO} in a script that kubectl runs`,
  });
}

async function run(host: Host, log: Log): Promise<RunResult> {
  if (host.argv[0] === COMPLETE && host.argv.includes('--')) {
    rejectCommandOfKubectl(host, [COMPLETE]);
    const lines = await completeCommandLine(host.argv, ALL_COMMANDS, EVERY_OPTION, (flags) =>
      makeRun(host, log, flags),
    );
    return { document: renderLines(lines), exitStatus: EXIT.ok };
  }
  const line = parseCommandLine(host.argv, EVERY_OPTION);
  if (line.wantsHelp) {
    const lines = await renderPluginHelp(line.words, ALL_COMMANDS, host.columns());
    return { document: renderLines(lines), exitStatus: EXIT.ok };
  }
  if (line.wantsVersion) return { document: renderLines([VERSION]), exitStatus: EXIT.ok };
  const command = await chooseCommand(line.words);
  if (command !== GET_TOKEN_COMMAND) rejectCommandOfKubectl(host, command.words);
  const call = await prepareCall(host, log, command, line);
  const result = await command.run(call);
  return {
    document: await renderResult(result, call.ownConfig.text('output'), chooseColors(host)),
    exitStatus: result.exitStatus ?? EXIT.ok,
  };
}

/** Runs a command and reports its result or its failure. */
export async function runCommand(host: Host): Promise<void> {
  await runToEnd(host, (log) => run(host, log));
}
