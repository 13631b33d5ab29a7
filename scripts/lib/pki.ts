// Makes valid and invalid certificates for the tests and the demo, with the openssl command, because Node cannot issue
// certificates.

import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';

/** Paths of PEM files. */
export interface CertificateFiles {
  readonly cert: string;
  readonly key: string;
}

/** Certificates for tests. */
export interface Pki {
  /** The CA that issued `server`, `client`, `expired` and `wrongHost`. */
  readonly ca: string;
  /**
   * For 127.0.0.1, ::1 and localhost, and for what a proxy on this machine reaches, although it is not a loopback
   * address: 0.0.0.0, and keystone.corp.example, which only a proxy of the tests resolves.
   */
  readonly server: CertificateFiles;
  /** Common name `alice`. */
  readonly client: CertificateFiles;
  /** A CA that must not be trusted, and a server certificate from it for the right hosts. */
  readonly untrusted: { readonly ca: string; readonly server: CertificateFiles };
  readonly expired: CertificateFiles;
  /** For wrong.example, where no server listens. */
  readonly wrongHost: CertificateFiles;
}

interface LeafRequest {
  readonly name: string;
  readonly subject: string;
  readonly authority: CertificateFiles;
  readonly extensions: string;
  readonly dates?: readonly [from: string, to: string];
}

const run = promisify(execFile);
const newKeyOptions = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'];
const loopback = 'subjectAltName=IP:127.0.0.1,IP:::1,IP:0.0.0.0,DNS:localhost,DNS:keystone.corp.example';

/** Writes certificates that are valid for 30 days to `dir`, which is created if it does not exist. */
export async function makePki(dir: string): Promise<Pki> {
  await mkdir(dir, { recursive: true, mode: 0o700 });
  const [authority, untrustedAuthority] = await Promise.all([
    makeAuthority(dir, 'ca', '/CN=client-keystone-auth test CA'),
    makeAuthority(dir, 'untrusted-ca', '/CN=client-keystone-auth untrusted CA'),
  ]);
  const serverUsage = 'extendedKeyUsage=serverAuth';
  const [server, client, untrustedServer, expired, wrongHost] = await Promise.all([
    issue(dir, { name: 'server', subject: '/CN=127.0.0.1', authority, extensions: `${loopback}\n${serverUsage}` }),
    issue(dir, { name: 'client', subject: '/O=acme/CN=alice', authority, extensions: 'extendedKeyUsage=clientAuth' }),
    issue(dir, {
      name: 'untrusted-server',
      subject: '/CN=127.0.0.1',
      authority: untrustedAuthority,
      extensions: `${loopback}\n${serverUsage}`,
    }),
    issue(dir, {
      name: 'expired',
      subject: '/CN=127.0.0.1',
      authority,
      extensions: `${loopback}\n${serverUsage}`,
      dates: ['20200101000000Z', '20200201000000Z'],
    }),
    issue(dir, {
      name: 'wrong-host',
      subject: '/CN=wrong.example',
      authority,
      extensions: `subjectAltName=DNS:wrong.example\n${serverUsage}`,
    }),
  ]);
  return {
    ca: authority.cert,
    server,
    client,
    untrusted: { ca: untrustedAuthority.cert, server: untrustedServer },
    expired,
    wrongHost,
  };
}

/** Makes a certificate that signs itself, for SAML: with RSA, which every implementation knows. */
export async function makeSigningCertificate(dir: string, name: string): Promise<CertificateFiles> {
  const files = makeFileNames(dir, name);
  const rsa = ['-newkey', 'rsa:2048', '-nodes', '-days', '30', '-subj', `/CN=${name}`];
  await runOpenssl(['req', '-x509', ...rsa, '-keyout', files.key, '-out', files.cert]);
  return files;
}

async function makeAuthority(dir: string, name: string, subject: string): Promise<CertificateFiles> {
  const files = makeFileNames(dir, name);
  const extensions = ['basicConstraints=critical,CA:TRUE', 'keyUsage=critical,digitalSignature,keyCertSign,cRLSign'];
  const request = [
    'req',
    '-x509',
    ...newKeyOptions,
    '-days',
    '30',
    '-subj',
    subject,
    '-keyout',
    files.key,
    '-out',
    files.cert,
  ];
  await runOpenssl([...request, ...extensions.flatMap((extension) => ['-addext', extension])]);
  return files;
}

async function issue(dir: string, leaf: LeafRequest): Promise<CertificateFiles> {
  const files = makeFileNames(dir, leaf.name);
  // In every version, `openssl ca` is the only command that can set both dates, also in the past. It needs a database,
  // which is removed afterward.
  const work = await mkdtemp(join(dir, 'issue-'));
  const request = join(work, 'request');
  const config = join(work, 'config');
  await writeFile(join(work, 'index'), '');
  await writeFile(join(work, 'serial'), `01${randomBytes(8).toString('hex')}\n`);
  await writeFile(
    config,
    `[ca]
default_ca = own
[own]
database = ${work}/index
serial = ${work}/serial
new_certs_dir = ${work}
default_md = sha256
policy = any
x509_extensions = leaf
[any]
organizationName = optional
commonName = supplied
[leaf]
basicConstraints = CA:FALSE
${leaf.extensions}
`,
  );
  await runOpenssl(['req', '-new', ...newKeyOptions, '-subj', leaf.subject, '-keyout', files.key, '-out', request]);
  const signer = ['-config', config, '-cert', leaf.authority.cert, '-keyfile', leaf.authority.key];
  const dates = leaf.dates === undefined ? ['-days', '30'] : ['-startdate', leaf.dates[0], '-enddate', leaf.dates[1]];
  await runOpenssl(['ca', '-batch', '-notext', ...signer, ...dates, '-in', request, '-out', files.cert]);
  await rm(work, { recursive: true });
  return files;
}

function makeFileNames(dir: string, name: string): CertificateFiles {
  return { cert: join(dir, `${name}.crt`), key: join(dir, `${name}.key`) };
}

async function runOpenssl(args: readonly string[]): Promise<void> {
  await run('openssl', args);
}
