import { isJsonObject, listAt, textAt } from '../../shared/base/json.ts';
import type { JsonObject } from '../../shared/base/json.ts';
import { OUTPUT_OPTION } from './command.ts';
import type { CommandResult, Command } from './command.ts';
import { withSession } from './session.ts';
import { renderTable } from './table.ts';

/** A list of Keystone's that is shown as a table. */
export interface Listing {
  readonly word: string;
  readonly summary: string;
  /** Below the v3 endpoint. */
  readonly path: string;
  /** The member of the answer that holds the list. */
  readonly member: string;
  /** Headings, and the members of an entry that stand below them. */
  readonly columns: readonly (readonly [heading: string, member: string])[];
}

const cell = (entry: JsonObject, member: string): string => {
  const value = entry[member];
  return typeof value === 'boolean' ? (value ? 'yes' : 'no') : (textAt(entry, member) ?? '');
};

/** Makes a command of a listing. */
export function makeListingCommand({ word, summary, path, member, columns }: Listing): Command {
  return {
    words: [word],
    summary,
    options: [OUTPUT_OPTION],
    getTokenOptions: 'login',
    examples: [{ line: word, summary }],
    async run(call): Promise<CommandResult> {
      return withSession(call, async (question) => {
        const body = await question({ verb: 'GET', path, resource: `the ${word}` });
        const entries = listAt(body, member).filter(isJsonObject);
        const rows = entries.map((entry) => columns.map(([, name]) => cell(entry, name)));
        const data = entries.map((entry) =>
          Object.fromEntries(
            columns.map(([, name]) => {
              const value = entry[name];
              return [name, typeof value === 'boolean' ? value : (textAt(entry, name) ?? null)] as const;
            }),
          ),
        );
        return {
          text: renderTable(
            columns.map(([heading]) => heading),
            rows,
          ),
          data,
        };
      });
    },
  };
}

/** Keystone API v3, "Get available project scopes". */
export const projectsCommand: Command = makeListingCommand({
  word: 'projects',
  summary: 'list the projects that you can log in to',
  path: 'auth/projects',
  member: 'projects',
  columns: [
    ['NAME', 'name'],
    ['ID', 'id'],
    ['DOMAIN ID', 'domain_id'],
    ['ENABLED', 'enabled'],
  ],
});

/** Keystone API v3, "Get available domain scopes". */
export const domainsCommand: Command = makeListingCommand({
  word: 'domains',
  summary: 'list the domains that you can log in to',
  path: 'auth/domains',
  member: 'domains',
  columns: [
    ['NAME', 'name'],
    ['ID', 'id'],
    ['ENABLED', 'enabled'],
  ],
});
