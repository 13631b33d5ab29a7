/** Parses XML of other servers. Nothing is expanded, loaded or validated, and each element knows where it is in the text. */
import { SaxesParser } from 'saxes';

/** An element. Names are `{namespace}name`. */
export interface XmlElement {
  readonly name: string;
  /** By name; an attribute without a prefix has no namespace. */
  readonly attributes: ReadonlyMap<string, string>;
  readonly children: readonly XmlElement[];
  /** Its own text, without that of its children. */
  readonly text: string;
  /** The offsets of its start tag, of what is in it, and of the end of its end tag, in UTF-16 code units. */
  readonly start: number;
  readonly contentStart: number;
  readonly contentEnd: number;
  readonly end: number;
}

/** Text that is not acceptable XML; the message says why, as a clause about it. */
export class XmlError extends Error {}

/** No SAML message comes close. */
const MAX_LENGTH = 512 * 1024;
const MAX_DEPTH = 100;

interface OpenElement {
  name: string;
  attributes: Map<string, string>;
  children: XmlElement[];
  text: string;
  start: number;
  contentStart: number;
}

const toName = (uri: string, local: string): string => (uri === '' ? local : `{${uri}}${local}`);

/**
 * Parses a document in UTF-8.
 *
 * @returns its root element
 * @throws XmlError if it is not well-formed, too large or too deep, or has a document type, which could define entities
 */
export function parseXml(document: string): XmlElement {
  if (document.length > MAX_LENGTH) throw new XmlError('is too large');
  const parser = new SaxesParser({ xmlns: true });
  const open: OpenElement[] = [];
  let root: XmlElement | undefined;
  let tagStart = 0;
  parser.on('error', () => {
    throw new XmlError('is not XML');
  });
  parser.on('doctype', () => {
    throw new XmlError('has a DOCTYPE, which SAML messages must not have');
  });
  parser.on('xmldecl', ({ encoding = 'utf-8' }) => {
    if (!/^utf-?8$/i.test(encoding)) throw new XmlError('is not in UTF-8');
  });
  parser.on('opentagstart', () => {
    // The name of a tag cannot contain this character.
    tagStart = document.lastIndexOf('<', parser.position - 1);
  });
  parser.on('opentag', ({ uri, local, attributes }) => {
    if (open.length === MAX_DEPTH) throw new XmlError('is too deep');
    open.push({
      name: toName(uri, local),
      attributes: new Map(Object.values(attributes).map((each) => [toName(each.uri, each.local), each.value])),
      children: [],
      text: '',
      start: tagStart,
      contentStart: parser.position,
    });
  });
  const addText = (text: string): void => {
    const parent = open.at(-1);
    if (parent !== undefined) parent.text += text;
  };
  parser.on('text', addText);
  parser.on('cdata', addText);
  parser.on('closetag', ({ isSelfClosing }) => {
    const element = open.pop();
    if (element === undefined) return;
    const end = parser.position;
    const contentEnd = isSelfClosing ? end : document.lastIndexOf('<', end - 1);
    const closed = { ...element, contentEnd, end };
    const parent = open.at(-1);
    if (parent === undefined) root = closed;
    else parent.children.push(closed);
  });
  parser.write(document).close();
  if (root === undefined) throw new XmlError('is not XML');
  return root;
}
