import type { TLSSocket } from 'node:tls';
import type { Certificates } from './certificates.ts';

/** Which client certificates are accepted. */
export interface ClientRules {
  readonly certificates: Certificates;
  /** Common names of client certificates; empty if every certificate of the CA is accepted. */
  readonly allowedClientNames: readonly string[];
}

/** Why the client of a request is not accepted; undefined if it is, or if no client certificate is required. */
export function findClientProblem(
  socket: TLSSocket,
  { certificates, allowedClientNames }: ClientRules,
): string | undefined {
  if (certificates.clientCa === undefined) return undefined;
  if (!socket.authorized) return 'a client certificate signed by the CA in --client-ca-file is required';
  if (allowedClientNames.length === 0) return undefined;
  // A subject can have several common names; none of them decides alone.
  const name: unknown = socket.getPeerCertificate().subject.CN;
  if (typeof name === 'string' && allowedClientNames.includes(name)) return undefined;
  return 'the name of the client certificate is not among --allowed-client-names';
}
