// Test files that run in one process, because starting a process takes longer than most of them. A line of the output
// tells where the tests of a file end.

/** The variable with the paths of the test files, separated by spaces. */
export const BATCH_VARIABLE = 'CKA_TEST_BATCH';

/** The name of the test after those of each file. Its only assertion describes the end of the file. */
export const END_OF_FILE = 'the tests of a file have ended';

const END = /^(\S+) after ([\d.]+) processor s$/;

/** The end of a test file. */
export interface FileEndMark {
  readonly path: string;
  readonly processorSeconds: number;
}

/** Describes the end of a file in the name of an assertion. */
export function describeEnd({ path, processorSeconds }: FileEndMark): string {
  return `${path} after ${processorSeconds.toFixed(3)} processor s`;
}

/** Reads the name of that assertion. */
export function parseEnd(name: string): FileEndMark {
  const [, path = '', seconds = ''] = END.exec(name) ?? [];
  return { path, processorSeconds: Number(seconds) };
}

/**
 * Spreads files over batches that take about the same time. Files that take longer come first.
 *
 * @param count the number of batches
 */
export function makeBatches(
  files: readonly string[],
  count: number,
  readSeconds: (file: string) => number,
): readonly (readonly string[])[] {
  const batches = Array.from({ length: Math.min(count, files.length) }, () => ({ files: [] as string[], seconds: 0 }));
  for (const file of files.toSorted((one, other) => readSeconds(other) - readSeconds(one))) {
    const shortest = batches.toSorted((one, other) => one.seconds - other.seconds)[0];
    shortest?.files.push(file);
    if (shortest !== undefined) shortest.seconds += readSeconds(file);
  }
  return batches.map(({ files: batch }) => batch);
}
