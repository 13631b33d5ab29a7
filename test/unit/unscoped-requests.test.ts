/** How servers are asked for a token without a scope: Python Keystone's way first, then the one that the server wants. */
import t from 'tap';
import { buildTokensRequest } from '../../src/shared/keystone/auth-request.ts';
import type { AuthRequest } from '../../src/shared/keystone/auth-request.ts';
import { rewordUnscoped } from '../../src/shared/keystone/unscoped.ts';

const EXPECTED_UNIT = 'auth.scope.unscoped: invalid type: map, expected unit at line 1 column 148';
const UNKNOWN_VARIANT = 'auth.scope: unknown variant `unscoped`, expected one of `project`, `domain`, `system`';

const parts = [{ method: 'password', content: { user: { name: 'alice' } } }];
const identity = { methods: ['password'], password: { user: { name: 'alice' } } };

function build(kind: 'unscoped' | 'default'): AuthRequest {
  return { ...buildTokensRequest(parts, { kind }), subject: 'alice', expected: { scope: { kind } } };
}

function answer(status: number, body: string): Parameters<typeof rewordUnscoped>[1] {
  return { status, body, header: () => undefined, respondedAt: 0, serverAheadMs: 0, setCookies: [] };
}

void t.test('a server that wants a text gets a text', async (t) => {
  for (const status of [400, 422]) {
    const reworded = rewordUnscoped(build('unscoped'), answer(status, EXPECTED_UNIT));
    t.strictSame(reworded?.body, { auth: { identity, scope: 'unscoped' } });
  }
});

void t.test('a server that does not know the word gets no scope', async (t) => {
  const reworded = rewordUnscoped(build('unscoped'), answer(422, UNKNOWN_VARIANT));
  t.strictSame(reworded?.body, { auth: { identity } });
});

void t.test('a request is reworded once', async (t) => {
  const reworded = rewordUnscoped(build('unscoped'), answer(422, EXPECTED_UNIT));
  t.ok(reworded);
  t.equal(reworded && rewordUnscoped(reworded, answer(422, UNKNOWN_VARIANT)), undefined);
});

void t.test('a request is not sent again without need', async (t) => {
  t.equal(rewordUnscoped(build('unscoped'), answer(401, EXPECTED_UNIT)), undefined, 'another status');
  t.equal(rewordUnscoped(build('unscoped'), answer(400, 'missing field `auth`')), undefined, 'another reason');
  t.equal(rewordUnscoped(build('default'), answer(400, EXPECTED_UNIT)), undefined, 'no scope is asked for');
  const singleUse: AuthRequest = { ...build('unscoped'), isSingleUse: true };
  t.equal(rewordUnscoped(singleUse, answer(400, EXPECTED_UNIT)), undefined, 'a passcode works once');
});
