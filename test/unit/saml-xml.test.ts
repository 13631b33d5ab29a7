import t from 'tap';
import { parseXml, XmlError } from '../../src/plugin/saml/xml.ts';
import type { XmlElement } from '../../src/plugin/saml/xml.ts';
import {
  findFault,
  makeFault,
  makeHeaderBlock,
  parseEnvelope,
  removeHeader,
  replaceHeaderBlocks,
} from '../../src/plugin/saml/soap-envelope.ts';
import { addCookies, makeCookieHeaders } from '../../src/plugin/saml/session-cookies.ts';

const SOAP = 'http://schemas.xmlsoap.org/soap/envelope/';

void t.test('an element knows its names with their namespaces, its text, and where it is', async (t) => {
  const document =
    '\uFEFF<?xml version="1.0" encoding="utf-8"?>\r\n<!-- <a> --><a:x xmlns:a="u" xmlns="d" b="1" a:c="é😀&amp;&#65;">\r\n' +
    't😀<y/> <!-- <q> --><a:y a=">" >k<![CDATA[<b>]]></a:y >\r\n</a:x >\r\n';
  const root = parseXml(document);
  const show = ({ start, end }: XmlElement): string => document.slice(start, end);
  const showContent = ({ contentStart, contentEnd }: XmlElement): string => document.slice(contentStart, contentEnd);
  t.equal(root.name, '{u}x');
  t.equal(root.attributes.get('b'), '1');
  t.equal(root.attributes.get('{u}c'), 'é😀&A');
  t.equal(show(root), document.slice(document.indexOf('<a:x'), document.indexOf('</a:x >') + 7));
  t.equal(showContent(root), document.slice(document.indexOf('\r\nt😀'), document.indexOf('</a:x >')));
  const [first, second] = root.children;
  t.match(first, { name: '{d}y', text: '', children: [] });
  t.equal(first && show(first), '<y/>');
  t.equal(first && showContent(first), '');
  t.match(second, { name: '{u}y', text: 'k<b>' });
  t.equal(second && show(second), '<a:y a=">" >k<![CDATA[<b>]]></a:y >');
  t.equal(second && showContent(second), 'k<![CDATA[<b>]]>');
});

void t.test('documents that could mean something else to another parser are refused', async (t) => {
  const refused: Readonly<Record<string, string>> = {
    '': 'is not XML',
    x: 'is not XML',
    '<a': 'is not XML',
    '<a/><b/>': 'is not XML',
    '<a></b>': 'is not XML',
    '<a>&nbsp;</a>': 'is not XML',
    '<a x="1" x="2"/>': 'is not XML',
    '<a xmlns:p="u" xmlns:q="u" p:x="1" q:x="2"/>': 'is not XML',
    '<p:a/>': 'is not XML',
    '<a>\u0000</a>': 'is not XML',
    '<a b="<"/>': 'is not XML',
    '<html><br></html>': 'is not XML',
    '<!DOCTYPE a><a/>': 'has a DOCTYPE, which SAML messages must not have',
    '<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>': 'has a DOCTYPE, which SAML messages must not have',
    '<!DOCTYPE a SYSTEM "file:///etc/passwd"><a/>': 'has a DOCTYPE, which SAML messages must not have',
    '<?xml version="1.0" encoding="ISO-8859-1"?><a/>': 'is not in UTF-8',
    [`${'<a>'.repeat(101)}${'</a>'.repeat(101)}`]: 'is too deep',
    [`<a>${' '.repeat(512 * 1024)}</a>`]: 'is too large',
  };
  for (const [document, message] of Object.entries(refused)) {
    t.throws(() => parseXml(document), new XmlError(message), JSON.stringify(document.slice(0, 50)));
  }
  t.doesNotThrow(() => parseXml(`${'<a>'.repeat(100)}${'</a>'.repeat(100)}`));
});

void t.test('only the header of an envelope changes', async (t) => {
  const body = `<S:Body>\r\n <x  a='1'/>😀<!-- é --> </S:Body >`;
  const around = (header: string): string =>
    `<?xml version='1.0'?><S:Envelope\txmlns:S="${SOAP}">\n${header}${body}</S:Envelope>`;
  const header = '<S:Header a="1"><b/>😀</S:Header >';
  const envelope = parseEnvelope(around(header));
  t.equal(removeHeader(envelope), around(''));
  t.equal(replaceHeaderBlocks(envelope, '<c/>'), around('<S:Header a="1"><c/></S:Header >'));
  t.equal(removeHeader(parseEnvelope(around(''))), around(''));
  t.equal(removeHeader(parseEnvelope(around('<S:Header/>'))), around(''));
});

void t.test('what is not exactly one envelope is refused', async (t) => {
  for (const document of [
    '<Envelope><Body/></Envelope>',
    `<S:Envelope xmlns:S="${SOAP}"/>`,
    `<S:Envelope xmlns:S="${SOAP}"><S:Body/><S:Body/></S:Envelope>`,
    `<S:Envelope xmlns:S="${SOAP}"><S:Header/><S:Header/><S:Body/></S:Envelope>`,
    `<S:Envelope xmlns:S="http://www.w3.org/2003/05/soap-envelope"><S:Body/></S:Envelope>`,
    `<x xmlns:S="${SOAP}"><S:Envelope><S:Body/></S:Envelope></x>`,
  ]) {
    t.throws(() => parseEnvelope(document), new XmlError('is not a SOAP envelope'), document);
  }
});

void t.test('texts in blocks and faults stay texts', async (t) => {
  const text = `a<b>&"'\r\n]]>é`;
  const header = makeHeaderBlock('urn:x', 'State', text);
  t.match(parseXml(header), { name: '{urn:x}State', text, children: [] });
  const fault = findFault(parseEnvelope(makeFault(text)));
  t.strictSame(fault, { isOfServer: true, reason: text });
});

void t.test('a cookie that no header can carry is left out', async (t) => {
  const setCookies = ['a=1; Path=/', ' b=x=y ;HttpOnly', 'c=a b', 'd', '=e', 'f=', 'g="q"', 'h=\u0007', 'a=2'];
  const cookies = addCookies(new Map([['old', '0']]), { setCookies });
  t.equal(makeCookieHeaders(cookies)['cookie']?.reveal(), 'old=0; a=2; b=x=y; g="q"');
  t.strictSame(makeCookieHeaders(new Map()), {});
  const many = Array.from({ length: 100 }, (_, index) => `n${index}=1`);
  t.equal(addCookies(new Map(), { setCookies: many }).size, 30);
});
