import type { Peer } from '../http/peer.ts';

/** A URL of the identity provider, and the setting that a message names for it. */
export interface Endpoint {
  readonly url: string;
  readonly peer: Peer;
}

/** Names of the discovery document without `_endpoint` (RFC 8414, section 2; RFC 8628, section 4). */
export type EndpointName = 'token' | 'authorization' | 'device_authorization';
