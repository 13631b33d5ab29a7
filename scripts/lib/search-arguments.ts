// The arguments of the commands that search with random inputs: how much, from which seed, and which parts.

import { parseArgs } from 'node:util';

/** What such a command offers. */
export interface SearchCommand<Name extends string> {
  /** Such as `npm run fuzz`. */
  readonly command: string;
  /** The option that says how much: `--seconds`, for example. */
  readonly amount: { readonly option: string; readonly default: string };
  /** What the names select: a part, for example. */
  readonly kind: string;
  readonly names: readonly Name[];
}

/** What the user wants. */
export interface Search<Name extends string> {
  readonly names: readonly Name[];
  readonly amount: number;
  readonly seed: number;
}

/** @throws Error for a mistake in the arguments */
function readArguments<Name extends string>(
  args: string[],
  { amount, kind, names }: SearchCommand<Name>,
): Search<Name> {
  const { values, positionals } = parseArgs({
    args,
    options: { [amount.option]: { type: 'string', default: amount.default }, seed: { type: 'string' } },
    allowPositionals: true,
  });
  const unknown = positionals.find((text) => !names.some((name) => name === text));
  if (unknown !== undefined) throw new Error(`there is no ${kind} "${unknown}"`);
  const size = String(values[amount.option]);
  const seed = String(values.seed ?? Date.now() % 2 ** 31);
  if (!/^[1-9]\d{0,5}$/.test(size)) throw new Error(`--${amount.option} must be a whole number from 1 to 999999`);
  if (!/^\d{1,10}$/.test(seed)) throw new Error('--seed must be a whole number');
  const chosen = positionals.length === 0 ? names : names.filter((name) => positionals.includes(name));
  return { names: chosen, amount: Number(size), seed: Number(seed) };
}

/**
 * Runs a search with the arguments of this process, and sets its exit status.
 *
 * @param search returns the exit status
 */
export async function runSearch<Name extends string>(
  command: SearchCommand<Name>,
  search: (what: Search<Name>) => Promise<number>,
): Promise<void> {
  let what: Search<Name>;
  try {
    what = readArguments(process.argv.slice(2), command);
  } catch (error) {
    const usage = `usage: ${command.command} -- [--${command.amount.option} N] [--seed N] [${command.names.join(' | ')}]...`;
    console.error(`${error instanceof Error ? error.message : String(error)}\n${usage}`);
    process.exitCode = 2;
    return;
  }
  process.exitCode = await search(what);
}
