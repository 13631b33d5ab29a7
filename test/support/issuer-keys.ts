/** What an issuer publishes and signs with, and how time passes until it reads its keys again. */
import { ISSUER_URL, makeForm, postForm } from './issuer-settings.ts';
import type { TestIssuer } from './issuer.ts';

/** How often an issuer reads its keys. */
export const CHECK_MS = 30_000;

/** How far time goes on at once: ten times the pause between two reads of the keys. */
const STEP_MS = 300_000;

/** Lists the IDs of the keys that an issuer publishes. */
export async function listKids(issuer: TestIssuer): Promise<readonly string[]> {
  const { body } = await issuer.sendRequest({ path: `${new URL(ISSUER_URL).pathname}/jwks` });
  return (body as { keys: { kid: string }[] }).keys.map(({ kid }) => kid);
}

/** The key ID of a new token. */
export async function findSigningKid(issuer: TestIssuer, token: string): Promise<string> {
  const { body } = await postForm(issuer, makeForm(token));
  const [header = ''] = (body as { access_token: string }).access_token.split('.');
  return (JSON.parse(Buffer.from(header, 'base64url').toString()) as { kid: string }).kid;
}

/**
 * Lets time pass until each replica has read its keys once, and has made a key if one was due. Time stands still while they
 * do, because their requests have deadlines.
 */
export async function checkKeys(replicas: readonly TestIssuer[], ms = STEP_MS): Promise<void> {
  for (const { clock } of replicas) clock.jump(ms);
  // The timer of the next check starts when this one has ended.
  await Promise.all(replicas.map(({ clock }) => clock.waitForTimer(CHECK_MS)));
}
