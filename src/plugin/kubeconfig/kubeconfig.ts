/** A kubeconfig in one or more files, merged and written as kubectl does it. */
import { ConfigError } from '../../shared/base/errors.ts';
import type { Host } from '../../shared/base/host.ts';
import { textAt } from '../../shared/base/json.ts';
import type { JsonObject } from '../../shared/base/json.ts';
import { makeDiff } from './diff.ts';
import type { DiffSide } from './diff.ts';
import { parseKubeconfig, rewriteKubeconfig, shortenName } from './document.ts';
import type { EntryKind, KubeconfigDocument } from './document.ts';
import { getEntry, listEntryNames, withCurrentContext, withEntry, withoutEntry } from './entries.ts';
import { readTextFile, writeChanges } from './kubeconfig-files.ts';
import type { FileChange } from './kubeconfig-files.ts';
import { removeAbandonedLock } from './kubeconfig-lock.ts';
import { locateKubeconfig } from './kubeconfig-paths.ts';
import { hideSecretsInLines } from './hide-secrets.ts';
import type { WriteOptions } from './write-file.ts';

/** One of the files, with its content after the changes. */
interface EditedFile {
  readonly path: string;
  /** Undefined if the file does not exist yet. */
  readonly document: KubeconfigDocument | undefined;
  data: JsonObject;
}

/** The content of an entry, and the file that contains it. */
export interface KubeconfigEntry {
  readonly path: string;
  readonly value: JsonObject;
}

/** A kubeconfig that a command changes. Nothing is written before `save`. */
export class Kubeconfig {
  readonly #files: readonly EditedFile[];
  /**
   * The file for new entries (client-go, `PathOptions.GetDefaultFilename`): the first file that exists, else the last.
   */
  readonly #default: EditedFile;

  /** @throws ConfigError if the list is empty */
  constructor(files: readonly EditedFile[]) {
    const target = files.find(({ document }) => document !== undefined) ?? files.at(-1);
    if (target === undefined) throw new ConfigError('there is no kubeconfig');
    this.#files = files;
    this.#default = target;
  }

  /** The paths of all files, whether they exist or not. */
  get paths(): readonly string[] {
    return this.#files.map(({ path }) => path);
  }

  /** What kubectl ignores in the files, as sentences without a full stop. */
  get warnings(): readonly string[] {
    return this.#files.flatMap(({ document }) => (document === undefined ? [] : describeRepeatedKeys(document)));
  }

  /** Whether at least one of the files exists. */
  get hasFile(): boolean {
    return this.#files.some(({ document }) => document !== undefined);
  }

  /** Returns the entry that kubectl uses for this name: the one in the first file that has it. */
  find(kind: EntryKind, name: string): KubeconfigEntry | undefined {
    for (const { path, data } of this.#files) {
      const value = getEntry(data, kind, name);
      if (value !== undefined) return { path, value };
    }
    return undefined;
  }

  /** Lists the names of all entries of a kind, without duplicates. */
  listNames(kind: EntryKind): string[] {
    return [...new Set(this.#files.flatMap(({ data }) => listEntryNames(data, kind)))];
  }

  /** The name of the current context; undefined if none is set. */
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

  /** Sets the current context in the same file as kubectl does: the file for new entries. */
  setCurrentContext(name: string): void {
    if (this.currentContext !== name) this.#default.data = withCurrentContext(this.#default.data, name);
  }

  /** Clears the current context in every file where it is this one. */
  unsetCurrentContext(name: string): void {
    for (const file of this.#files) {
      if (textAt(file.data, 'current-context') === name) file.data = withCurrentContext(file.data, '');
    }
  }

  /**
   * Lists the files that `save` writes.
   *
   * @throws ConfigError if a file cannot be changed without changing other parts of it
   */
  listChanges(): FileChange[] {
    return this.#files.flatMap(({ path, document, data }) => {
      const old = document ?? parseKubeconfig('', path);
      const after = rewriteKubeconfig(old, data);
      return after === old.text ? [] : [{ path, before: document?.text, after }];
    });
  }

  /**
   * Writes the files that have changed, see {@link writeChanges}.
   *
   * @returns the paths of the files that were written, and of their backup copies
   * @throws ConfigError if a file cannot be changed or written
   */
  async save(
    host: Host,
    options: WriteOptions,
  ): Promise<readonly (readonly [path: string, backup: string | undefined])[]> {
    // Even if nothing changes: kubectl waits for such a lock in vain.
    for (const path of this.paths) removeAbandonedLock(path, host);
    const changes = this.listChanges();
    const backups = await writeChanges(changes, host, options);
    return changes.map(({ path }) => [path, backups.get(path)] as const);
  }

  /**
   * Returns a unified diff of what `save` writes, with secrets redacted.
   *
   * @param harmless names of the variables with values that can be shown
   * @throws ConfigError as {@link listChanges}
   */
  renderDiff(harmless: ReadonlySet<string>): string {
    const diffs = this.listChanges().map(({ path, before, after }) => {
      const makeSide = (text: string): DiffSide => ({
        name: path,
        lines: splitLines(text),
        redactedLines: hideSecretsInLines(text, parseKubeconfig(text, path, Number.POSITIVE_INFINITY).stream, harmless),
      });
      return makeDiff(makeSide(before ?? ''), makeSide(after));
    });
    return diffs.filter((text) => text !== '').join('\n');
  }
}

const MAX_REPEATED_KEYS = 3;

function describeRepeatedKeys({ path, stream }: KubeconfigDocument): string[] {
  const repeatedKeys = stream.documents[0]?.repeatedKeys ?? [];
  const warnings = repeatedKeys
    .slice(-MAX_REPEATED_KEYS)
    .map(
      ({ key, firstLine, lastLine }) =>
        `${path} has the key "${shortenName(key)}" in line ${String(firstLine)} and again in line ${String(lastLine)}; ` +
        'kubectl uses only the last one, so move what you need there',
    );
  const others = repeatedKeys.length - warnings.length;
  return others === 0 ? warnings : [...warnings, `${path} has ${String(others)} further keys twice`];
}

/** A line feed at the end of a file does not start another line. */
function splitLines(text: string): string[] {
  const lines = text.split('\n');
  if (lines.at(-1) === '') lines.pop();
  return lines;
}

/**
 * Reads the kubeconfig of the user.
 *
 * @param override the value of `--kubeconfig`
 * @throws ConfigError if a file cannot be read or is not a kubeconfig
 */
export function openKubeconfig(host: Host, override: string | undefined): Kubeconfig {
  return new Kubeconfig(
    locateKubeconfig(host, override).map((path) => {
      const text = readTextFile(path);
      const document = text === undefined ? undefined : parseKubeconfig(text, path);
      return { path, document, data: document?.data ?? {} };
    }),
  );
}

/**
 * Reads a kubeconfig that was not read from a file.
 *
 * @param name describes the source in messages
 * @param maxParts see {@link parseKubeconfig}
 * @throws ConfigError if the text is not a kubeconfig
 */
export function openKubeconfigText(text: string, name: string, maxParts?: number): Kubeconfig {
  const document = parseKubeconfig(text, name, maxParts);
  return new Kubeconfig([{ path: name, document, data: document.data }]);
}
