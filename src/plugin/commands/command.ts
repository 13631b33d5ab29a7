/** What a command is: its description, what it is called with, and its result. */
import type { Layer } from '../config/option.ts';
import type { CommandOption, CommandOptionName } from './command-option.ts';
import type { Config } from '../../shared/options/config.ts';
import type { Host } from '../../shared/base/host.ts';
import type { RunContext, Reporter } from '../login/login-context.ts';
import type { Line } from '../../shared/base/terminal-text.ts';
import type { CommandDescription as AnyCommandDescription } from '../../shared/yargs/command-description.ts';

/** Data that can be written as JSON and as YAML. */
export type OutputData =
  string | number | boolean | null | readonly OutputData[] | { readonly [name: string]: OutputData };

/** What a command prints, and its exit status. */
export interface CommandResult {
  /** For users. Each is escaped for the terminal later, so none contains a line feed. */
  readonly lines: readonly Line[];
  /** The same for programs (`-o json`, `-o yaml`); undefined if the command prints text only. */
  readonly data?: OutputData;
  /** 0 by default. */
  readonly exitStatus?: number;
}

/** What a user wants to do: the headings of the commands in `--help`, in their order. */
export const TASKS = ['Set up', 'Log in', 'Find out', 'Tidy up'] as const;

/** What `--help`, the manual page, the reference and the completions tell about a command. */
export interface CommandDescription extends AnyCommandDescription<CommandOption> {
  readonly task: (typeof TASKS)[number];
  /** The options of this command, see {@link makeCommandOption}; {@link OUTPUT_OPTION} if its result has data. */
  readonly options: readonly CommandOption[];
  /**
   * Which options of get-token it accepts: all; all but those for kubectl alone; those of the groups Cache and Run; or
   * those of the group Run.
   */
  readonly getTokenOptions: 'everything' | 'login' | 'cache' | 'run';
  /**
   * What `--context` and `--kubeconfig` select: the login (the default); the login, and the file that the command
   * changes; what the command is about; or nothing, so that it does not accept them.
   */
  readonly contextUse?: 'login' | 'login-and-file' | 'subject' | 'none';
}

/** A command other than get-token. To add one, write a file with this value, list it in `registry.ts`, and test it. */
export interface Command extends CommandDescription {
  /** @throws PluginError if the command fails */
  run(call: Invocation): Promise<CommandResult>;
}

/** What a command is called with. */
export interface Invocation {
  readonly host: Host;
  /** The words after the name of the command, at most as many as it describes. */
  readonly args: readonly string[];
  /** Whether the user typed the name of the command: without one, it is get-token. */
  readonly isNamed: boolean;
  /** The settings of its own options; flags override variables. */
  readonly ownConfig: Config<CommandOptionName>;
  /** The flags of a login. */
  readonly flags: Layer;
  /** The context of the kubeconfig that the login comes from, if it does. */
  readonly usedContext: string | undefined;
  /** For `openLoginContext`, with these flags; a login with it never writes an alias for the fast path. */
  readonly runContext: RunContext;
  readonly reporter: Reporter;
}

/** Makes an option of one command, which clouds.yaml cannot set. */
export function makeCommandOption(option: Omit<CommandOption, 'group' | 'file'>): CommandOption {
  return { ...option, group: 'Command', file: 'nowhere' };
}

/** Selects the format of the result. */
export const OUTPUT_OPTION: CommandOption = makeCommandOption({
  name: 'output',
  aliases: ['o'],
  choices: ['text', 'json', 'yaml'],
  help: 'output format: text (the default), json or yaml',
});
