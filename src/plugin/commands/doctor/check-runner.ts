import { getExitStatus } from '../../cli/exit-status.ts';
import { PluginError } from '../../../shared/base/errors.ts';
import type { PluginErrorCode } from '../../../shared/base/errors.ts';
import type { Reporter } from '../../login/reporter.ts';
import { UserCancelled } from '../../terminal/terminal.ts';

/** How a check ended; it is skipped where an earlier one has not found what it needs. */
export type CheckStatus = 'good' | 'bad' | 'doubtful' | 'skipped';

/** What a check found. */
export interface CheckResult {
  readonly check: string;
  readonly result: CheckStatus;
  readonly summary: string;
  /** What to do, in the imperative; absent where all is well. */
  readonly fix?: string | undefined;
  /** What get-token would end with for the same reason; 0 where it works. */
  readonly exitStatus: number;
}

/** The end of a check, and what later ones need of it; without a value these are skipped. */
export interface CheckOutcome<T> {
  readonly result: Exclude<CheckStatus, 'skipped'>;
  readonly summary: string;
  readonly fix?: string | undefined;
  readonly code?: PluginErrorCode;
  readonly value?: T;
}

/** All is well. */
export function pass<T>(summary: string, value?: T): CheckOutcome<T> {
  return { result: 'good', summary, ...(value === undefined ? {} : { value }) };
}

/** It works, or may work, but should not stay so. */
export function warn<T>(summary: string, fix: string, value?: T): CheckOutcome<T> {
  return { result: 'doubtful', summary, fix, ...(value === undefined ? {} : { value }) };
}

/** What does not work. */
interface Failure<T> {
  /** As for a PluginError; a setting that is wrong if nothing is said. */
  readonly code?: PluginErrorCode;
  /** For checks that can go on in spite of it. */
  readonly value?: T;
}

/** It does not work. */
export function fail<T>(summary: string, fix: string | undefined, failure: Failure<T> = {}): CheckOutcome<T> {
  return { result: 'bad', summary, fix, ...failure };
}

/** What a check has found for later ones. */
export interface CheckedValue<T> {
  /** Undefined where there is none. */
  readonly value: T | undefined;
  /** The check to look at for why there is none: this one, or an earlier one that it was skipped for. */
  readonly responsibleCheck: string;
}

type Prerequisites = Readonly<Record<string, CheckedValue<unknown>>>;

type PrerequisiteValues<N extends Prerequisites> = { readonly [K in keyof N]: NonNullable<N[K]['value']> };

/** What has been checked so far. */
export interface CheckRunner {
  readonly results: readonly CheckResult[];
  /** Runs a check that needs what these earlier ones have found. */
  run<N extends Prerequisites, T>(
    name: string,
    needs: N,
    act: (known: PrerequisiteValues<N>) => CheckOutcome<T> | Promise<CheckOutcome<T>>,
  ): Promise<CheckedValue<T>>;
}

/** The values, if all are there; else which check to look at. */
function gather<N extends Prerequisites>(needs: N): PrerequisiteValues<N> | string {
  const missing = Object.values(needs).find(({ value }) => value === undefined);
  if (missing !== undefined) return missing.responsibleCheck;
  return Object.fromEntries(Object.entries(needs).map(([name, { value }]) => [name, value])) as PrerequisiteValues<N>;
}

/** What takes longer is named meanwhile, in ms; a line for each would bury what was found. */
const PATIENCE_MS = 400;

/** Starts a list of findings. */
export function makeCheckRunner(reporter: Reporter): CheckRunner {
  const results: CheckResult[] = [];
  return {
    results,
    async run<N extends Prerequisites, T>(
      name: string,
      needs: N,
      act: (known: PrerequisiteValues<N>) => CheckOutcome<T> | Promise<CheckOutcome<T>>,
    ): Promise<CheckedValue<T>> {
      const known = gather(needs);
      if (typeof known === 'string') {
        results.push({ check: name, result: 'skipped', summary: `not checked, because of "${known}"`, exitStatus: 0 });
        return { value: undefined, responsibleCheck: known };
      }
      const slow = setTimeout(() => {
        reporter.progress(`checking: ${name}`);
      }, PATIENCE_MS);
      try {
        const { value, code = 'config-invalid', ...finding } = await act(known);
        results.push({ check: name, ...finding, exitStatus: finding.result === 'bad' ? getExitStatus(code) : 0 });
        return { value, responsibleCheck: name };
      } catch (error) {
        // Whoever takes the question back wants the program to end.
        if (!(error instanceof PluginError) || error instanceof UserCancelled) throw error;
        const { message, code, requestId, hint = 'see the message, or ask the operator of the server' } = error;
        const summary = requestId === undefined ? message : `${message} (${requestId})`;
        results.push({ check: name, result: 'bad', summary, fix: hint, exitStatus: getExitStatus(code) });
        return { value: undefined, responsibleCheck: name };
      } finally {
        clearTimeout(slow);
      }
    },
  };
}
