// How the owner of a Keystone token is mapped to a Kubernetes user, and which tokens are not mapped.

import { randomBytes } from 'node:crypto';
import t from 'tap';
import { readKeystoneGroups, readTokenOwner } from '../../src/webhook/authn/token-owner.ts';
import type { KeystoneGroup } from '../../src/webhook/authn/token-owner.ts';
import { fillFormat } from '../../src/webhook/authn/kubernetes-name.ts';
import { mapOwnerToUserInfo } from '../../src/webhook/authn/user-info.ts';
import { classifyTokenShape } from '../../src/webhook/authn/token-shape.ts';
import { NAMING, OWNER } from '../support/token-owner.ts';
import { makeFakeToken } from '../support/webhook-client.ts';

const DETAILS = {
  user: { id: 'u1', name: 'alice', domain: { id: 'd1', name: 'acme' } },
  project: { id: 'p1', name: 'web', domain: { id: 'd1', name: 'acme' } },
  is_domain: false,
  roles: [{ id: 'r1', name: 'reader' }, { id: 'r2', name: 'member' }, 'junk', {}],
};

const DEVS: KeystoneGroup = { id: 'g1', name: 'devs', domainId: 'd2' };

void t.test('the owner of a token is read from the response of Keystone', async (t) => {
  t.strictSame(readTokenOwner(DETAILS), OWNER);
  const { project, ...unscoped } = DETAILS;
  t.ok(project);
  t.equal(readTokenOwner(unscoped), 'the token has no scope; it must be for a project');
  t.match(readTokenOwner({ ...unscoped, domain: { id: 'd1', name: 'acme' } }), /is for a domain/);
  t.match(readTokenOwner({ ...unscoped, system: { all: true } }), /is for the system/);
  t.match(readTokenOwner({ ...DETAILS, is_domain: true }), /is for a domain/);
  for (const details of [
    {},
    { user: null },
    { user: [] },
    { ...DETAILS, user: { id: 'u1', name: 'alice' } },
    { ...DETAILS, user: { ...DETAILS.user, id: '' } },
    { ...DETAILS, user: { ...DETAILS.user, name: 7 } },
  ]) {
    t.throws(() => readTokenOwner(details), { code: 'protocol', message: /does not say who owns/ });
  }
  for (const project of [{ id: 'p1' }, { id: 'p1', name: '', domain: { id: 'd1', name: '' } }]) {
    t.equal(
      readTokenOwner({ ...DETAILS, project }),
      "Keystone does not tell the name and the domain of the token's project",
    );
  }
  t.strictSame(readTokenOwner({ ...DETAILS, roles: undefined }), { ...OWNER, roles: [] });
});

void t.test('user name, groups and extra are the same as in the Go program', async (t) => {
  t.strictSame(mapOwnerToUserInfo(OWNER, [DEVS], NAMING), {
    userInfo: {
      username: 'alice',
      uid: 'u1',
      groups: ['devs', 'p1'],
      extra: {
        'alpha.kubernetes.io/identity/roles': ['reader', 'member'],
        'alpha.kubernetes.io/identity/project/id': ['p1'],
        'alpha.kubernetes.io/identity/project/name': ['web'],
        'alpha.kubernetes.io/identity/user/domain/id': ['d1'],
        'alpha.kubernetes.io/identity/user/domain/name': ['acme'],
      },
    },
    droppedNames: [],
  });
});

void t.test('formats can add the domain to names', async (t) => {
  const naming = { ...NAMING, usernameFormat: '%D:%n', groupFormat: '%d/%n (%i)' };
  t.match(mapOwnerToUserInfo(OWNER, [DEVS], naming), {
    userInfo: { username: 'acme:alice', groups: ['d2/devs (g1)', 'p1'] },
  });
  t.equal(fillFormat('%n-%i-%x-%', { n: '%i', i: '1' }), '%i-1-%x-%', 'a placeholder inside a name is not replaced');
});

void t.test('names that Kubernetes reserves are dropped or refused', async (t) => {
  const admin = { ...OWNER, user: { id: 'u1', name: 'system:admin' } };
  t.match(mapOwnerToUserInfo(admin, [], NAMING), { reason: /begins with "system:"/ });
  t.match(
    mapOwnerToUserInfo({ ...OWNER, userDomain: { id: 'd', name: 'system' } }, [], {
      ...NAMING,
      usernameFormat: '%D:%n',
    }),
    {
      reason: /begins with "system:"/,
    },
  );
  const masters = { ...DEVS, name: 'system:masters' };
  t.match(mapOwnerToUserInfo(OWNER, [masters, DEVS], NAMING), {
    userInfo: { groups: ['devs', 'p1'] },
    droppedNames: ['system:masters'],
  });
  t.match(mapOwnerToUserInfo({ ...OWNER, project: { id: 'system:x', name: 'x' } }, [], NAMING), {
    userInfo: { groups: [] },
    droppedNames: ['system:x'],
  });
});

void t.test('role mappings add groups and change names', async (t) => {
  const roleMappings = [
    { role: 'member', username: 'one', groups: ['devs', 'ops'] },
    { role: 'reader', username: 'two', groups: ['readers'] },
    { role: 'reader', username: undefined, groups: [] },
    { role: 'admin', username: 'three', groups: ['admins'] },
  ];
  t.match(mapOwnerToUserInfo(OWNER, [DEVS], { ...NAMING, roleMappings }), {
    userInfo: { username: 'two', groups: ['devs', 'p1', 'ops', 'readers'] },
  });
  const systemGroup = [{ role: 'member', username: undefined, groups: ['system:masters'] }];
  t.match(mapOwnerToUserInfo(OWNER, [], { ...NAMING, roleMappings: systemGroup }), {
    userInfo: { groups: ['p1'] },
    droppedNames: ['system:masters'],
  });
  t.match(mapOwnerToUserInfo(OWNER, [], { ...NAMING, roleMappings: systemGroup, allowsMappedSystemNames: true }), {
    userInfo: { groups: ['p1', 'system:masters'] },
    droppedNames: [],
  });
  const systemUser = [{ role: 'member', username: 'system:admin', groups: [] }];
  t.match(mapOwnerToUserInfo(OWNER, [], { ...NAMING, roleMappings: systemUser }), { reason: /mapped user name/ });
  t.match(
    mapOwnerToUserInfo(OWNER, [{ ...DEVS, name: 'system:masters' }], {
      ...NAMING,
      roleMappings: systemUser,
      allowsMappedSystemNames: true,
    }),
    {
      userInfo: { username: 'system:admin', groups: ['p1'] },
      droppedNames: ['system:masters'],
    },
  );
});

void t.test('malformed groups are ignored', async (t) => {
  t.strictSame(
    readKeystoneGroups(
      { groups: [{ id: 'g', name: 'n', domain_id: 'd' }, { id: 'g' }, null, 'x', { id: 'h', name: 'm' }] },
      'u',
    ),
    [
      { id: 'g', name: 'n', domainId: 'd' },
      { id: 'h', name: 'm', domainId: '' },
    ],
  );
  t.strictSame(readKeystoneGroups(undefined, 'u'), []);
  t.strictSame(readKeystoneGroups({ groups: {} }, 'u'), []);
});

void t.test('a response that is not about the groups of this user gives none', (t) => {
  const read = (self: unknown, userId = 'u'): unknown => readKeystoneGroups({ groups: [], links: { self } }, userId);
  const url = 'https://keystone.example.com/identity/v3/users';
  for (const self of [
    `${url}/u/groups`,
    `${url}/u/groups?x=y`,
    undefined,
    null,
    7,
    '',
    'https://x',
    `${url}/v/roles`,
  ]) {
    t.strictSame(read(self), [], String(self));
  }
  t.strictSame(read(`${url}/a@b/groups`, 'a@b'), []);
  t.strictSame(read(`${url}/a%40b/groups`, 'a@b'), []);
  for (const self of [`${url}/v/groups`, `${url}/U/groups`, `${url}/uu/groups#`, `${url}/u/groups/users/v/groups`]) {
    t.equal(read(self), undefined, self);
  }
  t.equal(readKeystoneGroups({ token: {} }, 'u'), undefined);
  t.end();
});

void t.test('the tokens of Keystone are told from other tokens by their shape', async (t) => {
  const now = Date.now();
  const jws = (claims: object): string => `e30.${Buffer.from(JSON.stringify(claims)).toString('base64url')}.c2ln`;
  const keystoneClaims = { openstack_methods: ['password'], exp: now / 1000 + 60 };
  t.equal(classifyTokenShape(jws(keystoneClaims), now), 'likely');
  t.equal(classifyTokenShape(jws({ openstack_methods: [] }), now), 'likely', 'no expiry');
  t.equal(classifyTokenShape(jws({ ...keystoneClaims, exp: now / 1000 - 3600 }), now), 'impossible', 'expired');
  t.equal(classifyTokenShape(jws({ sub: 'system:serviceaccount:x:y' }), now), 'impossible', 'a service account');
  t.equal(classifyTokenShape('a.b.c', now), 'impossible');
  t.equal(classifyTokenShape('', now), 'impossible');
  t.equal(classifyTokenShape('gAAAAABnonsense', now), 'impossible');
  t.equal(classifyTokenShape('0123456789abcdef0123456789abcdef', now), 'impossible');
  t.equal(classifyTokenShape(`gAAAA${'A'.repeat(9_000)}`, now), 'impossible', 'too long');
  // Unscoped, for a project, and of an application credential: 162, 183 and 204 characters in Keystone 22.
  for (const blocks of [4, 5, 6]) {
    const makeToken = (createdAt: number): string => {
      const frame = Buffer.alloc(9, 0x80);
      frame.writeBigUInt64BE(BigInt(Math.floor(createdAt / 1000)), 1);
      return Buffer.concat([frame, randomBytes(48 + 16 * blocks)]).toString('base64url');
    };
    const token = makeToken(now);
    t.equal(classifyTokenShape(token, now), 'likely', `${token.length} characters`);
    t.equal(classifyTokenShape(`${token}=`, now), 'likely', 'with padding');
    t.equal(classifyTokenShape(makeToken(now + 3_600_000), now), 'suspicious', 'from the future');
    t.equal(classifyTokenShape(makeToken(now - 3_600_000_000), now), 'suspicious', 'from long ago');
    t.equal(classifyTokenShape(token.slice(0, -2), now), 'impossible', 'truncated');
  }
  const shapes = Array.from({ length: 10_000 }, () => classifyTokenShape(makeFakeToken(), now));
  t.strictSame([...new Set(shapes)], ['suspicious'], 'what other tests send as made up');
  t.equal(classifyTokenShape(makeFakeToken(now), now), 'likely', 'made up with care');
});
