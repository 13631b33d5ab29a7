import type { Layer } from '../../shared/options/layer.ts';
import type { Option } from '../../shared/options/option.ts';
import type { ResolvedConfig } from '../../shared/options/resolve-config.ts';
import type { Host } from '../../shared/base/host.ts';
import type { RunContext } from '../login/login-context.ts';
import type { Reporter } from '../login/reporter.ts';
import type { Colors } from './colors.ts';

/** What can be written as JSON and as YAML. */
export type OutputData =
  string | number | boolean | null | readonly OutputData[] | { readonly [name: string]: OutputData };

/** What a command answers. */
export interface CommandResult {
  /** For people: lines without a final newline. Names that a server gave are printable already. */
  readonly text: string;
  /** The same for programs (`-o json`, `-o yaml`); undefined where the text is all there is. */
  readonly data?: OutputData;
  /** The exit status, 0 if nothing is said. */
  readonly exitStatus?: number;
}

/** A word after the command's name. */
export interface Argument {
  /** In capitals: `NAME`. */
  readonly name: string;
  /** One phrase without a full stop. */
  readonly help: string;
  readonly required?: true;
  /** It may stand there any number of times; the last argument only. */
  readonly variadic?: true;
  /** The values that are allowed. */
  readonly choices?: readonly string[];
}

/** A command line that is shown to users, and run by a test. */
export interface Example {
  /** After the program's name. */
  readonly line: string;
  /** What it is for, as a phrase without a full stop. */
  readonly summary: string;
}

/** What is said of a command, in `--help`, the manual page, the README and completions. */
export interface CommandDescription {
  /** What is typed: `['kubeconfig', 'add']`. */
  readonly words: readonly [string, ...string[]];
  /** What it does, as a phrase without a full stop. */
  readonly summary: string;
  /** More about it: sentences, a paragraph each. */
  readonly details?: readonly string[];
  readonly arguments?: readonly Argument[];
  /** Options of its own, of the group Command; {@link OUTPUT_OPTION} among them where it answers in data. */
  readonly options: readonly Option[];
  /**
   * Which of the options of get-token it takes: all of them, all but what is said to kubectl alone, those of the groups Cache
   * and Run, or those of Run.
   */
  readonly getTokenOptions: 'everything' | 'login' | 'cache' | 'run';
  readonly examples: readonly Example[];
  /** It is for scripts of ours, and shown nowhere. */
  readonly hidden?: true;
}

/** A command other than get-token. To add one: a file with such a value, a line in `registry.ts`, a test. */
export interface Command extends CommandDescription {
  /**
   * @throws PluginError
   */
  run(call: Invocation): Promise<CommandResult>;
}

/** What a command is called with. */
export interface Invocation {
  readonly host: Host;
  /** The words after the command's name, as many as it describes at the most. */
  readonly args: readonly string[];
  /** The settings of its own options: flags over variables. */
  readonly ownConfig: ResolvedConfig;
  /** The flags of a login. */
  readonly flags: Layer;
  /** For `openLogin`, with these flags; nothing of it goes to the hit path. */
  readonly runContext: RunContext;
  readonly reporter: Reporter;
  /** Colours, where stdout is a terminal that wants them. */
  readonly colors: Colors;
}

/** How an answer is written. */
export const OUTPUT_OPTION: Option = {
  name: 'output',
  aliases: ['o'],
  group: 'Command',
  file: 'nowhere',
  choices: ['text', 'json', 'yaml'],
  help: 'how to answer: text (for people, what is used if nothing is set), json or yaml',
};
