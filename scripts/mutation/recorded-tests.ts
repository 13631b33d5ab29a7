/**
 * Loads test files without running their tests, so that one process can run the same tests for many mutants. What the
 * files import from `tap` only records the tests. Each load makes new instances of all files in the folder, because a
 * mutant can change what a module does while it is imported.
 */
import { readFileSync } from 'node:fs';
import { registerHooks, stripTypeScriptTypes } from 'node:module';
import { relative } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import type { Test, TestOpts } from '@tapjs/test';

/** What a test does. */
type Body = (t: Test) => unknown;

/** A test that a file declares, at its top level. */
export interface RecordedTest {
  /** Unique in a load, and the same in each sandbox. */
  readonly id: string;
  readonly name: string;
  /** Absolute path. */
  readonly file: string;
  readonly options: TestOpts;
  readonly body: Body;
}

/** What replaces the root test of tap. */
interface Recorder {
  test(name: string, ...rest: readonly (TestOpts | Body)[]): Promise<void>;
  setTimeout(ms: number): void;
}

const GLOBAL_NAME = '__recorder__';
const STAND_IN = `export default globalThis.${GLOBAL_NAME};`;

/** The version of the instances, in the URL of each module of the folder. */
const VERSION = 'version';

/** Modules of the folder that each module imports, by their paths. */
type ImportGraph = Map<string, Set<string>>;

const stripped = new Map<string, string>();

function readStripped(path: string): string {
  const known = stripped.get(path);
  if (known !== undefined) return known;
  const source = stripTypeScriptTypes(readFileSync(path, 'utf8'));
  stripped.set(path, source);
  return source;
}

function listReachable(graph: ImportGraph, start: string, reached = new Set<string>()): Set<string> {
  if (reached.has(start)) return reached;
  reached.add(start);
  for (const next of graph.get(start) ?? []) listReachable(graph, next, reached);
  return reached;
}

/** Loads test files of one folder, again and again. */
export class TestLoader {
  readonly #folder: string;
  readonly #folderUrl: string;
  readonly #graph: ImportGraph = new Map();
  #version = 0;
  #recorded: RecordedTest[] = [];
  #file = '';

  /** @param folder absolute path of the folder whose modules are loaded anew */
  constructor(folder: string) {
    this.#folder = folder;
    this.#folderUrl = `${pathToFileURL(folder).href}/`;
    const recorder: Recorder = {
      test: (name, ...rest) => {
        this.#record(name, rest);
        return Promise.resolve();
      },
      setTimeout: () => undefined,
    };
    Object.assign(globalThis, { [GLOBAL_NAME]: recorder });
    this.#registerHooks();
  }

  /** Loads the files and returns their tests. */
  async load(files: readonly string[]): Promise<readonly RecordedTest[]> {
    this.#version += 1;
    this.#recorded = [];
    for (const file of files) {
      this.#file = file;
      await import(`${pathToFileURL(file).href}?${VERSION}=${this.#version}`);
    }
    return this.#recorded;
  }

  /** Whether a file that was loaded imports another one, directly or not. */
  imports(file: string, imported: string): boolean {
    return listReachable(this.#graph, file).has(imported);
  }

  #record(name: string, rest: readonly (TestOpts | Body)[]): void {
    const body = rest.find((value) => typeof value === 'function');
    if (body === undefined) throw new Error(`${this.#file}: "${name}" has no function`);
    const options = rest.find((value) => typeof value === 'object') ?? {};
    const id = `${relative(this.#folder, this.#file)}: ${name}`;
    if (this.#recorded.some((test) => test.id === id)) throw new Error(`${id} is declared twice`);
    this.#recorded.push({ id, name, file: this.#file, options, body });
  }

  #registerHooks(): void {
    registerHooks({
      resolve: (specifier, context, next) => {
        const parent = context.parentURL;
        const isOurs = parent?.startsWith(this.#folderUrl) === true && !parent.includes('/node_modules/');
        if (!isOurs) return next(specifier, context);
        if (specifier === 'tap') return { url: `data:text/javascript,${STAND_IN}`, shortCircuit: true };
        const resolved = next(specifier, context);
        if (!this.#isReloaded(resolved.url)) return resolved;
        const url = new URL(resolved.url);
        const path = fileURLToPath(parent);
        this.#graph.set(path, (this.#graph.get(path) ?? new Set()).add(fileURLToPath(url)));
        // Not the current version: an import inside a function belongs to the instances of its module.
        url.search = new URL(parent).search;
        return { ...resolved, url: url.href };
      },
      load: (url, context, next) =>
        this.#isReloaded(url)
          ? { format: 'module', source: readStripped(fileURLToPath(url)), shortCircuit: true }
          : next(url, context),
    });
  }

  #isReloaded(url: string): boolean {
    return url.startsWith(this.#folderUrl) && !url.includes('/node_modules/') && new URL(url).pathname.endsWith('.ts');
  }
}
