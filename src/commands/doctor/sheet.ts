import { PluginError } from '../../errors.ts';
import type { Reporter } from '../../login/login.ts';
import { Cancelled } from '../../prompt/cancelled.ts';

/** How a check ended; it is skipped where an earlier one failed that it needs. */
export type Result = 'good' | 'bad' | 'doubtful' | 'skipped';

/** What a check found. */
export interface Finding {
  readonly check: string;
  readonly result: Result;
  readonly found: string;
  /** What to do, in the imperative; absent where all is well. */
  readonly fix?: string | undefined;
}

/** The end of a check, and what later ones need of it; without a value these are skipped. */
export interface Outcome<T> {
  readonly result: Exclude<Result, 'skipped'>;
  readonly found: string;
  readonly fix?: string | undefined;
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

/** It does not work. */
export function bad<T>(found: string, fix: string | undefined, value?: T): Outcome<T> {
  return { result: 'bad', found, fix, ...(value === undefined ? {} : { value }) };
}

type Known<N> = { readonly [K in keyof N]: NonNullable<N[K]> };

/** What has been checked so far. */
export interface Sheet {
  readonly findings: readonly Finding[];
  /** Runs a check that needs these values of earlier ones; undefined where it has none to give. */
  check<N extends object, T>(
    name: string,
    needs: N,
    act: (known: Known<N>) => Outcome<T> | Promise<Outcome<T>>,
  ): Promise<T | undefined>;
}

function isKnown<N extends object>(needs: N): needs is N & Known<N> {
  return Object.values(needs).every((value) => value !== undefined);
}

/** Starts a list of findings. */
export function startSheet(reporter: Reporter): Sheet {
  const findings: Finding[] = [];
  return {
    findings,
    async check<N extends object, T>(
      name: string,
      needs: N,
      act: (known: Known<N>) => Outcome<T> | Promise<Outcome<T>>,
    ) {
      if (!isKnown(needs)) {
        findings.push({ check: name, result: 'skipped', found: 'not checked, because of the failure above' });
        return undefined;
      }
      reporter.progress(`checking: ${name}`);
      try {
        const { value, ...finding } = await act(needs);
        findings.push({ check: name, ...finding });
        return value;
      } catch (error) {
        // Whoever takes the question back wants the program to end.
        if (!(error instanceof PluginError) || error instanceof Cancelled) throw error;
        const { message, hint = 'see the message, or ask the operator of the server' } = error;
        findings.push({ check: name, result: 'bad', found: message, fix: hint });
        return undefined;
      }
    },
  };
}
