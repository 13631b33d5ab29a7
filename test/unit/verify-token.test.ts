import t from 'tap';
import { findTokenMismatch } from '../../src/shared/keystone/verify-token.ts';
import type { ExpectedToken } from '../../src/shared/keystone/verify-token.ts';

const domain = { id: 'd1', name: 'My Domain' };
const token = {
  user: { id: 'u1', name: 'Alice', domain },
  project: { id: 'p1', name: 'demo', domain },
  application_credential: { id: 'c1', name: 'ci' },
};

void t.test('tokens that match the request are accepted', async (t) => {
  const right: ExpectedToken[] = [
    {},
    { user: { id: 'u1' } },
    { user: { name: 'alice' }, userDomain: { name: 'my domain' } },
    { user: { id: 'u1' }, userDomain: { id: 'an ID needs no domain' } },
    { scope: { kind: 'project', id: 'p1' } },
    { scope: { kind: 'project', name: 'Demo', domain: { id: 'd1' } } },
    { scope: { kind: 'default' } },
    { applicationCredential: { id: 'c1' } },
    { applicationCredential: { name: 'ci' } },
  ];
  for (const asked of right) t.equal(findTokenMismatch(asked, token), undefined, JSON.stringify(asked));
  const trust = { ...token, 'OS-TRUST:trust': { id: 't1' } };
  t.equal(findTokenMismatch({ user: { id: 'trustee' }, scope: { kind: 'trust', id: 't1' } }, trust), undefined);
  t.equal(findTokenMismatch({ scope: { kind: 'system' } }, { system: { all: true } }), undefined);
  t.equal(findTokenMismatch({ scope: { kind: 'domain', domain: { id: 'd1' } } }, { domain }), undefined);
  t.equal(findTokenMismatch({ scope: { kind: 'unscoped' } }, { user: token.user }), undefined);
});

void t.test('tokens that do not match the request are rejected', async (t) => {
  const wrong: [ExpectedToken, string][] = [
    [{ user: { id: 'u2' } }, 'user'],
    [{ scope: { kind: 'project', id: 'p2' } }, 'project'],
    [{ scope: { kind: 'project', name: 'demo', domain: { id: 'd2' } } }, "project's domain"],
    [{ scope: { kind: 'domain', domain: { id: 'd1' } } }, 'domain'],
    [{ scope: { kind: 'system' } }, 'system'],
    [{ scope: { kind: 'trust', id: 't1' } }, 'trust'],
    [{ scope: { kind: 'unscoped' } }, 'scope'],
    [{ user: { name: 'alice' }, userDomain: { id: 'd2' } }, "user's domain"],
    [{ applicationCredential: { id: 'c2' } }, 'application credential'],
  ];
  for (const [asked, what] of wrong)
    t.same(findTokenMismatch(asked, token), { part: what, isCertain: true }, JSON.stringify(asked));
  t.same(findTokenMismatch({ user: { name: 'jose' } }, { user: { id: 'u', name: 'josé' } }), {
    part: 'user',
    isCertain: false,
  });
  t.same(findTokenMismatch({ user: { id: 'u1' } }, {}), { part: 'user', isCertain: true });
});
