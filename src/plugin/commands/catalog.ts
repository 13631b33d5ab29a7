import { OUTPUT_OPTION } from './command.ts';
import type { CommandResult, Command } from './command.ts';
import { listServiceEndpoints } from './service-catalog.ts';
import { withSession } from './session.ts';
import { renderTable } from './table.ts';

/** Keystone API v3, "Get service catalog". */
export const catalogCommand: Command = {
  words: ['catalog'],
  task: 'Find out',
  summary: 'list the services of the cloud and their URLs',
  options: [OUTPUT_OPTION],
  getTokenOptions: 'login',
  examples: [{ line: 'catalog', summary: 'show services, regions and URLs' }],
  async run(call): Promise<CommandResult> {
    return withSession(call, async (ask, session) => {
      const endpoints = (await listServiceEndpoints(ask, session)).map((endpoint) => ({ ...endpoint }));
      const rows = endpoints.map((endpoint) => Object.values(endpoint));
      return { lines: renderTable(['SERVICE', 'TYPE', 'REGION', 'INTERFACE', 'URL'], rows), data: endpoints };
    });
  },
};
