/** The SAML 2.0 messages in envelopes (SAML profiles, section 4.2), and their parts that the plugin reads. */
import { listHeaderBlocks } from './soap-envelope.ts';
import type { Envelope } from './soap-envelope.ts';
import { XmlError } from './xml.ts';
import type { XmlElement } from './xml.ts';

/** Namespaces. */
export const PAOS = 'urn:liberty:paos:2003-08';
export const ECP = 'urn:oasis:names:tc:SAML:2.0:profiles:SSO:ecp';
export const SAML_PROTOCOL = 'urn:oasis:names:tc:SAML:2.0:protocol';

/** The media type of messages to and from the service provider (SAML bindings, section 3.3.2). */
export const PAOS_TYPE = 'application/vnd.paos+xml';

/** @throws XmlError if the body does not contain this SAML message alone */
export function requireMessage({ body }: Envelope, name: string): void {
  const [only, ...others] = body.children;
  if (only?.name === `{${SAML_PROTOCOL}}${name}` && others.length === 0) return;
  throw new XmlError(`does not contain one SAML ${name}`);
}

/** @throws XmlError if the header has several such blocks */
export function findBlock(envelope: Envelope, namespace: string, name: string): XmlElement | undefined {
  const [block, ...others] = listHeaderBlocks(envelope, `{${namespace}}${name}`);
  if (others.length > 0) throw new XmlError(`has several ${name} blocks in its header`);
  return block;
}

/** @throws XmlError if the header does not have exactly one such block with this attribute */
export function readAttribute(
  envelope: Envelope,
  [namespace, name]: readonly [string, string],
  attribute: string,
): string {
  const value = findBlock(envelope, namespace, name)?.attributes.get(attribute);
  if (value === undefined) throw new XmlError(`has no ${attribute} in its header`);
  return value;
}
