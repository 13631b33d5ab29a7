/** The commands `issuer`, `issuer keys` and `issuer rotate`. What they do is in a bundle of its own. */
import type { WebhookCommand } from '../command.ts';
import { ISSUER_OPTIONS, KEY_OPTIONS, ROTATE_OPTIONS } from './issuer-options.ts';
import type { runIssuer } from './run-issuer.ts';

const KEY_FILE = '--signing-keys-file /var/lib/keystone-issuer/keys.json';

function makeRun(name: Parameters<typeof runIssuer>[0]): WebhookCommand['run'] {
  return async (host, flags, _words, clock) => {
    const { runIssuer: run } = await import('./run-issuer.ts');
    return run(name, { host, flags, clock });
  };
}

/** Serves. */
export const issuerCommand: WebhookCommand = {
  words: ['issuer'],
  summary: 'exchange Keystone tokens for short-lived tokens that kube-apiserver verifies by itself',
  details: ['A server of its own beside the webhook: OpenID Connect discovery, public keys, and a token exchange.'],
  options: ISSUER_OPTIONS,
  examples: [
    {
      line: `issuer --issuer-url https://tokens.example.com --audiences-file audiences.yaml ${KEY_FILE}`,
      summary: 'serve, with the certificate and Keystone from variables',
    },
  ],
  run: makeRun('serve'),
};

/** Shows the signing keys. */
export const issuerKeysCommand: WebhookCommand = {
  words: ['issuer', 'keys'],
  summary: 'list the signing keys and when they sign, without anything secret',
  options: KEY_OPTIONS,
  examples: [{ line: `issuer keys ${KEY_FILE}`, summary: 'list the keys in a file' }],
  run: makeRun('keys'),
};

/** Makes a signing key. */
export const issuerRotateCommand: WebhookCommand = {
  words: ['issuer', 'rotate'],
  summary: 'publish a new signing key now, which signs as soon as every verifier can know it',
  details: ['A running issuer does this by itself on schedule, and sees a change within half a minute.'],
  options: ROTATE_OPTIONS,
  examples: [
    { line: `issuer rotate --create ${KEY_FILE}`, summary: 'make the first key' },
    { line: `issuer rotate --compromised ${KEY_FILE}`, summary: 'withdraw keys that somebody else may have' },
  ],
  run: makeRun('rotate'),
};
