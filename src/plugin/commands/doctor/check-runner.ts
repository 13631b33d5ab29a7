import { getExitStatus } from '../../cli/reporter.ts';
import { PluginError } from '../../../shared/base/errors.ts';
import type { PluginErrorCode } from '../../../shared/base/errors.ts';
import type { Reporter } from '../../login/login-context.ts';
import { UserCancelled } from '../../terminal/cancelled.ts';

/** How a check ended; it is skipped where an earlier one has not found what it needs. */
export type Result = 'good' | 'bad' | 'doubtful' | 'skipped';

/** What a check found. */
export interface Finding {
  readonly check: string;
  readonly result: Result;
  readonly found: string;
  /** What to do, in the imperative; absent where all is well. */
  readonly fix?: string | undefined;
  /** What get-token would end with for the same reason; 0 where it works. */
  readonly status: number;
}

/** The end of a check, and what later ones need of it; without a value these are skipped. */
export interface Outcome<T> {
  readonly result: Exclude<Result, 'skipped'>;
  readonly found: string;
  readonly fix?: string | undefined;
  readonly code?: PluginErrorCode;
  readonly value?: T;
}

/** All is well. */
export function good<T>(found: string, value?: T): Outcome<T> {
  return { result: 'good', found, ...(value === undefined ? {} : { value }) };
}

/** It works, or may work, but should not stay so. */
export function doubtful<T>(found: string, fix: string, value?: T): Outcome<T> {
  return { result: 'doubtful', found, fix, ...(value === undefined ? {} : { value }) };
}

/** What does not work. */
interface Failure<T> {
  /** As for a PluginError; a setting that is wrong if nothing is said. */
  readonly code?: PluginErrorCode;
  /** For checks that can go on in spite of it. */
  readonly value?: T;
}

/** It does not work. */
export function bad<T>(found: string, fix: string | undefined, failure: Failure<T> = {}): Outcome<T> {
  return { result: 'bad', found, fix, ...failure };
}

/** What a check has found for later ones. */
export interface Found<T> {
  /** Undefined where there is none. */
  readonly value: T | undefined;
  /** The check to look at for why there is none: this one, or an earlier one that it was skipped for. */
  readonly because: string;
}

type Needs = Readonly<Record<string, Found<unknown>>>;

type Known<N extends Needs> = { readonly [K in keyof N]: NonNullable<N[K]['value']> };

/** What has been checked so far. */
export interface Sheet {
  readonly findings: readonly Finding[];
  /** Runs a check that needs what these earlier ones have found. */
  check<N extends Needs, T>(
    name: string,
    needs: N,
    act: (known: Known<N>) => Outcome<T> | Promise<Outcome<T>>,
  ): Promise<Found<T>>;
}

/** The values, if all are there; else which check to look at. */
function gather<N extends Needs>(needs: N): Known<N> | string {
  const missing = Object.values(needs).find(({ value }) => value === undefined);
  if (missing !== undefined) return missing.because;
  return Object.fromEntries(Object.entries(needs).map(([name, { value }]) => [name, value])) as Known<N>;
}

/** What takes longer is named meanwhile, in ms; a line for each would bury what was found. */
const PATIENCE_MS = 400;

/** Starts a list of findings. */
export function startSheet(reporter: Reporter): Sheet {
  const findings: Finding[] = [];
  return {
    findings,
    async check<N extends Needs, T>(
      name: string,
      needs: N,
      act: (known: Known<N>) => Outcome<T> | Promise<Outcome<T>>,
    ): Promise<Found<T>> {
      const known = gather(needs);
      if (typeof known === 'string') {
        findings.push({ check: name, result: 'skipped', found: `not checked, because of "${known}"`, status: 0 });
        return { value: undefined, because: known };
      }
      const slow = setTimeout(() => {
        reporter.progress(`checking: ${name}`);
      }, PATIENCE_MS);
      try {
        const { value, code = 'config-invalid', ...finding } = await act(known);
        findings.push({ check: name, ...finding, status: finding.result === 'bad' ? getExitStatus(code) : 0 });
        return { value, because: name };
      } catch (error) {
        // Whoever takes the question back wants the program to end.
        if (!(error instanceof PluginError) || error instanceof UserCancelled) throw error;
        const { message, code, requestId, hint = 'see the message, or ask the operator of the server' } = error;
        const found = requestId === undefined ? message : `${message} (${requestId})`;
        findings.push({ check: name, result: 'bad', found, fix: hint, status: getExitStatus(code) });
        return { value: undefined, because: name };
      } finally {
        clearTimeout(slow);
      }
    },
  };
}
