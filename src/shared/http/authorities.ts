import { X509Certificate } from 'node:crypto';

const BEGIN = /-----BEGIN (?:X509 |TRUSTED )?CERTIFICATE-----/g;
const CERTIFICATE = /-----BEGIN ((?:X509 |TRUSTED )?CERTIFICATE)-----[\s\S]+?-----END \1-----/g;

function isReadable(pem: string): boolean {
  try {
    new X509Certificate(pem);
    return true;
  } catch {
    return false;
  }
}

/**
 * Whether a text contains PEM certificates and each of them can be read. OpenSSL leaves out what it cannot read, so half
 * a file, such as one that is being written, would silently trust less.
 */
export function areAuthorities(text: string): boolean {
  const certificates = text.match(CERTIFICATE) ?? [];
  return (
    certificates.length > 0 &&
    certificates.length === (text.match(BEGIN) ?? []).length &&
    certificates.every((certificate) => isReadable(certificate))
  );
}
