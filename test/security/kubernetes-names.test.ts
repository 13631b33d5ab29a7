// Names that a domain administrator of Keystone or an issuer chooses never become names that clusters give rights to.

import t from 'tap';
import { readAllowedNames } from '../../src/webhook/authn/allowed-names.ts';
import { hasAdjacentPlaceholders, RESERVED_PREFIXES } from '../../src/webhook/authn/kubernetes-name.ts';
import { mapClaimsToUserInfo } from '../../src/webhook/authn/oidc-authenticator.ts';
import type { OidcSettings } from '../../src/webhook/authn/oidc-settings.ts';
import type { KeystoneGroup, TokenOwner } from '../../src/webhook/authn/token-owner.ts';
import { mapOwnerToUserInfo } from '../../src/webhook/authn/user-info.ts';
import type { NamingRules } from '../../src/webhook/authn/user-info.ts';
import { planRoleBindings } from '../../src/webhook/sync/synchronizer.ts';
import { NAMING } from '../support/token-owner.ts';

const PROJECT = '0123456789abcdef0123456789abcdef';

function makeOwner(domain = 'corp', name = 'alice'): TokenOwner {
  return {
    user: { id: 'u1', name },
    userDomain: { id: 'd1', name: domain },
    project: { id: PROJECT, name: 'web' },
    projectDomain: { id: 'd1', name: domain },
    roles: ['member'],
  };
}

const makeGroup = (name: string, id = 'g1'): KeystoneGroup => ({ id, name, domainId: 'd1' });

function mapGroups(names: readonly string[], naming: Partial<NamingRules> = {}): unknown {
  const groups = names.map((name, index) => makeGroup(name, `g${index}`));
  const result = mapOwnerToUserInfo(makeOwner(), groups, { ...NAMING, ...naming });
  return 'reason' in result ? result.reason : { given: result.userInfo.groups, dropped: result.droppedNames };
}

function mapUser(domain: string, name: string, naming: Partial<NamingRules> = {}): string {
  const result = mapOwnerToUserInfo(makeOwner(domain, name), [], { ...NAMING, ...naming });
  return 'reason' in result ? `refused: ${result.reason}` : result.userInfo.username;
}

const ISSUER: OidcSettings = {
  issuer: 'https://dex.example.com',
  clientId: 'cluster',
  caFile: undefined,
  usernameClaim: 'sub',
  usernamePrefix: '',
  groupsClaim: 'groups',
  groupsPrefix: '',
  requiredClaims: new Map(),
  allowedNames: [],
  algorithms: ['RS256'],
};

function mapClaims(
  claims: { sub?: string; groups?: readonly string[] },
  settings: Partial<OidcSettings> = {},
): unknown {
  const result = mapClaimsToUserInfo({ sub: 'alice', groups: [], ...claims }, { ...ISSUER, ...settings });
  if ('reason' in result) return `refused: ${result.reason}`;
  return { user: result.userInfo.username, groups: result.userInfo.groups, dropped: result.droppedNames };
}

const RESERVED = [
  'kubeadm:cluster-admins',
  'KubeAdm:cluster-admins',
  ...RESERVED_PREFIXES.map((prefix) => `${prefix}x`),
];

void t.test(
  'a Keystone group never gets a name that distributions reserve, even with a prefix or an allow-list',
  async (t) => {
    for (const name of RESERVED) {
      t.strictSame(mapGroups([name, 'devs']), { given: ['devs', PROJECT], dropped: [name] }, name);
      t.strictSame(
        mapGroups([name], { allowedNames: [name, '*'] }),
        { given: [PROJECT], dropped: [name] },
        `${name}, allowed`,
      );
      const [prefix = '', rest = ''] = name.split(/(?<=:)/);
      t.strictSame(
        mapGroups([rest], { groupFormat: `${prefix}%n` }),
        { given: [PROJECT], dropped: [name] },
        `${name}, by format`,
      );
    }
  },
);

void t.test('a Keystone group with a colon needs a prefix or an allow-list', async (t) => {
  t.strictSame(mapGroups(['oidc:devs', 'devs']), { given: ['devs', PROJECT], dropped: ['oidc:devs'] });
  t.strictSame(mapGroups(['oidc:devs'], { groupFormat: 'keystone:%n' }), {
    given: ['keystone:oidc:devs', PROJECT],
    dropped: [],
  });
  t.strictSame(mapGroups(['oidc:devs', 'oidc:ops'], { allowedNames: ['oidc:devs'] }), {
    given: ['oidc:devs', PROJECT],
    dropped: ['oidc:ops'],
  });
  t.strictSame(mapGroups(['team:a', 'teams:b'], { allowedNames: ['team:*'] }), {
    given: ['team:a', PROJECT],
    dropped: ['teams:b'],
  });
});

void t.test(
  'a Keystone group named like the ID of another project does not give the rights of that project',
  async (t) => {
    const other = 'ffffffffffffffffffffffffffffffff';
    t.strictSame(mapGroups([other, other.toUpperCase()]), { given: [PROJECT], dropped: [other, other.toUpperCase()] });
    t.strictSame(mapGroups([other], { groupFormat: 'keystone:%n' }), {
      given: [`keystone:${other}`, PROJECT],
      dropped: [],
    });
    t.strictSame(mapGroups([PROJECT]), { given: [PROJECT], dropped: [] }, 'their own project is a group anyway');
    t.strictSame(
      mapOwnerToUserInfo(makeOwner(), [makeGroup('devs', other)], { ...NAMING, groupFormat: '%i' }),
      { ...mapOwnerToUserInfo(makeOwner(), [], NAMING), userInfo: { ...userInfoOf(), groups: [other, PROJECT] } },
      'an ID that Keystone chose stays',
    );
  },
);

function userInfoOf(): object {
  const result = mapOwnerToUserInfo(makeOwner(), [], NAMING);
  return 'userInfo' in result ? result.userInfo : {};
}

void t.test('a Keystone user never gets a reserved name or, without a prefix, one with a colon', async (t) => {
  for (const name of RESERVED) t.match(mapUser('corp', name), /^refused: its user name begins with "/, name);
  t.match(mapUser('corp', 'oidc:bob'), /^refused: its user name contains a colon/);
  t.equal(mapUser('corp', 'oidc:bob', { usernameFormat: 'keystone:%n' }), 'keystone:oidc:bob');
  t.equal(mapUser('corp', 'oidc:bob', { allowedNames: ['oidc:*'] }), 'oidc:bob');
  t.match(mapUser('kubeadm', 'x', { usernameFormat: '%D:%n' }), /^refused: its user name begins with "kubeadm:"/);
});

void t.test('two users in different domains never share a name', async (t) => {
  const CASES: readonly (readonly [format: string, users: readonly (readonly [string, string])[]])[] = [
    [
      '%D:%n',
      [
        ['corp', 'eu:alice'],
        ['corp:eu', 'alice'],
      ],
    ],
    [
      '%n@%D',
      [
        ['corp', 'alice@eu'],
        ['eu@corp', 'alice'],
        ['corp', 'alice'],
      ],
    ],
    [
      '%D::%n',
      [
        ['corp', ':alice'],
        ['corp:', 'alice'],
        ['corp', 'alice'],
      ],
    ],
    [
      '%D/%n/%i',
      [
        ['corp', 'eu/alice'],
        ['corp/eu', 'alice'],
      ],
    ],
    [
      'x-%D-%n',
      [
        ['a', 'b-c'],
        ['a-b', 'c'],
      ],
    ],
  ];
  for (const [usernameFormat, users] of CASES) {
    const names = users.map(([domain, name]) => mapUser(domain, name, { usernameFormat }));
    const accepted = names.filter((name) => !name.startsWith('refused'));
    t.equal(new Set(accepted).size, accepted.length, `${usernameFormat}: ${names.join(' | ')}`);
    t.ok(accepted.length > 0, `${usernameFormat}: someone gets in`);
  }
  t.match(mapUser('corp:eu', 'alice', { usernameFormat: '%D:%n' }), /domain name contains a separator of "%D:%n"/);
  t.equal(mapUser('corp', 'eu:alice', { usernameFormat: '%D:%n' }), 'corp:eu:alice');
  t.equal(mapUser('corp', 'mary-ann', { usernameFormat: '%n-%i' }), 'mary-ann-u1', 'a name may contain the separator');
});

void t.test('a format without a separator between its placeholders is found', async (t) => {
  for (const format of ['%D%n', '%n%i', 'x%d%n:%i']) t.ok(hasAdjacentPlaceholders(format), format);
  for (const format of ['%n', '%D:%n', 'x%n', '%d/%n (%i)']) t.notOk(hasAdjacentPlaceholders(format), format);
});

void t.test(
  'an issuer never gives a reserved name or, without a prefix, one with a colon or of a project',
  async (t) => {
    for (const name of RESERVED) {
      t.match(mapClaims({ sub: name }), /^refused: its user name begins with "/, name);
      t.strictSame(mapClaims({ groups: [name, 'devs'] }), { user: 'alice', groups: ['devs'], dropped: [name] }, name);
    }
    t.match(mapClaims({ sub: 'f:1:bob' }), /^refused: its user name contains a colon/);
    t.strictSame(mapClaims({ sub: 'f:1:bob' }, { usernamePrefix: 'https://dex.example.com#' }), {
      user: 'https://dex.example.com#f:1:bob',
      groups: [],
      dropped: [],
    });
    t.strictSame(mapClaims({ groups: ['a:b', PROJECT] }), { user: 'alice', groups: [], dropped: ['a:b', PROJECT] });
    t.strictSame(mapClaims({ groups: ['a:b', PROJECT] }, { groupsPrefix: 'oidc:' }), {
      user: 'alice',
      groups: ['oidc:a:b', `oidc:${PROJECT}`],
      dropped: [],
    });
    t.match(
      mapClaims({ sub: 'adm:x' }, { usernamePrefix: 'kube' }),
      /begins with "kubeadm:"/,
      'a prefix makes no reserved name',
    );
  },
);

void t.test('a Keystone role never binds a ClusterRole of a distribution', async (t) => {
  for (const role of RESERVED) {
    t.strictSame(planRoleBindings({ ...makeOwner(), roles: [role] }, 'alice').bindings, [], role);
  }
});

void t.test('--allowed-colon-names accepts names with a colon that are not reserved', async (t) => {
  const read = (text: string): unknown =>
    readAllowedNames({
      text: () => text,
      secret: () => undefined,
      has: () => true,
      isOn: () => false,
      origin: () => '--allowed-colon-names',
    } as unknown as Parameters<typeof readAllowedNames>[0]);
  t.strictSame(read('oidc:devs, team:*'), ['oidc:devs', 'team:*']);
  for (const text of ['*', 'devs', 'a*:b', 'team*', ':', ':x'])
    t.throws(() => read(text), /--allowed-colon-names/, text);
  for (const text of ['system:masters', 'kubeadm:*', 'a:b,kube:admin'])
    t.throws(() => read(text), /must not contain/, text);
});
