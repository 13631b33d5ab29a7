/** YAML that keeps its comments, and YAML of our own. */
import { parseAllDocuments, stringify } from 'yaml';
import { ConfigError } from '../errors.ts';

/** Writes data as YAML, lines as long as they are. */
export function stringifyYaml(data: unknown): string {
  return stringify(data, { lineWidth: 0 });
}

/**
 * Reads the first document of a text, as kubectl does.
 *
 * @param path of the file, for messages
 * @throws ConfigError where it is no YAML; nothing of the text is in the message
 */
export function parseFirst(text: string, path: string): unknown {
  try {
    const [first] = parseAllDocuments(text, { merge: true, prettyErrors: false, logLevel: 'silent' });
    if (first === undefined || !('errors' in first)) return undefined;
    if (first.errors.length === 0) return first.toJS() as unknown;
  } catch {
    // Such as more aliases than anybody means.
  }
  throw new ConfigError(`${path} is not YAML that can be understood`, {
    hint: 'correct it: indentation, quotes, colons',
  });
}
