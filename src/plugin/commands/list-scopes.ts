import { listAvailableScopes } from './available-scopes.ts';
import type { AvailableScope } from './available-scopes.ts';
import { OUTPUT_OPTION } from './command.ts';
import type { CommandResult, Command } from './command.ts';
import { withSession } from './session.ts';
import { renderTable } from './table.ts';

/** A column of the table, and the key of its values in JSON. */
interface Column {
  readonly heading: string;
  readonly key: string;
  readonly read: (scope: AvailableScope) => string | boolean | undefined;
}

const NAME: Column = { heading: 'NAME', key: 'name', read: ({ name }) => name };
const ID: Column = { heading: 'ID', key: 'id', read: ({ id }) => id };
const DOMAIN_ID: Column = { heading: 'DOMAIN ID', key: 'domain_id', read: ({ domainId }) => domainId };
const ENABLED: Column = { heading: 'ENABLED', key: 'enabled', read: ({ enabled }) => enabled };

const formatCell = (value: string | boolean | undefined): string =>
  typeof value === 'boolean' ? (value ? 'yes' : 'no') : (value ?? '');

function makeListCommand(kind: 'projects' | 'domains', columns: readonly Column[]): Command {
  const summary = `list the ${kind} that you can log in to`;
  return {
    words: [kind],
    task: 'Find out',
    summary,
    options: [OUTPUT_OPTION],
    getTokenOptions: 'login',
    examples: [{ line: kind, summary }],
    async run(call): Promise<CommandResult> {
      return withSession(call, async (ask) => {
        const scopes = await listAvailableScopes(ask, kind);
        return {
          lines: renderTable(
            columns.map(({ heading }) => heading),
            scopes.map((scope) => columns.map(({ read }) => formatCell(read(scope)))),
          ),
          data: scopes.map((scope) => Object.fromEntries(columns.map(({ key, read }) => [key, read(scope) ?? null]))),
        };
      });
    },
  };
}

/** Keystone API v3, "Get available project scopes". */
export const projectsCommand: Command = makeListCommand('projects', [NAME, ID, DOMAIN_ID, ENABLED]);

/** Keystone API v3, "Get available domain scopes". */
export const domainsCommand: Command = makeListCommand('domains', [NAME, ID, ENABLED]);
