/** YAML that keeps its comments, and YAML of our own. */
import { stringify } from 'yaml';

/** Writes data as YAML, lines as long as they are. */
export function stringifyYaml(data: unknown): string {
  return stringify(data, { lineWidth: 0 });
}
