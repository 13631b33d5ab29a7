/**
 * Reads exec stanzas that get a Keystone token without this plugin. python-magnumclient writes one
 * (`magnumclient/common/utils.py`, `openstack coe cluster config --use-keystone`): a script for bash that prints the
 * token in OS_TOKEN. Others run `openstack token issue`.
 */
import { textAt } from '../../shared/base/json.ts';
import type { JsonObject } from '../../shared/base/json.ts';
import { isPluginCommand, listStanzaArguments } from './exec-stanza.ts';
import { readShellScript } from './shell-script.ts';
import type { ShellCommand, Word } from './shell-script.ts';

/** The login of a command that prints a Keystone token. */
export interface TokenCommand {
  /** The variables that the command sets, or that replace its options. */
  readonly env: Readonly<Record<string, string>>;
  /** The arguments of the plugin, if the command runs it. */
  readonly pluginArguments: readonly string[] | undefined;
}

/** Why the login of such a command cannot be read, as a clause about the command. */
export interface UnreadableTokenCommand {
  readonly problem: string;
}

class UnreadableCommand extends Error {}

const SHELLS = new Set(['sh', 'bash', 'dash', 'ash', 'zsh', 'ksh', 'mksh', 'fish', 'rbash']);

/** Words before the name of a command. */
const PREFIXES = new Set(['if', 'then', 'elif', 'else', 'while', 'until', 'do', '{', '!', 'and', 'or', 'not', 'exec']);

/** Words that begin and end what runs only under a condition. */
const BLOCK_BEGINNINGS = new Set(['if', 'while', 'until']);
const BLOCK_ENDS = new Set(['fi', 'done', 'end']);

/** Commands after which `&&` always goes on. */
const SUCCESSFUL = new Set(['set', 'echo', 'printf', 'print', 'true', ':', 'umask']);

const DECLARATIONS = new Set(['export', 'readonly', 'declare', 'typeset', 'local']);

/** Commands that decide nothing about the login: they test, print or format. */
const HARMLESS = new Set([
  ...['fi', 'done', 'end', '}', '[', '[[', 'test', 'echo', 'printf', 'print', 'exit', 'return', 'true', 'false', ':'],
  ...['set', 'cat', 'jq', 'tr', 'sed', 'awk', 'cut', 'grep', 'head', 'tail', 'date', 'umask', 'shift', 'which'],
]);

/** Options of `openstack` that decide nothing about the login, by whether they take a value. */
const OUTPUT_OPTIONS: ReadonlyMap<string, boolean> = new Map([
  ...['-f', '--format', '-c', '--column', '--log-file', '--max-width', '--prefix'].map((name) => [name, true] as const),
  ...['-q', '--quiet', '-v', '--verbose', '--debug', '--timing', '--noindent', '--fit-width', '--print-empty'].map(
    (name) => [name, false] as const,
  ),
]);

const MENTIONS_TOKEN = /\$(?:\{|env:)?OS_(?:AUTH_)?TOKEN\b/;
const ASSIGNMENT = /^([A-Za-z_]\w*)=(.*)$/s;
const LOGIN_VARIABLE = /^(?:OS_\w+|(?:https?|all|no)_proxy)$/i;

const nameOf = (command: string): string => (command.split(/[/\\]/).at(-1) ?? '').replace(/\.exe$/i, '');

const makeLiteral = (text: string): Word => ({ text, isLiteral: true });

/** The words of a command without those before its name. */
const skipToName = (words: readonly Word[]): readonly Word[] => {
  const start = words.findIndex(({ text }) => !PREFIXES.has(text) && !ASSIGNMENT.test(text));
  return start === -1 ? [] : words.slice(start);
};

/** Whether a command before it can keep a command from running. */
function canBeSkipped({ after }: ShellCommand): boolean {
  if (after === undefined) return false;
  const { operator, command } = after;
  const [name] = skipToName(command.words);
  const isSuccessful = name === undefined || SUCCESSFUL.has(name.text) || DECLARATIONS.has(name.text);
  return operator === '||' || !isSuccessful || canBeSkipped(command);
}

/** Collects what the commands of one stanza say about the login. */
class LoginReader {
  readonly env: Record<string, string> = {};
  pluginArguments: string[] | undefined;
  #printsToken = false;
  #blockDepth = 0;

  get isAboutKeystone(): boolean {
    return this.#printsToken || this.pluginArguments !== undefined;
  }

  /** @throws UnreadableCommand if it can decide about the login in a way that is not known here */
  read(command: ShellCommand): void {
    const { words } = command;
    this.#printsToken ||= words.some(({ text, isLiteral }) => !isLiteral && MENTIONS_TOKEN.test(text));
    const [first, ...args] = skipToName(words);
    const before = words.slice(0, words.length - args.length - (first === undefined ? 0 : 1));
    this.#blockDepth += before.filter(({ text }) => BLOCK_BEGINNINGS.has(text)).length;
    const isConditional = this.#blockDepth > 0 || canBeSkipped(command);
    // Assignments before a name are for that command only, and it is the one that logs in.
    for (const word of before) this.#readAssignment(word, isConditional && first === undefined);
    if (first === undefined) return;
    const name = first.isLiteral ? nameOf(first.text) : '';
    if (BLOCK_ENDS.has(name)) this.#blockDepth -= 1;
    if (DECLARATIONS.has(name)) for (const word of args) this.#readAssignment(word, isConditional);
    else if (name === 'set') this.#readSet(args, isConditional);
    else if (name === 'openstack') this.#readOpenStack(args);
    else if (isPluginCommand(first.text)) this.#readPlugin(args);
    else if (name === '.' || name === 'source' || name === 'eval') throw new UnreadableCommand('reads other files');
    else if (!HARMLESS.has(name) && !(name === 'command' && args[0]?.text === '-v')) {
      throw new UnreadableCommand('runs other programs');
    }
  }

  #readAssignment({ text, isLiteral }: Word, isConditional: boolean): void {
    const [, name = '', value = ''] = ASSIGNMENT.exec(text) ?? [];
    if (LOGIN_VARIABLE.test(name)) this.#set(name, { text: value, isLiteral }, isConditional);
  }

  /** In fish, `set` assigns. In other shells, it has options only. */
  #readSet(args: readonly Word[], isConditional: boolean): void {
    const [name, value, ...others] = args.filter(({ text }) => !/^[-+]/.test(text));
    if (name === undefined || !LOGIN_VARIABLE.test(name.text)) return;
    if (value === undefined || others.length > 0) throw new UnreadableCommand(`computes ${name.text}`);
    this.#set(name.text, value, isConditional);
  }

  #set(name: string, { text, isLiteral }: Word, isConditional = false): void {
    if (isLiteral) {
      if (isConditional && this.env[name] !== text) {
        throw new UnreadableCommand(`sets ${name} under a condition`);
      }
      // The script may choose between them.
      if ((this.env[name] ?? text) !== text) throw new UnreadableCommand(`sets ${name} to different values`);
      this.env[name] = text;
    }
    // The token that a command prints, and a variable that stays as it is.
    else if (!/^OS_(?:AUTH_)?TOKEN$/.test(name) && text !== `$${name}` && text !== `\${${name}}`) {
      throw new UnreadableCommand(`computes ${name}`);
    }
  }

  #readPlugin(args: readonly Word[]): void {
    if (this.pluginArguments !== undefined || args.some(({ isLiteral }) => !isLiteral)) {
      throw new UnreadableCommand('computes the arguments of the plugin');
    }
    this.pluginArguments = args.map(({ text }) => text);
  }

  #readOpenStack(args: readonly Word[]): void {
    this.#printsToken ||= args.some(({ text }, index) => text === 'token' && args[index + 1]?.text === 'issue');
    const words: string[] = [];
    for (let index = 0; index < args.length; index += 1) {
      const argument = args[index] ?? makeLiteral('');
      const [name = ''] = argument.text.split('=', 1);
      if (!argument.text.startsWith('-')) words.push(argument.text);
      else if (name === '--insecure') this.#set('OS_INSECURE', makeLiteral('true'));
      else if (name.startsWith('--os-')) {
        const isSeparate = name === argument.text;
        const value = isSeparate ? args[(index += 1)] : { ...argument, text: argument.text.slice(name.length + 1) };
        this.#set(name.slice(2).toUpperCase().replaceAll('-', '_'), value ?? makeLiteral(''));
      } else if (OUTPUT_OPTIONS.get(name) === true && name === argument.text) index += 1;
      else if (!OUTPUT_OPTIONS.has(name) && !/^-[fc]\w+$/.test(name)) {
        throw new UnreadableCommand('gives "openstack" an option that is not known here');
      }
    }
    // What follows can be a redirection.
    if (words[0] !== 'token' || words[1] !== 'issue') throw new UnreadableCommand('runs other commands of "openstack"');
  }
}

/** Lists the commands that a stanza runs; undefined if it runs neither a script nor `openstack`. */
function listCommands(words: readonly string[]): readonly ShellCommand[] | undefined {
  const [command = '', ...args] = words;
  if (nameOf(command) === 'env') {
    const setting = args.findIndex((word) => !ASSIGNMENT.test(word));
    const rest = setting === -1 ? [] : args.slice(setting);
    const commands = listCommands(rest);
    return commands === undefined ? undefined : [{ words: args.slice(0, setting).map(makeLiteral) }, ...commands];
  }
  if (nameOf(command) === 'openstack') return [{ words: words.map(makeLiteral) }];
  const option = args.findIndex((word) => /^-[a-z]*c$/.test(word));
  return SHELLS.has(nameOf(command)) && option !== -1 ? readShellScript(args[option + 1] ?? '') : undefined;
}

/**
 * Reads the login of a stanza that prints a Keystone token.
 *
 * @returns undefined if it is about something else
 */
export function readTokenCommand(exec: JsonObject): TokenCommand | UnreadableTokenCommand | undefined {
  const commands = listCommands([textAt(exec, 'command') ?? '', ...listStanzaArguments(exec)]);
  if (commands === undefined) return undefined;
  const reader = new LoginReader();
  let problem: string | undefined;
  for (const command of commands) {
    try {
      reader.read(command);
    } catch (error) {
      if (!(error instanceof UnreadableCommand)) throw error;
      problem ??= error.message;
    }
  }
  if (!reader.isAboutKeystone) return undefined;
  return problem === undefined ? { env: reader.env, pluginArguments: reader.pluginArguments } : { problem };
}
