import { isJsonObject, listAt, objectAt, textAt } from '../../shared/base/json.ts';
import { OUTPUT_OPTION } from './command.ts';
import type { CommandResult, Command } from './command.ts';
import { makeTokenDetailsCall, withSession } from './session.ts';
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
      const own = await ask({ verb: 'GET', path: 'auth/catalog', resource: 'the catalog', absentOn: [404] });
      // Rust Keystone has the catalog only in the details of a token.
      const body = own ?? objectAt(await ask({ ...makeTokenDetailsCall(session), path: 'auth/tokens' }), 'token');
      const endpoints = listAt(body, 'catalog')
        .filter(isJsonObject)
        .flatMap((service) =>
          listAt(service, 'endpoints')
            .filter(isJsonObject)
            .map((endpoint) => ({
              service: textAt(service, 'name') ?? '',
              type: textAt(service, 'type') ?? '',
              region: textAt(endpoint, 'region') ?? '',
              interface: textAt(endpoint, 'interface') ?? '',
              url: textAt(endpoint, 'url') ?? '',
            })),
        );
      const rows = endpoints.map((endpoint) => Object.values(endpoint));
      return { lines: renderTable(['SERVICE', 'TYPE', 'REGION', 'INTERFACE', 'URL'], rows), data: endpoints };
    });
  },
};
