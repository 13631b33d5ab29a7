/** Answers the completion scripts: what can follow on a command line. */
import { isFresh } from '../../cache/token-record.ts';
import { readCloudNames } from '../../config/read-config.ts';
import type { OptionName } from '../../config/option.ts';
import { openLoginContext } from '../../login/open-login-context.ts';
import type { RunContext } from '../../login/login-context.ts';
import { withToken } from '../../login/with-token.ts';
import { listMethodNames, METHODS, OPTIONS } from '../../auth-methods/registry.ts';
import { openKubeconfig } from '../../kubeconfig/kubeconfig.ts';
import { PluginError } from '../../../shared/base/errors.ts';
import { isPrintable } from '../../../shared/base/terminal-text.ts';
import { extractFlagValues, listFlagNames, makeFlagFinder, takesValue } from '../../../shared/options/flags.ts';
import type { Layer } from '../../../shared/options/layer.ts';
import type { Option } from '../../../shared/options/option.ts';
import { BUILT_IN_FLAGS, parseCommandLine } from '../../../shared/options/parse-command-line.ts';
import { listCommandGroup } from '../../../shared/yargs/command-description.ts';
import type { Argument } from '../../../shared/yargs/command-description.ts';
import { listGetTokenOptions } from '../accepted-options.ts';
import { listAvailableScopes } from '../available-scopes.ts';
import { chooseLogin } from '../choose-login.ts';
import type { CommandDescription } from '../command.ts';
import { HELP_TOPICS } from '../help/help.ts';

/** A word that can follow. */
interface Candidate {
  readonly value: string;
  /** Empty if there is nothing to say. */
  readonly help: string;
}

/** What a line was typed with before the word to complete. */
interface TypedLine {
  /** Names of commands and arguments. */
  readonly words: readonly string[];
  readonly flags: Layer<string>;
  /** The flag that waits for its value. */
  readonly waiting: Option | undefined;
}

/** A user waits for the shell meanwhile, so this is shorter than a login's. Without `--timeout`; in ms. */
const TIMEOUT_MS = 2_000;

const textOf = (flags: Layer<string>, name: string): string | undefined => {
  const value = flags.get(name)?.value;
  return typeof value === 'string' ? value : undefined;
};

/** Uses a cached token only: pressing a key in a shell must not start a login. */
async function listProjects(run: RunContext, flags: Layer<string>): Promise<readonly string[]> {
  const selection = { kubeconfig: textOf(flags, 'kubeconfig'), context: textOf(flags, 'context') };
  const { run: chosen } = await chooseLogin(run, selection, { fileOnly: false });
  const login = await openLoginContext(chosen);
  const cached = await login.cache.read(login.cacheKey);
  if (cached === undefined || !isFresh(cached.record, run.host.now())) return [];
  const deadlineMs = login.config.text('timeout') === undefined ? TIMEOUT_MS : login.deadlineMs;
  return withToken({ ...login, deadlineMs }, cached.record, async (ask) => {
    const projects = await listAvailableScopes(ask, 'projects');
    return projects.flatMap(({ name }) => name ?? []);
  });
}

type ListNames = (run: RunContext, flags: Layer<string>) => Promise<readonly string[]>;

const listKubeconfigNames =
  (kind: 'cluster' | 'context'): ListNames =>
  ({ host }, flags) =>
    Promise.resolve(openKubeconfig(host, textOf(flags, 'kubeconfig')).listNames(kind));

/** Names that only this machine or Keystone knows, by the option that takes them. */
const LISTERS: Readonly<Record<string, ListNames>> = {
  'os-cloud': ({ host, flags }) => readCloudNames(host, flags, OPTIONS),
  'project-name': listProjects,
  cluster: listKubeconfigNames('cluster'),
  context: listKubeconfigNames('context'),
};

/** The same, by the name of the argument. */
const ARGUMENT_LISTERS: Readonly<Record<string, ListNames>> = { CONTEXT: listKubeconfigNames('context') };

const nameOnly = (value: string): Candidate => ({ value, help: '' });

/** Reads what is typed; a line that is not valid yet has no flags. */
function readLine(typed: readonly string[], options: readonly Option[]): TypedLine {
  const words = (argv: readonly string[]): readonly string[] => argv.filter((argument) => !argument.startsWith('-'));
  try {
    const { argv } = extractFlagValues(typed, options);
    try {
      return { words: words(argv), flags: parseCommandLine(typed, options).flags, waiting: undefined };
    } catch (error) {
      if (error instanceof PluginError) return { words: words(argv), flags: new Map(), waiting: undefined };
      throw error;
    }
  } catch (error) {
    // Nothing else is an error before the flags are parsed.
    const waiting = makeFlagFinder(options)(typed.at(-1) ?? '');
    if (!(error instanceof PluginError) || waiting === undefined) throw error;
    return { ...readLine(typed.slice(0, -1), options), waiting };
  }
}

function describeGroup(group: readonly CommandDescription[], length: number): string {
  const [first] = group;
  if (first === undefined) return '';
  return group.length === 1 ? first.summary : group.map(({ words }) => words.slice(length).join(' ')).join(', ');
}

function listNextWords(commands: readonly CommandDescription[], words: readonly string[]): readonly Candidate[] {
  const group = listCommandGroup(commands, words);
  const next = [...new Set(group.flatMap((command) => command.words[words.length] ?? []))];
  return next.map((value) => {
    const members = listCommandGroup(group, [...words, value]);
    return { value, help: describeGroup(members, words.length + 1) };
  });
}

/** Finds the longest command that the words start with; get-token without words. */
function findTypedCommand(
  commands: readonly CommandDescription[],
  words: readonly string[],
): CommandDescription | undefined {
  if (words.length === 0) return commands[0];
  return commands
    .filter((command) => command.words.every((word, index) => words[index] === word))
    .toSorted((one, other) => other.words.length - one.words.length)[0];
}

async function listArgumentValues(
  argument: Argument | undefined,
  run: RunContext,
  flags: Layer<string>,
): Promise<readonly Candidate[]> {
  const names = argument?.choices ?? (await ARGUMENT_LISTERS[argument?.name ?? '']?.(run, flags)) ?? [];
  return names.map(nameOnly);
}

async function listWords(
  commands: readonly CommandDescription[],
  { words, flags }: TypedLine,
  run: RunContext,
): Promise<readonly Candidate[]> {
  const [first, ...others] = words;
  if (first === 'help') {
    const topics = HELP_TOPICS.map(({ words: [value], summary }) => ({ value, help: summary }));
    return [...listNextWords(commands, others), ...(others.length === 0 ? topics : [])];
  }
  const command = words.length === 0 ? undefined : findTypedCommand(commands, words);
  const args = command?.arguments ?? [];
  const index = words.length - (command?.words.length ?? 0);
  const argument = args[index] ?? (args.at(-1)?.variadic === true ? args.at(-1) : undefined);
  return [...listNextWords(commands, words), ...(await listArgumentValues(argument, run, flags))];
}

function listFlags(commands: readonly CommandDescription[], words: readonly string[]): readonly Candidate[] {
  const command = findTypedCommand(commands, words);
  const options: readonly Option[] = command === undefined ? [] : [...command.options, ...listGetTokenOptions(command)];
  return [
    ...options.flatMap((option) => listFlagNames(option).map((value) => ({ value, help: option.help }))),
    ...BUILT_IN_FLAGS.help.map((value) => ({ value, help: 'show the help' })),
    ...BUILT_IN_FLAGS.version.map((value) => ({ value, help: 'show the version' })),
  ];
}

async function listValues(
  option: Option,
  { flags }: TypedLine,
  run: RunContext,
): Promise<readonly Candidate[] | 'files'> {
  if (option.kind === 'file' || option.kind === 'switch or file') return 'files';
  if (option.name === 'auth-type') {
    return METHODS.flatMap((method) => listMethodNames(method).map((value) => ({ value, help: method.summary })));
  }
  const names = option.choices ?? (await LISTERS[option.name]?.(run, flags)) ?? [];
  return names.map(nameOnly);
}

async function listCandidates(
  commands: readonly CommandDescription[],
  line: TypedLine,
  word: string,
  options: readonly Option[],
  run: RunContext,
): Promise<readonly Candidate[] | 'files'> {
  if (line.waiting !== undefined) return listValues(line.waiting, line, run);
  const [, flag = ''] = /^(--?[^=]+)=/.exec(word) ?? [];
  const option = makeFlagFinder(options)(flag);
  if (option !== undefined && takesValue(option)) {
    const values = await listValues(option, line, run);
    return values === 'files' ? values : values.map(({ value, help }) => ({ value: `${flag}=${value}`, help }));
  }
  return word.startsWith('-') ? listFlags(commands, line.words) : listWords(commands, line, run);
}

/** The first word of a command line that a completion script sends. */
export const COMPLETE = 'complete';

/**
 * Answers a completion script, see `scripts.ts`.
 *
 * @param commands get-token first
 * @param options every option of every command
 * @param makeRun makes the run of a command with these flags
 * @returns the lines of the answer
 * @throws PluginError if names cannot be listed
 */
export async function completeCommandLine(
  argv: readonly string[],
  commands: readonly CommandDescription[],
  options: readonly Option[],
  makeRun: (flags: Layer<OptionName>) => RunContext,
): Promise<readonly string[]> {
  const start = argv.indexOf('--');
  const [mark, ...others] = argv.slice(1, start);
  const isNext = mark === 'next';
  const typed = [...(isNext || mark === undefined ? others : [mark, ...others]), ...argv.slice(start + 1)];
  const word = isNext ? '' : (typed.pop() ?? '');
  const line = readLine(typed, options);
  const loginFlags = new Map(
    OPTIONS.flatMap(({ name }) => {
      const setting = line.flags.get(name);
      return setting === undefined ? [] : [[name, setting] as const];
    }),
  );
  const candidates = await listCandidates(commands, line, word, options, makeRun(loginFlags));
  if (candidates === 'files') return ['files'];
  // Names with control characters cannot be completed safely.
  const matching = candidates.filter(({ value }) => value.startsWith(word) && isPrintable(value));
  return ['words', ...matching.flatMap(({ value, help }) => [value, help])];
}
