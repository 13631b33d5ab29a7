/** Which differences between a token and its request are found, and which of them are certain. */
import t from 'tap';
import { findTokenMismatch } from '../../src/shared/keystone/verify-token.ts';
import type { ExpectedToken, TokenMismatch } from '../../src/shared/keystone/verify-token.ts';

const domain = { id: 'd1', name: 'Default' };
const user = { id: 'u1', name: 'Alice', domain };
const project = { id: 'p1', name: 'demo', domain };

const find = (expected: ExpectedToken, token: object = { user, project }): TokenMismatch | undefined =>
  findTokenMismatch(expected, { ...token });

void t.test('another name is not a certain difference, and another ID is', async (t) => {
  t.strictSame(find({ user: { name: 'bob' } }), { part: 'user', isCertain: false });
  t.strictSame(find({ user: { id: 'u2' } }), { part: 'user', isCertain: true });
  t.strictSame(find({ user: { name: 'alice' } }, { user: { id: 'u1' } }), { part: 'user', isCertain: false });
  t.strictSame(find({ user: { name: 'alice' } }, {}), { part: 'user', isCertain: true });
});

void t.test('names differ neither in case nor in the form of their letters', async (t) => {
  t.equal(find({ user: { name: 'ALICE' } }), undefined);
  t.equal(find({ user: { name: 'ﬁne' } }, { user: { name: 'Fine' } }), undefined);
  t.equal(find({ user: { name: 'fine' } }, { user: { name: 'ﬁne' } }), undefined);
});

void t.test('names that are only written similarly differ', async (t) => {
  t.strictSame(find({ user: { name: 'weiss' } }, { user: { name: 'weiß' } }), { part: 'user', isCertain: false });
});

void t.test('the domain of a user counts if the user is given by name', async (t) => {
  t.strictSame(find({ user: { name: 'alice' }, userDomain: { id: 'd2' } }), { part: "user's domain", isCertain: true });
  t.equal(find({ user: { id: 'u1' }, userDomain: { id: 'd2' } }), undefined);
  t.equal(find({ userDomain: { id: 'd2' } }), undefined, 'a domain without a user is only a default');
  t.strictSame(find({ user: { name: 'alice' }, userDomain: { id: 'd1' } }, { user: { name: 'alice' } }), {
    part: "user's domain",
    isCertain: true,
  });
});

void t.test('the owner of a Kerberos ticket has the name of the principal, with or without the realm', async (t) => {
  for (const principal of ['alice', 'alice@EXAMPLE.TEST', 'Alice@a@b']) {
    const name = principal === 'Alice@a@b' ? 'alice@a' : 'alice';
    t.equal(find({ principal }, { user: { name } }), undefined, principal);
  }
  t.equal(find({ principal: 'alice@EXAMPLE.TEST' }, { user: { name: 'alice@example.test' } }), undefined);
  t.strictSame(find({ principal: 'alice@EXAMPLE.TEST' }, { user: { name: 'example.test' } }), {
    part: 'user',
    isCertain: false,
  });
  t.strictSame(find({ principal: 'bob' }), { part: 'user', isCertain: false });
  for (const principal of ['bob', '', '@EXAMPLE.TEST']) {
    t.strictSame(find({ principal }, {}), { part: 'user', isCertain: false }, `${principal} and no name`);
  }
});

void t.test('a trust is compared by its ID, and its user may be another one', async (t) => {
  const scope = { kind: 'trust', id: 't1' } as const;
  const trusted = { user, 'OS-TRUST:trust': { id: 't1' } };
  t.equal(find({ user: { name: 'trustee' }, userDomain: { id: 'd2' }, scope }, trusted), undefined);
  t.strictSame(find({ scope }, { user, 'OS-TRUST:trust': { id: 't2' } }), { part: 'trust', isCertain: true });
  t.strictSame(find({ user: { name: 'x' }, scope: { kind: 'system' } }, { user, system: { all: true } }), {
    part: 'user',
    isCertain: false,
  });
});

void t.test('a project is compared with its domain if it is given by name', async (t) => {
  t.strictSame(find({ scope: { kind: 'project', name: 'x', domain: { id: 'd1' } } }), {
    part: 'project',
    isCertain: false,
  });
  t.strictSame(find({ scope: { kind: 'project', name: 'demo', domain: { name: 'x' } } }), {
    part: "project's domain",
    isCertain: false,
  });
  t.strictSame(find({ scope: { kind: 'project', id: 'p1' } }, { user }), { part: 'project', isCertain: true });
});

void t.test('a token without a scope has neither a project nor a domain nor the system', async (t) => {
  for (const kind of ['project', 'domain', 'system']) {
    const token = { user, [kind]: { id: 'x' } };
    t.strictSame(find({ scope: { kind: 'unscoped' } }, token), { part: 'scope', isCertain: true }, kind);
    t.equal(find({ scope: { kind: 'default' } }, token), undefined, kind);
  }
  t.strictSame(find({ scope: { kind: 'domain', domain: { id: 'd2' } } }, { domain }), {
    part: 'domain',
    isCertain: true,
  });
});

void t.test('a certain difference is reported before an uncertain one', async (t) => {
  t.strictSame(find({ user: { name: 'bob' }, scope: { kind: 'project', id: 'p2' } }), {
    part: 'project',
    isCertain: true,
  });
  t.strictSame(
    find({ user: { name: 'bob' }, applicationCredential: { name: 'ci' } }, { user, application_credential: {} }),
    {
      part: 'user',
      isCertain: false,
    },
  );
});
