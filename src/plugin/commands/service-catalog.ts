import { isJsonObject, listAt, objectAt, textAt } from '../../shared/base/json.ts';
import type { AskKeystone } from '../login/with-token.ts';
import { makeTokenDetailsCall } from './session.ts';
import type { Session } from './session.ts';

/** One address of a service of the cloud. What the catalog leaves out is empty. */
export interface ServiceEndpoint {
  readonly service: string;
  readonly type: string;
  readonly region: string;
  readonly interface: string;
  readonly url: string;
}

/**
 * Lists the endpoints of the catalog (Keystone API v3, "Get service catalog").
 *
 * @throws PluginError
 */
export async function listServiceEndpoints(ask: AskKeystone, session: Session): Promise<readonly ServiceEndpoint[]> {
  const own = await ask({ verb: 'GET', path: 'auth/catalog', resource: 'the catalog', absentOn: [404] });
  // Rust Keystone has the catalog only in the details of a token.
  const body = own ?? objectAt(await ask({ ...makeTokenDetailsCall(session), path: 'auth/tokens' }), 'token');
  return listAt(body, 'catalog')
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
}
