/**
 * Which proxy a URL gets, row by row, for this program and for those that follow similar rules. The proxies are called
 * `one.test:3128` and `two.test:3128`.
 */
import type { Environment } from '../../src/shared/base/host.ts';

/** The proxy, or none, or the value of the variable is not accepted; `other` is what the value does not mean. */
type ProxyAnswer = 'one' | 'two' | 'direct' | 'error' | 'other';

/** A program with a rule of its own. */
export type Resolver = 'go' | 'curl' | 'node';

export interface ProxyRow {
  readonly url: string;
  readonly env: Environment;
  readonly expected: ProxyAnswer;
  /** The resolvers that answer something else, and why ours differs. */
  readonly differs?: Readonly<Partial<Record<Resolver, ProxyAnswer>>> & { readonly because: string };
  /** What Go answered before 1.23.7 and 1.24.1, which no longer compare the ends of addresses (CVE-2025-22870). */
  readonly olderGo?: ProxyAnswer;
}

type Differences = ProxyRow['differences' extends keyof ProxyRow ? never : 'differs'];

const ONE = 'http://one.test:3128';
const TWO = 'http://two.test:3128';
/** Why a resolver differs. */
const LOWER_CASE = 'curl and Python prefer the variable in lower case, Go the one in upper case';
const ALL = 'only curl and Python read ALL_PROXY';
const CGI = 'a header of the client sets HTTP_PROXY, never http_proxy; Go refuses both';
const PORT = 'curl ignores entries with a port, and Node those with a domain and a port';
const NODE_URL = 'Node ignores a proxy without http:// or https:// in lower case';
const LATE = 'the value is refused later, when it connects, or not at all';
const NODE_DOMAIN = 'for Node, an entry without a dot in front is one host';
const NODE_SUFFIX = 'Node compares the ends of the texts';
const NODE_NETWORK = 'Node knows no networks';
const TEXT = 'curl and Node compare the texts of such addresses';
const LAST_DOT = 'curl ignores the last dot';
const LOOPBACK = 'only Go never uses a proxy for this machine';

const KEYSTONE = 'https://keystone.corp.example:21520';

function row(url: string, env: Environment, expected: ProxyAnswer, differs?: Differences): ProxyRow {
  return { url, env, expected, ...(differs === undefined ? {} : { differs }) };
}

/** A row with a proxy for https:// and a list of exceptions. */
function excluded(list: string, url: string, expected: 'one' | 'direct', differs?: Differences): ProxyRow {
  return row(url, { HTTPS_PROXY: ONE, NO_PROXY: list }, expected, differs);
}

export const PROXY_TABLE: readonly ProxyRow[] = [
  // Which variable names the proxy.
  row(KEYSTONE, {}, 'direct'),
  row(KEYSTONE, { HTTPS_PROXY: ONE }, 'one'),
  row(KEYSTONE, { https_proxy: ONE }, 'one'),
  row(KEYSTONE, { https_proxy: ONE, HTTPS_PROXY: TWO }, 'one', { go: 'two', because: LOWER_CASE }),
  row(KEYSTONE, { https_proxy: '', HTTPS_PROXY: TWO }, 'two'),
  row(KEYSTONE, { HTTPS_PROXY: '' }, 'direct'),
  row(KEYSTONE, { HTTP_PROXY: ONE }, 'direct'),
  row(KEYSTONE, { http_proxy: ONE }, 'direct'),
  row(KEYSTONE, { ALL_PROXY: ONE }, 'one', { go: 'direct', node: 'direct', because: ALL }),
  row(KEYSTONE, { all_proxy: ONE }, 'one', { go: 'direct', node: 'direct', because: ALL }),
  row(KEYSTONE, { all_proxy: ONE, ALL_PROXY: TWO }, 'one', { go: 'direct', node: 'direct', because: ALL }),
  row(KEYSTONE, { HTTPS_PROXY: ONE, all_proxy: TWO }, 'one'),
  row(KEYSTONE, { https_proxy: '', ALL_PROXY: ONE }, 'one', { go: 'direct', node: 'direct', because: ALL }),
  row(KEYSTONE, { ALL_PROXY: ONE, NO_PROXY: 'corp.example' }, 'direct'),
  row('http://keystone.corp.example:5000', { HTTPS_PROXY: ONE }, 'direct'),
  row('http://keystone.corp.example:5000', { http_proxy: ONE }, 'one'),
  row('http://keystone.corp.example:5000', { HTTP_PROXY: ONE }, 'one', {
    curl: 'direct',
    because: 'curl never reads HTTP_PROXY in upper case',
  }),
  row('http://keystone.corp.example:5000', { http_proxy: ONE, HTTP_PROXY: TWO }, 'one', {
    go: 'two',
    because: LOWER_CASE,
  }),
  row('http://keystone.corp.example:5000', { ALL_PROXY: ONE }, 'one', { go: 'direct', node: 'direct', because: ALL }),
  row('http://keystone.corp.example:5000', { HTTP_PROXY: ONE, REQUEST_METHOD: 'GET' }, 'direct', {
    go: 'error',
    node: 'one',
    because: CGI,
  }),
  row('http://keystone.corp.example:5000', { http_proxy: ONE, REQUEST_METHOD: 'GET' }, 'one', {
    go: 'error',
    because: CGI,
  }),
  row(KEYSTONE, { HTTPS_PROXY: ONE, REQUEST_METHOD: 'GET' }, 'one'),
  row('http://keystone.corp.example', { http_proxy: ONE, no_proxy: 'corp.example:80' }, 'direct', {
    curl: 'one',
    node: 'one',
    because: PORT,
  }),
  // How the proxy is written.
  row(KEYSTONE, { HTTPS_PROXY: 'one.test:3128' }, 'one', { node: 'direct', because: NODE_URL }),
  row(KEYSTONE, { HTTPS_PROXY: 'user:word@one.test:3128' }, 'one', { node: 'direct', because: NODE_URL }),
  row(KEYSTONE, { HTTPS_PROXY: 'http://user:word@one.test:3128/' }, 'one'),
  row(KEYSTONE, { HTTPS_PROXY: 'HTTP://one.test:3128' }, 'one', { node: 'direct', because: NODE_URL }),
  row(KEYSTONE, { HTTPS_PROXY: 'https://one.test:3128' }, 'one'),
  row(KEYSTONE, { HTTPS_PROXY: 'socks5://one.test:3128' }, 'one', { node: 'direct', because: NODE_URL }),
  row(KEYSTONE, { HTTPS_PROXY: 'socks5h://one.test:3128' }, 'one', { node: 'direct', because: NODE_URL }),
  row(KEYSTONE, { ALL_PROXY: 'socks5h://user:word@one.test:3128' }, 'one', {
    go: 'direct',
    node: 'direct',
    because: ALL,
  }),
  row(KEYSTONE, { HTTPS_PROXY: 'socks4://one.test:3128' }, 'error', {
    go: 'one',
    curl: 'one',
    node: 'direct',
    because: LATE,
  }),
  row(KEYSTONE, { HTTPS_PROXY: 'ftp://one.test:3128' }, 'error', { go: 'one', node: 'direct', because: LATE }),
  row(KEYSTONE, { HTTPS_PROXY: 'http://one.test:port' }, 'error', { go: 'one', because: LATE }),
  row(KEYSTONE, { HTTPS_PROXY: 'http://' }, 'error', { go: 'other', because: LATE }),
  row(KEYSTONE, { HTTPS_PROXY: 'http://one.test:port', NO_PROXY: 'corp.example' }, 'direct', {
    node: 'error',
    because: 'Node parses a proxy that it does not use',
  }),
  row(KEYSTONE, { HTTPS_PROXY: 'ftp://one.test:3128', NO_PROXY: '*' }, 'direct'),
  row(KEYSTONE, { HTTP_PROXY: 'http://', HTTPS_PROXY: ONE }, 'one'),
  row(KEYSTONE, { ALL_PROXY: 'gopher://', HTTPS_PROXY: ONE }, 'one'),
  // Names.
  excluded('corp.example', KEYSTONE, 'direct', { node: 'one', because: NODE_DOMAIN }),
  excluded('.corp.example', KEYSTONE, 'direct'),
  excluded('*.corp.example', KEYSTONE, 'direct', { curl: 'one', because: 'curl has no wildcards but *' }),
  excluded('keystone.corp.example', KEYSTONE, 'direct'),
  excluded('example', KEYSTONE, 'direct', { node: 'one', because: NODE_DOMAIN }),
  excluded('.example', KEYSTONE, 'direct'),
  excluded('orp.example', KEYSTONE, 'one'),
  excluded('.orp.example', KEYSTONE, 'one', { node: 'direct', because: NODE_SUFFIX }),
  excluded('*orp.example', KEYSTONE, 'one'),
  excluded('keystone', KEYSTONE, 'one'),
  excluded('keystone.*', KEYSTONE, 'one'),
  excluded('.keystone.corp.example', KEYSTONE, 'one', {
    curl: 'direct',
    node: 'direct',
    because: 'for curl and Node, a leading dot means nothing',
  }),
  excluded('*.keystone.corp.example', KEYSTONE, 'one'),
  excluded('a.keystone.corp.example', KEYSTONE, 'one'),
  excluded('CORP.Example', KEYSTONE, 'direct', { node: 'one', because: NODE_DOMAIN }),
  excluded('corp.example', 'https://KEYSTONE.Corp.Example:21520', 'direct', { node: 'one', because: NODE_DOMAIN }),
  excluded('corp.example.', KEYSTONE, 'one', { curl: 'direct', because: LAST_DOT }),
  excluded('corp.example', 'https://keystone.corp.example.:21520', 'one', { curl: 'direct', because: LAST_DOT }),
  excluded('*', KEYSTONE, 'direct'),
  excluded('a.example,*', KEYSTONE, 'direct', { curl: 'one', because: 'for curl, * must be the whole list' }),
  excluded('**', KEYSTONE, 'one'),
  // Ports.
  excluded('corp.example:21520', KEYSTONE, 'direct', { curl: 'one', node: 'one', because: PORT }),
  excluded('.corp.example:21520', KEYSTONE, 'direct', { curl: 'one', node: 'one', because: PORT }),
  excluded('corp.example:443', KEYSTONE, 'one'),
  excluded('corp.example:443', 'https://keystone.corp.example', 'direct', { curl: 'one', node: 'one', because: PORT }),
  excluded('corp.example:', KEYSTONE, 'direct', { curl: 'one', node: 'one', because: PORT }),
  excluded(':21520', KEYSTONE, 'one'),
  // The list.
  excluded('', KEYSTONE, 'one'),
  excluded('a.example, corp.example', KEYSTONE, 'direct', { node: 'one', because: NODE_DOMAIN }),
  excluded('  corp.example  ', KEYSTONE, 'direct', { node: 'one', because: NODE_DOMAIN }),
  excluded('a.example,,corp.example,', KEYSTONE, 'direct', { node: 'one', because: NODE_DOMAIN }),
  excluded('a.example,\tcorp.example', KEYSTONE, 'direct', { node: 'one', because: NODE_DOMAIN }),
  excluded('a.example corp.example', KEYSTONE, 'one', {
    curl: 'direct',
    because: 'for curl, a space separates entries',
  }),
  row(KEYSTONE, { HTTPS_PROXY: ONE, no_proxy: 'a.example', NO_PROXY: 'corp.example' }, 'one', {
    go: 'direct',
    because: LOWER_CASE,
  }),
  row(KEYSTONE, { HTTPS_PROXY: ONE, no_proxy: 'corp.example', NO_PROXY: 'a.example' }, 'direct', {
    go: 'one',
    node: 'one',
    because: LOWER_CASE,
  }),
  row(KEYSTONE, { HTTPS_PROXY: ONE, no_proxy: '', NO_PROXY: 'corp.example' }, 'direct', {
    node: 'one',
    because: NODE_DOMAIN,
  }),
  // Addresses.
  excluded('10.1.2.3', 'https://10.1.2.3:5000', 'direct'),
  excluded('10.1.2.3', 'https://10.1.2.30:5000', 'one'),
  excluded('10.1.2.3:5000', 'https://10.1.2.3:5000', 'direct', { curl: 'one', because: PORT }),
  excluded('10.1.2.3:443', 'https://10.1.2.3:5000', 'one'),
  excluded('10.0.0.0/8', 'https://10.1.2.3:5000', 'direct', { node: 'one', because: NODE_NETWORK }),
  excluded('10.1.2.3/8', 'https://10.200.2.3:5000', 'direct', { node: 'one', because: NODE_NETWORK }),
  excluded('10.0.0.0/8', 'https://11.1.2.3:5000', 'one'),
  excluded('10.1.2.0/30', 'https://10.1.2.4:5000', 'one'),
  excluded('0.0.0.0/0', 'https://10.1.2.3:5000', 'direct', {
    curl: 'one',
    node: 'one',
    because: 'curl ignores a network of 0 bits, and Node knows none',
  }),
  excluded('10.0.0.0/33', 'https://10.1.2.3:5000', 'one'),
  excluded('10.0.0.0/8', KEYSTONE, 'one'),
  { ...excluded('1.2.3', 'https://10.1.2.3:5000', 'one'), olderGo: 'direct' },
  { ...excluded('.2.3', 'https://10.1.2.3:5000', 'one', { node: 'direct', because: NODE_SUFFIX }), olderGo: 'direct' },
  excluded('010.1.2.3', 'https://10.1.2.3:5000', 'one'),
  excluded('10.1.2.0-10.1.2.9', 'https://10.1.2.3:5000', 'one', { node: 'direct', because: 'only Node has ranges' }),
  excluded('fd00::1', 'https://[fd00::1]:5000', 'direct'),
  excluded('FD00:0:0::1', 'https://[fd00::1]:5000', 'direct', { curl: 'one', node: 'one', because: TEXT }),
  excluded('[fd00::1]', 'https://[fd00::1]:5000', 'one'),
  excluded('[fd00::1]:5000', 'https://[fd00::1]:5000', 'direct', { curl: 'one', node: 'one', because: TEXT }),
  excluded('[fd00::1]:443', 'https://[fd00::1]:5000', 'one'),
  excluded('fd00::/16', 'https://[fd00::1]:5000', 'direct', { curl: 'one', node: 'one', because: TEXT }),
  excluded('fd00::/16', 'https://[fd01::1]:5000', 'one'),
  excluded('10.0.0.0/8', 'https://[::ffff:10.1.2.3]:5000', 'direct', { curl: 'one', node: 'one', because: TEXT }),
  excluded('::ffff:10.1.2.3', 'https://10.1.2.3:5000', 'direct', { curl: 'one', node: 'one', because: TEXT }),
  // This machine.
  row('https://localhost:5000', { HTTPS_PROXY: ONE }, 'direct', { curl: 'one', node: 'one', because: LOOPBACK }),
  row('https://127.0.0.1:5000', { HTTPS_PROXY: ONE }, 'direct', { curl: 'one', node: 'one', because: LOOPBACK }),
  row('https://127.1.2.3:5000', { ALL_PROXY: 'ftp://' }, 'direct', { curl: 'error', because: LOOPBACK }),
  row('https://[::1]:5000', { HTTPS_PROXY: ONE }, 'direct', { curl: 'one', node: 'one', because: LOOPBACK }),
  row('https://[::ffff:127.0.0.1]:5000', { HTTPS_PROXY: ONE }, 'direct', {
    curl: 'one',
    node: 'one',
    because: LOOPBACK,
  }),
  row('http://localhost:5000', { http_proxy: ONE }, 'direct', { curl: 'one', node: 'one', because: LOOPBACK }),
  row('https://sub.localhost:5000', { HTTPS_PROXY: ONE }, 'one'),
  row('https://0.0.0.0:5000', { HTTPS_PROXY: ONE }, 'one'),
  // International names.
  excluded('bücher.example', 'https://keystone.bücher.example', 'direct', {
    curl: 'one',
    node: 'one',
    because: 'only Go converts the entries',
  }),
  excluded('.BÜCHER.example', 'https://keystone.bücher.example', 'direct', {
    curl: 'one',
    node: 'one',
    because: 'only Go converts the entries',
  }),
  excluded('xn--bcher-kva.example', 'https://keystone.bücher.example', 'direct', { node: 'one', because: NODE_DOMAIN }),
  excluded('bücher.example', 'https://keystone.xn--bcher-kva.example', 'direct', {
    curl: 'one',
    node: 'one',
    because: 'only Go converts the entries',
  }),
];
