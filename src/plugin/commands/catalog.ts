import { isJsonObject, listAt, textAt } from '../../shared/base/json.ts';
import { OUTPUT_OPTION } from './command.ts';
import type { CommandResult, Command } from './command.ts';
import { withSession } from './session.ts';
import { renderTable } from './table.ts';

/** Keystone API v3, "Get service catalog". */
export const catalogCommand: Command = {
  words: ['catalog'],
  summary: 'list the services of the cloud and where they are',
  options: [OUTPUT_OPTION],
  getTokenOptions: 'login',
  examples: [{ line: 'catalog', summary: 'services, regions and URLs' }],
  async run(call): Promise<CommandResult> {
    return withSession(call, async (question) => {
      const body = await question({ verb: 'GET', path: 'auth/catalog', resource: 'the catalog' });
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
      const rows = endpoints.map(({ service, type, region, interface: side, url }) => [
        service,
        type,
        region,
        side,
        url,
      ]);
      return { text: renderTable(['SERVICE', 'TYPE', 'REGION', 'INTERFACE', 'URL'], rows), data: endpoints };
    });
  },
};
