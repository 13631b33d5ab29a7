/**
 * What the command lines of the Go program contain and ours do not: the path of the program, underscores in names, flags
 * of klog, and `--user-agent` several times.
 */
import { basename } from 'node:path';
import { UsageError } from '../../shared/base/errors.ts';
import { listFlagNames, takesValue } from '../../shared/options/flags.ts';
import type { Option } from '../../shared/options/option.ts';
import { PROGRAM_NAME } from './options.ts';

/** A command line without what only the Go program has. */
export interface TranslatedCommandLine {
  readonly argv: readonly string[];
  /** The values of `--user-agent`, in their order. */
  readonly userAgents: readonly string[];
  /** Flags that have no effect here. */
  readonly ignoredFlags: readonly string[];
}

const FLAGS_WITH_VALUE = [
  ...['--vmodule', '--log-flush-frequency', '--log-dir', '--log-file', '--log-file-max-size', '--log-backtrace-at'],
  ...['--stderrthreshold', '--logging-format'],
];
const SWITCHES = [
  ...['--logtostderr', '--alsologtostderr', '--skip-headers', '--skip-log-headers', '--add-dir-header'],
  '--one-output',
];

/** From this level on, klog writes what ours writes with `debug`. */
const DEBUG_VERBOSITY = 4;

const LEVEL = /^-?\d{1,10}$/;

/** What a header can contain, apart from spaces at its ends. */
const HEADER_TEXT = /^[!-~](?:[ -~]*[!-~])?$/;

function chooseLogLevel(verbosity: string): string {
  if (!LEVEL.test(verbosity)) throw new UsageError(`-v needs a number, not "${verbosity}"`, { hint: 'see --help' });
  return Number(verbosity) >= DEBUG_VERBOSITY ? 'debug' : 'info';
}

function checkUserAgent(text: string): string {
  if (HEADER_TEXT.test(text)) return text;
  throw new UsageError('--user-agent must consist of visible ASCII characters', { hint: 'see --help' });
}

/** Writes a flag as ours: `--keystone_url` and `--keystone-url` are the same in the Go program, `-v4` and `-v=4` too. */
function normalizeFlag(argument: string): string {
  const [name = ''] = argument.split('=', 1);
  if (name.startsWith('--')) return name.replaceAll('_', '-') + argument.slice(name.length);
  return argument.replace(/^-v(?=-?\d)/, '-v=');
}

/**
 * Translates a command line.
 *
 * @param options those of ours, to know which of them take a value
 * @throws UsageError for a value that is missing or wrong
 */
export function translateGoFlags(argv: readonly string[], options: readonly Option[]): TranslatedCommandLine {
  const optionOf = new Map(options.flatMap((option) => listFlagNames(option).map((flag) => [flag, option])));
  // The first manifests of the Go program name it among its own arguments.
  const rest = argv.slice(basename(argv[0] ?? '') === PROGRAM_NAME ? 1 : 0);
  const result = { argv: [] as string[], userAgents: [] as string[], ignoredFlags: [] as string[] };
  let verbosity: string | undefined;
  while (rest.length > 0) {
    const argument = normalizeFlag(rest.shift() ?? '');
    const [name = ''] = argument.split('=', 1);
    const readValue = (): string => {
      const value = name === argument ? rest.shift() : argument.slice(name.length + 1);
      if (value === undefined) throw new UsageError(`${name} needs a value`, { hint: `write ${name}=VALUE` });
      return value;
    };
    const option = optionOf.get(name);
    if (option !== undefined) {
      result.argv.push(argument);
      if (name === argument && takesValue(option)) result.argv.push(...rest.splice(0, 1));
    } else if (name === '-v' || name === '--v') verbosity = readValue();
    else if (name === '--user-agent') result.userAgents.push(checkUserAgent(readValue()));
    else if (FLAGS_WITH_VALUE.includes(name)) {
      readValue();
      result.ignoredFlags.push(name);
    } else if (SWITCHES.includes(name)) result.ignoredFlags.push(name);
    else result.argv.push(argument);
  }
  const hasLogLevel = result.argv.some((argument) => /^--log-level(?:=|$)/.test(argument));
  if (verbosity !== undefined) {
    const level = chooseLogLevel(verbosity);
    if (!hasLogLevel) result.argv.push(`--log-level=${level}`);
  }
  return result;
}
