/**
 * Runs tests of tap for Stryker in one process. Stryker's own runner for tap starts a process for each mutant and each
 * test file that covers it, which takes about a second instead of some milliseconds.
 */
import { basename, join } from 'node:path';
import { cwd } from 'node:process';
import { INSTRUMENTER_CONSTANTS } from '@stryker-mutator/api/core';
import type { InstrumenterContext, MutantCoverage, StrykerOptions } from '@stryker-mutator/api/core';
import { commonTokens, declareClassPlugin, PluginKind, tokens } from '@stryker-mutator/api/plugin';
import {
  determineHitLimitReached,
  DryRunStatus,
  TestStatus,
  toMutantRunResult,
} from '@stryker-mutator/api/test-runner';
import type {
  DryRunResult,
  MutantRunOptions,
  MutantRunResult,
  TestResult,
  TestRunner,
  TestRunnerCapabilities,
} from '@stryker-mutator/api/test-runner';
// Not from tap, whose root test sends messages to the process that started this one. The core must come first.
import '@tapjs/core';
import { Test } from '@tapjs/test';
import { TestLoader } from './recorded-tests.ts';
import type { RecordedTest } from './recorded-tests.ts';

/** The name of the runner in Stryker's options. */
export const TEST_RUNNER = 'tap-in-one-process';

/** Stryker's options with those of this runner. */
export interface TapRunnerOptions extends StrykerOptions {
  /** Paths relative to the checkout. */
  readonly tapFiles: readonly string[];
}

/**
 * Where tests make their folders. Not below the sandbox, which is closed to other users, because tests of the cache open
 * folders to other users. The pid, because several processes of Stryker can run the same test.
 */
const FIXTURES = join(import.meta.dirname, `../../.tap/fixtures/mutation-${process.pid}`);

declare global {
  var __stryker__: InstrumenterContext | undefined;
}

class TapTestRunner implements TestRunner {
  static readonly inject = tokens(commonTokens.options);
  readonly #folder = cwd();
  readonly #files: readonly string[];
  readonly #loader = new TestLoader(this.#folder);
  readonly #context: InstrumenterContext = (globalThis[INSTRUMENTER_CONSTANTS.NAMESPACE] ??= {});
  /** How long each test took when it passed, in ms. */
  readonly #durations = new Map<string, number>();
  /** The tests without a mutant that is active while they are loaded. */
  #tests: Promise<readonly RecordedTest[]> | undefined;

  constructor(options: StrykerOptions) {
    this.#files = (options as TapRunnerOptions).tapFiles.map((file) => join(this.#folder, file));
  }

  capabilities(): TestRunnerCapabilities {
    // A test that is loaded for a static mutant never replaces the others, so there is nothing else to reload.
    return { reloadEnvironment: true };
  }

  async dryRun(): Promise<DryRunResult> {
    const tests = await this.#loadTests();
    const results: TestResult[] = [];
    for (const test of tests) {
      this.#context.currentTestId = test.id;
      results.push(await this.#run(test));
    }
    delete this.#context.currentTestId;
    const mutantCoverage: MutantCoverage = this.#context.mutantCoverage ?? { static: {}, perTest: {} };
    return { status: DryRunStatus.Complete, tests: results, mutantCoverage };
  }

  async mutantRun({ activeMutant, testFilter, hitLimit, sandboxFileName }: MutantRunOptions): Promise<MutantRunResult> {
    const pristine = await this.#loadTests();
    const context = this.#context;
    if (hitLimit !== undefined) Object.assign(context, { hitLimit, hitCount: 0 });
    context.activeMutant = activeMutant.id;
    try {
      const results =
        testFilter === undefined
          ? await this.#runReloaded(pristine, sandboxFileName)
          : await this.#runUntilFailure(pristine.filter(({ id }) => testFilter.includes(id)));
      const timeout = determineHitLimitReached(context.hitCount, hitLimit);
      return toMutantRunResult(timeout ?? { status: DryRunStatus.Complete, tests: results });
    } catch (error) {
      // The files cannot even be loaded with this mutant.
      return toMutantRunResult({ status: DryRunStatus.Complete, tests: [failLoading(error)] });
    } finally {
      delete context.activeMutant;
      delete context.hitCount;
      delete context.hitLimit;
    }
  }

  #loadTests(): Promise<readonly RecordedTest[]> {
    return (this.#tests ??= this.#loader.load(this.#files));
  }

  /** Loads the files that import `changed`, one at a time while a mutant in it is active, and runs their tests. */
  async #runReloaded(pristine: readonly RecordedTest[], changed: string): Promise<TestResult[]> {
    const duration = (file: string): number =>
      pristine.reduce((sum, test) => sum + (test.file === file ? this.#durationOf(test) : 0), 0);
    const results: TestResult[] = [];
    for (const file of this.#files.toSorted((a, b) => duration(a) - duration(b))) {
      if (!this.#loader.imports(file, changed)) continue;
      results.push(...(await this.#runUntilFailure(await this.#loader.load([file]))));
      if (results.at(-1)?.status === TestStatus.Failed) break;
    }
    return results;
  }

  #durationOf({ id }: RecordedTest): number {
    return this.#durations.get(id) ?? 0;
  }

  async #runUntilFailure(tests: readonly RecordedTest[]): Promise<TestResult[]> {
    const results: TestResult[] = [];
    for (const test of tests.toSorted((a, b) => this.#durationOf(a) - this.#durationOf(b))) {
      const result = await this.#run(test);
      results.push(result);
      if (result.status === TestStatus.Failed) break;
    }
    return results;
  }

  async #run({ id, name, file, options, body }: RecordedTest): Promise<TestResult> {
    const start = performance.now();
    const testdir = join(FIXTURES, basename(file));
    const test = new Test({ ...options, name, testdir, bail: true, cb: body });
    // Without a reader, its output fills a buffer and the test waits.
    test.resume();
    await new Promise<void>((resolve) => {
      test.runMain(resolve);
    });
    const common = { id, name: id, fileName: file, timeSpentMs: performance.now() - start };
    const [failure] = test.lists.fail;
    if (test.results?.ok !== false && failure === undefined) {
      this.#durations.set(id, common.timeSpentMs);
      return { ...common, status: TestStatus.Success };
    }
    return { ...common, status: TestStatus.Failed, failureMessage: failure?.fullname ?? 'the test failed' };
  }
}

function failLoading(error: unknown): TestResult {
  const failureMessage = error instanceof Error ? error.message : String(error);
  return { id: 'load', name: 'loading', timeSpentMs: 0, status: TestStatus.Failed, failureMessage };
}

export const strykerPlugins = [declareClassPlugin(PluginKind.TestRunner, TEST_RUNNER, TapTestRunner)];

/** The options of this runner, for Stryker. */
export const strykerValidationSchema = { properties: { tapFiles: { type: 'array', items: { type: 'string' } } } };
