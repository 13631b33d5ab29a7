// The CA of Keystone, or of an issuer, is replaced while the webhook runs.

import { copyFileSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import type { Test } from 'tap';
import { areAuthorities } from '../../src/shared/http/authorities.ts';
import { makeIssuerKey, signJwt, startStandInIssuer } from '../support/stand-in-issuer.ts';
import { waitUntil } from '../support/wait-until.ts';
import type { TokenStatus } from '../support/webhook-client.ts';
import { countValidations, issueToken, startTestKeystone } from '../support/webhook-keystone.ts';
import { CLIENT_ID, makeTestFolder, shareTestPki } from '../support/webhook-settings.ts';
import { startWebhook } from '../support/webhook.ts';
import type { TestWebhook } from '../support/webhook.ts';

const pki = await shareTestPki();
const OLD_CA = readFileSync(pki.ca, 'utf8');
const NEW_CA = readFileSync(pki.untrusted.ca, 'utf8');

const ACCEPTED = { authenticated: true };
const UNTRUSTED = { authenticated: false, error: /certificate is not trusted/ };

interface Rotation {
  readonly what: 'keystone-ca' | 'oidc-ca';
  readonly webhook: TestWebhook;
  readonly file: string;
  /** Sends a new token. */
  readonly review: () => Promise<TokenStatus>;
}

/** Starts a webhook whose peer has a certificate of the new CA, while its file still contains the old one. */
const ROTATIONS: Readonly<Record<string, (t: Test) => Promise<Rotation>>> = {
  async Keystone(t) {
    const file = join(makeTestFolder(t), 'ca.pem');
    copyFileSync(pki.ca, file);
    const keystone = await startTestKeystone(t, { tls: pki.untrusted.server });
    const webhook = await startWebhook(t, { keystone, args: ['--keystone-ca-file', file] });
    const review = (): Promise<TokenStatus> => webhook.reviewToken(issueToken(keystone));
    t.match(await review(), UNTRUSTED);
    t.equal(countValidations(keystone), 0, 'the token is not sent');
    return { what: 'keystone-ca', webhook, file, review };
  },
  async 'an issuer'(t) {
    const file = join(makeTestFolder(t), 'ca.pem');
    copyFileSync(pki.ca, file);
    const key = makeIssuerKey('first');
    const issuer = await startStandInIssuer(t, { ...pki, server: pki.untrusted.server }, [key]);
    const webhook = await startWebhook(t, { issuer, args: ['--oidc-ca-file', file] });
    const review = async (): Promise<TokenStatus> => {
      // Older keys no longer count.
      await webhook.clock.advance(3_600_000);
      const exp = Math.floor(webhook.clock.now() / 1_000) + 600;
      return webhook.reviewToken(signJwt({ iss: issuer.url, sub: 'u', aud: CLIENT_ID, exp }, key));
    };
    t.match(await review(), UNTRUSTED);
    return { what: 'oidc-ca', webhook, file, review };
  },
};

for (const [peer, startRotation] of Object.entries(ROTATIONS)) {
  void t.test(`the CA of ${peer} is replaced without a restart, unless the new file is broken`, async (t) => {
    const { what, webhook, file, review } = await startRotation(t);
    const change = async (edit: () => void, outcome: 'ok' | 'failed'): Promise<void> => {
      const pattern = new RegExp(`"what":"${what}"[^\\n]*"${outcome === 'ok' ? 'reloaded' : 'reload failed'}`, 'g');
      const count = (): number => webhook.readOutput().match(pattern)?.length ?? 0;
      const before = count();
      edit();
      await webhook.clock.advance(1_000);
      await waitUntil(`the file is read: ${outcome}`, () => count() === before + 1);
    };
    await change(() => {
      writeFileSync(file, `# a comment\n${OLD_CA}${NEW_CA}`);
    }, 'ok');
    t.match(await review(), ACCEPTED, 'a bundle of both');
    await change(() => {
      writeFileSync(file, NEW_CA);
    }, 'ok');
    t.match(await review(), ACCEPTED);
    for (const [fault, content] of Object.entries({
      'an empty file': '',
      'no certificate': 'junk',
      'half a file': NEW_CA.slice(0, NEW_CA.length / 2),
      'one certificate and half of another one': NEW_CA + OLD_CA.slice(0, OLD_CA.length / 2),
      'a certificate that cannot be read': NEW_CA + OLD_CA.replace('MII', 'AII'),
    })) {
      await change(() => {
        writeFileSync(file, content);
      }, 'failed');
      t.match(await review(), ACCEPTED, fault);
    }
    await change(() => {
      rmSync(file);
    }, 'failed');
    t.match(await review(), ACCEPTED, 'no file');
    const { body } = await webhook.sendRequest({ path: '/metrics' });
    t.match(body, `keystone_auth_reloads_total{what="${what}",result="failed"} 6\n`);
    await change(() => {
      writeFileSync(file, OLD_CA);
    }, 'ok');
    t.match(await review(), UNTRUSTED, 'the CA that was removed is no longer trusted');
  });
}

void t.test('authorities are whole certificates', (t) => {
  t.ok(areAuthorities(OLD_CA));
  t.ok(areAuthorities(OLD_CA.replaceAll('CERTIFICATE', 'X509 CERTIFICATE')));
  t.notOk(areAuthorities(readFileSync(pki.server.key, 'utf8')), 'a key');
  t.notOk(areAuthorities(`${OLD_CA}-----BEGIN CERTIFICATE-----\n`));
  t.end();
});
