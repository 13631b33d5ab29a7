/** Asks the Go k8s-keystone-auth what a policy allows. */
import { connectToWebhook } from '../../test/support/webhook-client.ts';
import { GoWebhookEnded, startGoWebhook } from '../lib/go-webhook.ts';
import type { GoWebhookSettings } from '../lib/go-webhook.ts';
import { makeOwner } from '../lib/owner.ts';
import type { Question } from './random-policy.ts';

export type GoAnswer = boolean | 'panics';

/** A Go webhook and what it needs, without a policy. */
export type GoProgram = Omit<GoWebhookSettings, 'policyText'>;

/** Starts the program with a policy and asks it; undefined if it refuses the policy. */
export async function askGoWebhook(
  settings: GoProgram,
  policyText: string,
  questions: readonly Question[],
): Promise<readonly GoAnswer[] | undefined> {
  const owner = makeOwner();
  try {
    const { port } = await startGoWebhook(owner, { ...settings, policyText });
    const client = connectToWebhook(owner, port, settings.pki);
    const answers: GoAnswer[] = [];
    for (const question of questions) answers.push(await client.isAllowed(question).catch(() => 'panics' as const));
    return answers;
  } catch (error) {
    if (error instanceof GoWebhookEnded && error.message.includes('failed to extract policy')) return undefined;
    throw error;
  } finally {
    await owner.end();
  }
}
