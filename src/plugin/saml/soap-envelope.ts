/**
 * SOAP 1.1 envelopes (sections 4 and 6.1). Only headers are changed, and all other text stays as it is, because a signature
 * in the body covers it.
 */
import { parseXml, XmlError } from './xml.ts';
import type { XmlElement } from './xml.ts';

const SOAP = 'http://schemas.xmlsoap.org/soap/envelope/';

/** The receiver of a message that is not forwarded (SOAP 1.1, section 4.2.2). */
const NEXT_ACTOR = 'http://schemas.xmlsoap.org/soap/actor/next';

export interface Envelope {
  readonly document: string;
  readonly header: XmlElement | undefined;
  readonly body: XmlElement;
}

/** Why a server did not process a message. */
export interface Fault {
  /** Whether the message itself is not at fault, so that it may be processed later. */
  readonly isOfServer: boolean;
  readonly reason: string;
}

/** @throws XmlError if the document is not an envelope with at most one header and one body */
export function parseEnvelope(document: string): Envelope {
  const { name, children } = parseXml(document);
  const headers = children.filter((child) => child.name === `{${SOAP}}Header`);
  const [body, ...otherBodies] = children.filter((child) => child.name === `{${SOAP}}Body`);
  const isUnique = headers.length <= 1 && otherBodies.length === 0;
  if (name !== `{${SOAP}}Envelope` || body === undefined || !isUnique) throw new XmlError('is not a SOAP envelope');
  return { document, header: headers[0], body };
}

/** Lists the blocks of the header with this name. */
export function listHeaderBlocks({ header }: Envelope, name: string): readonly XmlElement[] {
  return header?.children.filter((block) => block.name === name) ?? [];
}

/** Returns the document without its header. */
export function removeHeader({ document, header }: Envelope): string {
  return header === undefined ? document : document.slice(0, header.start) + document.slice(header.end);
}

/** Returns the document with another content of its header, which must not be empty. */
export function replaceHeaderBlocks({ document, header }: Envelope, blocks: string): string {
  if (header === undefined) return document;
  return document.slice(0, header.contentStart) + blocks + document.slice(header.contentEnd);
}

function escapeXml(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('\r', '&#13;');
}

/** Makes a block for the next receiver, which must understand it. It has its own prefixes. */
export function makeHeaderBlock(namespace: string, name: string, text: string): string {
  return (
    `<b:${name} xmlns:b="${namespace}" xmlns:e="${SOAP}" e:mustUnderstand="1" e:actor="${NEXT_ACTOR}">` +
    `${escapeXml(text)}</b:${name}>`
  );
}

/** Finds out whether a response says why a message was not processed. */
export function findFault({ body }: Envelope): Fault | undefined {
  const fault = body.children.find(({ name }) => name === `{${SOAP}}Fault`);
  if (fault === undefined) return undefined;
  const textOf = (name: string): string => fault.children.find((child) => child.name === name)?.text.trim() ?? '';
  const [, code = ''] = /(?:^|:)(Client|Server)\b/.exec(textOf('faultcode')) ?? [];
  return { isOfServer: code === 'Server', reason: textOf('faultstring') };
}

/** Makes an envelope with a fault of the sender of the response that is not forwarded. */
export function makeFault(reason: string): string {
  return (
    `<e:Envelope xmlns:e="${SOAP}"><e:Body><e:Fault><faultcode>e:Server</faultcode>` +
    `<faultstring>${escapeXml(reason)}</faultstring></e:Fault></e:Body></e:Envelope>`
  );
}
