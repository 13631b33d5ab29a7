/** A user's kubeconfig, in one file or several, as kubectl merges and writes it. */
import { ConfigError } from '../../shared/base/errors.ts';
import type { Host } from '../../shared/base/host.ts';
import { textAt } from '../../shared/base/json.ts';
import type { JsonObject } from '../../shared/base/json.ts';
import { makeDiff } from './diff.ts';
import { parseKubeconfig, rewriteKubeconfig } from './document.ts';
import type { EntryKind, KubeconfigDocument } from './document.ts';
import { getEntry, listEntryNames, withCurrentContext, withEntry, withoutEntry } from './entries.ts';
import { readTextFile, writeChanges } from './kubeconfig-files.ts';
import type { FileChange } from './kubeconfig-files.ts';
import { locateKubeconfig } from './kubeconfig-paths.ts';
import { hideSecretsInLines } from './hide-secrets.ts';

/** One of the files, with what it will say. */
interface EditedFile {
  readonly path: string;
  /** Undefined where there is no such file yet. */
  readonly document: KubeconfigDocument | undefined;
  data: JsonObject;
}

/** Something with a name, and the file that it is in. */
export interface KubeconfigEntry {
  readonly path: string;
  readonly value: JsonObject;
}

/** What a command changes; nothing is written before `save`. */
export class Kubeconfig {
  readonly #files: readonly EditedFile[];
  /** Where new things go (client-go, `PathOptions.GetDefaultFilename`): the first file that is there, else the last. */
  readonly #default: EditedFile;

  /** @throws ConfigError where there is no file at all to take */
  constructor(files: readonly EditedFile[]) {
    const chosen = files.find(({ document }) => document !== undefined) ?? files.at(-1);
    if (chosen === undefined) throw new ConfigError('there is no kubeconfig');
    this.#files = files;
    this.#default = chosen;
  }

  /** The files that there are or will be. */
  get paths(): readonly string[] {
    return this.#files.map(({ path }) => path);
  }

  /** Whether there is any of the files yet. */
  get hasFile(): boolean {
    return this.#files.some(({ document }) => document !== undefined);
  }

  /** What kubectl takes for this name: the first file that has it counts. */
  find(kind: EntryKind, name: string): KubeconfigEntry | undefined {
    for (const { path, data } of this.#files) {
      const value = getEntry(data, kind, name);
      if (value !== undefined) return { path, value };
    }
    return undefined;
  }

  /** All names, each once. */
  listNames(kind: EntryKind): string[] {
    return [...new Set(this.#files.flatMap(({ data }) => listEntryNames(data, kind)))];
  }

  /** Undefined where none is set. */
  get currentContext(): string | undefined {
    return this.#files
      .map(({ data }) => textAt(data, 'current-context'))
      .find((name) => name !== undefined && name !== '');
  }

  set(kind: EntryKind, name: string, value: JsonObject): void {
    const file = this.#files.find(({ data }) => getEntry(data, kind, name) !== undefined) ?? this.#default;
    file.data = withEntry(file.data, kind, name, value);
  }

  remove(kind: EntryKind, name: string): void {
    const file = this.#files.find(({ data }) => getEntry(data, kind, name) !== undefined);
    if (file !== undefined) file.data = withoutEntry(file.data, kind, name);
  }

  /** Sets the current context where kubectl does: in the file for new things. */
  setCurrentContext(name: string): void {
    if (this.currentContext !== name) this.#default.data = withCurrentContext(this.#default.data, name);
  }

  /** Empties the current context wherever it is this one. */
  unsetCurrentContext(name: string): void {
    for (const file of this.#files) {
      if (textAt(file.data, 'current-context') === name) file.data = withCurrentContext(file.data, '');
    }
  }

  /**
   * What would be written.
   *
   * @throws ConfigError where a file cannot be changed without changing more of it
   */
  listChanges(): FileChange[] {
    return this.#files.flatMap(({ path, document, data }) => {
      const old = document ?? parseKubeconfig('', path);
      const after = rewriteKubeconfig(old, data);
      return after === old.text ? [] : [{ path, before: document?.text, after }];
    });
  }

  /**
   * Writes what has changed, see {@link writeChanges}.
   *
   * @param secret whether what is written is for nobody else to read
   * @returns the paths of what was written, with those of the copies
   * @throws ConfigError
   */
  async save(secret: boolean): Promise<readonly (readonly [path: string, backup: string | undefined])[]> {
    const changes = this.listChanges();
    const backups = await writeChanges(changes, secret);
    return changes.map(({ path }) => [path, backups.get(path)] as const);
  }

  /**
   * A unified diff of what would be written, without secrets.
   *
   * @param harmless names of variables whose values may be seen
   * @throws ConfigError as {@link listChanges}
   */
  renderDiff(harmless: ReadonlySet<string>): string {
    const diffs = this.listChanges().map(({ path, before, after }) => {
      const [old, changed] = [before ?? '', after].map((text) => ({
        name: path,
        lines: linesOf(text),
        redactedLines: hideSecretsInLines(text, parseKubeconfig(text, path).stream, harmless),
      }));
      return old === undefined || changed === undefined ? '' : makeDiff(old, changed);
    });
    return diffs.filter((text) => text !== '').join('\n');
  }
}

/** Whether a file ends with a line feed makes no line of its own. */
function linesOf(text: string): string[] {
  const lines = text.split('\n');
  if (lines.at(-1) === '') lines.pop();
  return lines;
}

/**
 * Reads a user's kubeconfig.
 *
 * @param named by `--kubeconfig`
 * @throws ConfigError where a file cannot be read or is no kubeconfig
 */
export function openKubeconfig(host: Host, named: string | undefined): Kubeconfig {
  const { paths } = locateKubeconfig(host, named);
  return new Kubeconfig(
    paths.map((path) => {
      const text = readTextFile(path);
      const document = text === undefined ? undefined : parseKubeconfig(text, path);
      return { path, document, data: document?.data ?? {} };
    }),
  );
}

/**
 * Reads a kubeconfig that is in no file.
 *
 * @param name of where it came from, for messages
 * @throws ConfigError where it is none
 */
export function openKubeconfigText(text: string, name: string): Kubeconfig {
  const document = parseKubeconfig(text, name);
  return new Kubeconfig([{ path: name, document, data: document.data }]);
}
