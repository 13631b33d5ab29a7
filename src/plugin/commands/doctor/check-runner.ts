import { getExitStatus } from '../../cli/exit-status.ts';
import { PluginError } from '../../../shared/base/errors.ts';
import type { PluginErrorCode } from '../../../shared/base/errors.ts';
import type { Reporter } from '../../login/login-context.ts';
import { UserCanceled } from '../../terminal/terminal.ts';

/** How a check ended, as programs read it; a check is skipped if an earlier one failed to provide what it needs. */
export type CheckStatus = 'good' | 'bad' | 'doubtful' | 'skipped';

/** The result of one check. */
export interface CheckResult {
  readonly check: string;
  readonly result: CheckStatus;
  readonly summary: string;
  /** What to do, in the imperative; absent for a check that passes or is skipped. */
  readonly fix?: string | undefined;
  /** The exit status of get-token for the same reason; 0 unless the check fails. */
  readonly exitStatus: number;
}

/** The end of a check, and the value that later checks need; without a value, these are skipped. */
export interface CheckOutcome<T> {
  readonly result: Exclude<CheckStatus, 'skipped'>;
  readonly summary: string;
  readonly fix?: string | undefined;
  readonly code?: PluginErrorCode;
  readonly value?: T;
}

/** The outcome of a check that finds everything in order. */
export function pass<T>(summary: string, value?: T): CheckOutcome<T> {
  return { result: 'good', summary, ...(value === undefined ? {} : { value }) };
}

/** The outcome of a check that finds something that works, or may work, but should be changed. */
export function warn<T>(summary: string, fix: string, value?: T): CheckOutcome<T> {
  return { result: 'doubtful', summary, fix, ...(value === undefined ? {} : { value }) };
}

/** Details of a failure. */
interface Failure<T> {
  /** The code of the error that get-token would throw; `config-invalid` by default. */
  readonly code?: PluginErrorCode;
  /** For later checks that can run in spite of the failure. */
  readonly value?: T;
}

/** The outcome of a check that finds something that does not work. */
export function fail<T>(summary: string, fix: string | undefined, failure: Failure<T> = {}): CheckOutcome<T> {
  return { result: 'bad', summary, fix, ...failure };
}

/** What a check provides for later ones. */
export interface CheckedValue<T> {
  /** Undefined if the check fails or is skipped. */
  readonly value: T | undefined;
  /** The check that explains why there is no value: this one, or the earlier one that it is skipped for. */
  readonly responsibleCheck: string;
}

type Prerequisites = Readonly<Record<string, CheckedValue<unknown>>>;

type PrerequisiteValues<N extends Prerequisites> = { readonly [K in keyof N]: NonNullable<N[K]['value']> };

/** A check, as a function of the values that it needs. */
type Check<N extends Prerequisites, T> = (values: PrerequisiteValues<N>) => CheckOutcome<T> | Promise<CheckOutcome<T>>;

/** Runs checks one after the other and collects their results. */
export interface CheckRunner {
  readonly results: readonly CheckResult[];
  /** Runs a check that needs the values of these earlier ones. */
  run<N extends Prerequisites, T>(name: string, needs: N, check: Check<N, T>): Promise<CheckedValue<T>>;
}

/** Returns the values if all are present, else the name of the check to look at. */
function gatherValues<N extends Prerequisites>(needs: N): PrerequisiteValues<N> | string {
  const missing = Object.values(needs).find(({ value }) => value === undefined);
  if (missing !== undefined) return missing.responsibleCheck;
  return Object.fromEntries(Object.entries(needs).map(([name, { value }]) => [name, value])) as PrerequisiteValues<N>;
}

/** A check that takes longer is named on the terminal, in ms; a line for every check would hide the results. */
const PROGRESS_DELAY_MS = 400;

/**
 * Converts an error to the result of a check.
 *
 * @throws UserCanceled, and any error that is not a PluginError
 */
function describeFailedCheck(name: string, error: unknown): CheckResult {
  if (!(error instanceof PluginError) || error instanceof UserCanceled) throw error;
  const { message, code, requestId, hint = 'see the message, or ask the operator of the server' } = error;
  const summary = requestId === undefined ? message : `${message} (${requestId})`;
  return { check: name, result: 'bad', summary, fix: hint, exitStatus: getExitStatus(code) };
}

/** Makes a runner without results. */
export function makeCheckRunner(reporter: Reporter): CheckRunner {
  const results: CheckResult[] = [];
  return {
    results,
    async run<N extends Prerequisites, T>(name: string, needs: N, check: Check<N, T>): Promise<CheckedValue<T>> {
      const values = gatherValues(needs);
      if (typeof values === 'string') {
        results.push({ check: name, result: 'skipped', summary: `not checked, because of "${values}"`, exitStatus: 0 });
        return { value: undefined, responsibleCheck: values };
      }
      const progressTimer = setTimeout(() => {
        reporter.progress(`checking: ${name}`);
      }, PROGRESS_DELAY_MS);
      try {
        const { value, code = 'config-invalid', ...outcome } = await check(values);
        results.push({ check: name, ...outcome, exitStatus: outcome.result === 'bad' ? getExitStatus(code) : 0 });
        return { value, responsibleCheck: name };
      } catch (error) {
        results.push(describeFailedCheck(name, error));
        return { value: undefined, responsibleCheck: name };
      } finally {
        clearTimeout(progressTimer);
      }
    },
  };
}
