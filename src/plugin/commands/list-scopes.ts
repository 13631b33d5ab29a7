import { isJsonObject, listAt, textAt } from '../../shared/base/json.ts';
import type { JsonObject } from '../../shared/base/json.ts';
import { OUTPUT } from './command.ts';
import type { Answer, Command } from './command.ts';
import { ask } from './session.ts';
import { renderTable } from './table.ts';

/** A list of Keystone's that is shown as a table. */
export interface Listing {
  readonly word: string;
  readonly about: string;
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
export function listingCommand({ word, about, path, member, columns }: Listing): Command {
  return {
    words: [word],
    about,
    options: [OUTPUT],
    takes: 'login',
    examples: [{ line: word, about }],
    async run(call): Promise<Answer> {
      return ask(call, async (question) => {
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
export const projects: Command = listingCommand({
  word: 'projects',
  about: 'list the projects that you can log in to',
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
export const domains: Command = listingCommand({
  word: 'domains',
  about: 'list the domains that you can log in to',
  path: 'auth/domains',
  member: 'domains',
  columns: [
    ['NAME', 'name'],
    ['ID', 'id'],
    ['ENABLED', 'enabled'],
  ],
});
