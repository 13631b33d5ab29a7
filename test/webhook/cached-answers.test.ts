// The response for a token from the cache is written once. It is never that of another token, another version or
// another role mapping.

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { writeTokenAnswer } from '../../src/webhook/review/write-answer.ts';
import type { ReviewVersion, TokenVerdict } from '../../src/webhook/review/review.ts';
import { UntrackedSecret } from '../../src/webhook/review/untracked-secret.ts';
import { findRecordedUser } from '../support/stand-in-keystone/users.ts';
import { waitUntil } from '../support/wait-until.ts';
import { makeTokenReview } from '../support/webhook-client.ts';
import { countValidations, issueToken, startTestKeystone } from '../support/webhook-keystone.ts';
import { makeTestFolder } from '../support/webhook-settings.ts';
import { startWebhook } from '../support/webhook.ts';

const VERSIONS: readonly ReviewVersion[] = ['v1', 'v1beta1'];

void t.test(
  'cached tokens get their own answers, in the version that is asked, with the current mappings',
  async (t) => {
    const alice = findRecordedUser('alice');
    const bob = { ...alice, id: 'b'.repeat(32), name: 'bob' };
    const keystone = await startTestKeystone(t, { users: [alice, bob] });
    const tokens = [
      { name: 'alice', token: issueToken(keystone, alice) },
      { name: 'bob', token: issueToken(keystone, bob) },
      { name: 'alice', token: issueToken(keystone, alice) },
    ];
    const file = join(makeTestFolder(t), 'sync.yaml');
    writeFileSync(file, 'role-mappings: []\n');
    const webhook = await startWebhook(t, { keystone, args: ['--sync-config-file', file] });
    const checkAll = async (groups: readonly string[]): Promise<void> => {
      for (const { name, token } of [...tokens, ...tokens.toReversed()]) {
        for (const version of VERSIONS) {
          const { body } = await webhook.postReview(makeTokenReview(token, version));
          t.match(body, {
            apiVersion: `authentication.k8s.io/${version}`,
            status: { authenticated: true, user: { username: name } },
          });
          const { user } = (body as { status: { user: { groups: readonly string[] } } }).status;
          for (const group of ['first', 'second']) t.equal(user.groups.includes(group), groups.includes(group), group);
        }
      }
    };
    await checkAll([]);
    for (const group of ['first', 'second']) {
      writeFileSync(file, `role-mappings:\n  - {keystone-role: member, groups: [${group}]}\n`);
      webhook.signal('SIGHUP');
      await waitUntil('the mapping is read', async () =>
        JSON.stringify(await webhook.reviewToken(tokens[0]?.token ?? '')).includes(`"${group}"`),
      );
      await checkAll([group]);
    }
    t.equal(countValidations(keystone), tokens.length, 'all of this came from the cache');
  },
);

void t.test('an answer is written once for each user and version, and never for what is not one', (t) => {
  const review = (version: ReviewVersion) =>
    ({ kind: 'TokenReview', version, token: new UntrackedSecret('token') }) as const;
  let writeCount = 0;
  const groups = { toJSON: () => [`written ${(writeCount += 1)}`] } as unknown as readonly string[];
  const makeVerdict = (username: string): TokenVerdict => ({
    kind: 'accepted',
    userInfo: { username, uid: '', groups, extra: {} },
  });
  const [alice, bob] = [makeVerdict('alice'), makeVerdict('bob')];
  const answers = [alice, bob].flatMap((verdict) =>
    VERSIONS.map((version) => writeTokenAnswer(review(version), verdict)),
  );
  t.equal(new Set(answers).size, 4);
  t.strictSame(
    [alice, bob].flatMap((verdict) => VERSIONS.map((version) => writeTokenAnswer(review(version), verdict))),
    answers,
  );
  t.equal(writeCount, 4);
  const unknown = (reason: string): TokenVerdict => ({ kind: 'unknown', reason });
  t.match(writeTokenAnswer(review('v1'), unknown('one')), '"error":"one"');
  t.match(writeTokenAnswer(review('v1'), unknown('two')), '"error":"two"');
  t.end();
});
