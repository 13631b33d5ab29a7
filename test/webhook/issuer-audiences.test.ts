// The file of the audiences: who gets tokens for which cluster, and which files are refused as a whole.

import t from 'tap';
import { isAllowed } from '../../src/webhook/issuer/audience.ts';
import { parseAudiences } from '../../src/webhook/issuer/audiences-file.ts';
import type { TokenOwner } from '../../src/webhook/authn/token-owner.ts';
import { OWNER } from '../support/token-owner.ts';

const PROJECT = 'c8e48b74036546c5b12bfc798932c4e2';
const DOMAIN = 'ad46c8976da647fd85585c4db77c8ca0';
const IN_ACME: TokenOwner = {
  ...OWNER,
  userDomain: { id: DOMAIN, name: 'acme' },
  project: { id: PROJECT, name: 'web' },
  projectDomain: { id: DOMAIN, name: 'acme' },
};

type Rule = Readonly<Record<string, unknown>>;

function allows(rules: readonly Rule[], owner: Partial<TokenOwner> = {}): boolean {
  const text = JSON.stringify({ audiences: [{ name: 'a', allow: rules }] });
  const audience = parseAudiences(text, 'audiences.json').get('a');
  return audience !== undefined && isAllowed({ ...IN_ACME, ...owner }, audience);
}

void t.test('a rule needs all of its roles, and any of its projects and domains', (t) => {
  const rows: readonly (readonly [rule: Rule, isAllowed: boolean])[] = [
    [{ roles: ['member'] }, true],
    [{ roles: ['member', 'reader'] }, true],
    [{ roles: ['member', 'admin'] }, false],
    [{ roles: ['Member'] }, false],
    [{ projects: [PROJECT] }, true],
    [{ projects: [PROJECT.toUpperCase()] }, false],
    [{ projects: ['0'.repeat(32), PROJECT] }, true],
    [{ projects: ['0'.repeat(32)] }, false],
    [{ projects: ['acme/web'] }, true],
    [{ projects: [`${DOMAIN}/web`] }, true],
    [{ projects: ['acme/*'] }, true],
    [{ projects: ['other/*'] }, false],
    [{ projects: ['other/web'] }, false],
    [{ projects: ['acme/db'] }, false],
    [{ domains: ['acme'] }, true],
    [{ domains: [DOMAIN] }, true],
    [{ domains: ['other', 'acme'] }, true],
    [{ domains: ['Acme'] }, false],
    [{ domains: ['default'] }, false],
    [{ domains: ['acme'], projects: ['acme/web'], roles: ['member'] }, true],
    [{ domains: ['other'], projects: ['acme/web'], roles: ['member'] }, false],
    [{ domains: ['acme'], projects: ['acme/db'], roles: ['member'] }, false],
  ];
  for (const [rule, expected] of rows) t.equal(allows([rule]), expected, JSON.stringify(rule));
  t.ok(allows([{ roles: ['admin'] }, { roles: ['reader'] }]), 'one rule is enough');
  t.end();
});

void t.test('nobody gets a token by choosing a name', (t) => {
  const other = { id: '1'.repeat(32), name: 'other' };
  const project = { id: '2'.repeat(32), name: PROJECT };
  t.notOk(allows([{ projects: [PROJECT] }], { project }), 'a project whose name is the ID of another');
  t.notOk(
    allows([{ projects: ['acme/web'] }], { projectDomain: other }),
    'a project of the same name in another domain',
  );
  const named = { ...IN_ACME.project, name: 'b/web' };
  const domain = { id: other.id, name: 'acme/b' };
  t.notOk(allows([{ projects: ['acme/b'] }], { project: named }), 'a name with a slash');
  t.notOk(allows([{ projects: ['acme/*'] }], { projectDomain: domain }), 'a domain with a slash');
  const star = { ...IN_ACME.project, name: '*' };
  t.notOk(allows([{ projects: ['other/web'] }], { project: star }), 'a project that is named *');
  t.notOk(allows([{ domains: [DOMAIN] }], { userDomain: { id: other.id, name: DOMAIN } }), 'a domain named like an ID');
  t.notOk(
    allows([{ domains: ['default'] }], { userDomain: { id: other.id, name: 'default' } }),
    'a domain named default',
  );
  t.end();
});

void t.test('a file with a mistake is refused as a whole, with the place and advice', (t) => {
  const one = (audience: object): string =>
    JSON.stringify({ audiences: [{ name: 'a', allow: [{ roles: ['x'] }], ...audience }] });
  const rule = (content: unknown): string => one({ allow: [content] });
  const rows: readonly (readonly [text: string, message: RegExp])[] = [
    ['', /audiences must be a list that is not empty/],
    ['[]', /is not a mapping/],
    ['audiences: []', /audiences must be a list that is not empty/],
    ['audiences: all', /audiences must be a list/],
    ['audience: []', /unknown key "audience"; did you mean "audiences"\?/],
    ['audiences: [a]', /entry 1 of audiences must be a mapping/],
    ['audiences: [{allow: []}]', /entry 1 of audiences needs a name/],
    [one({ name: 'a b' }), /needs a name of 1 to 255 visible ASCII characters/],
    [one({ allow: [] }), /allow of audience "a" must be a list that is not empty/],
    [one({ allow: undefined }), /allow of audience "a" must be a list/],
    [one({ deny: [] }), /unknown key "deny"; its keys are name, lifetime-seconds, claims, allow$/],
    [one({ lifetime_second: 60 }), /unknown key "lifetime_second"; did you mean "lifetime-seconds"\?/],
    [one({ lifetime: 60 }), /unknown key "lifetime"/],
    [one({ 'lifetime-seconds': 59 }), /lifetime-seconds of audience "a" must be from 60 to 3600/],
    [one({ 'lifetime-seconds': 3601 }), /must be from 60 to 3600/],
    [one({ 'lifetime-seconds': '10m' }), /must be from 60 to 3600/],
    [one({ 'lifetime-seconds': 'x60' }), /must be from 60 to 3600/],
    [one({ 'lifetime-seconds': '600s' }), /must be from 60 to 3600/],
    [one({ 'lifetime-seconds': null }), /must be from 60 to 3600/],
    ['audiences: [{name: a, lifetime-seconds: , allow: [{roles: [x]}]}]', /lifetime-seconds of audience "a" must be/],
    [one({ 'lifetime-seconds': [60] }), /must be from 60 to 3600/],
    [one({ 'lifetime-seconds': 60, lifetime_seconds: 60 }), /sets one key twice, with a dash and with an underscore/],
    [one({ claims: ['email'] }), /claims of audience "a" contains "email"; possible are preferred_username, groups/],
    [one({ claims: [] }), /claims of audience "a" must be a list that is not empty/],
    [rule({}), /rule 1 of audience "a" must have roles, projects or domains/],
    [rule({ roles: [] }), /roles of rule 1 of audience "a" must be a list that is not empty/],
    [rule({ roles: null }), /roles of rule 1 of audience "a" must be a list/],
    [rule({ roles: 'member' }), /must be a list/],
    [rule({ roles: [{}] }), /must be a list of strings/],
    [rule({ roles: ['a', ''] }), /roles of rule 1 of audience "a" must be a list of strings/],
    [rule({ projects: ['f'.repeat(33)] }), /the name of a project is unique in its domain only/],
    [rule({ roles: ['a', 'a'] }), /contains "a" twice/],
    [rule({ roles: ['*'] }), /contains "\*", which is not a name; leave roles out for any/],
    [rule({ Roles: ['a'] }), /unknown key "Roles"; did you mean "roles"\?/],
    [rule({ role: ['a'] }), /unknown key "role"; did you mean "roles"\?/],
    [rule({ roles: ['a'], project: ['b'] }), /unknown key "project"; did you mean "projects"\?/],
    [rule({ projects: ['web'] }), /contains "web"; the name of a project is unique in its domain only/],
    [rule({ projects: ['a/b/c'] }), /contains "a\/b\/c"/],
    ['audiences: [{name: a, name: b}]', /contains a key twice/],
    [
      JSON.stringify({ audiences: ['prod', 'Prod'].map((name) => ({ name, allow: [{ roles: ['x'] }] })) }),
      /the audiences "prod" and "Prod" have the same name/,
    ],
  ];
  for (const [text, message] of rows)
    t.throws(() => parseAudiences(text, 'audiences.yaml'), { code: 'config-invalid', message, hint: /./ }, text);
  t.throws(() => parseAudiences(one({ claims: [] }), 'audiences.yaml'), {
    message: /^audiences\.yaml: /,
    hint: 'correct it as described in docs/webhook/issuer.md',
  });
  t.end();
});

void t.test('only 32 hexadecimal digits are an ID', (t) => {
  for (const name of ['f'.repeat(33), `${'f'.repeat(32)}-x`, `x-${'f'.repeat(32)}`]) {
    t.ok(allows([{ domains: [name] }], { userDomain: { id: DOMAIN, name } }), `${name} is a name`);
    t.notOk(allows([{ domains: [name] }], { userDomain: { id: name, name: 'acme' } }), `and no ID`);
  }
  t.end();
});

void t.test('there can be several audiences, with lifetimes from a minute to an hour', (t) => {
  const audiences = ['one', 'two'].map((name, index) => ({
    ...{ name, allow: [{ roles: ['x'] }] },
    'lifetime-seconds': [60, 3_600][index],
  }));
  const parsed = parseAudiences(JSON.stringify({ audiences }), 'f');
  t.strictSame(
    [...parsed.values()].map(({ name, lifetimeMs }) => [name, lifetimeMs]),
    [
      ['one', 60_000],
      ['two', 3_600_000],
    ],
  );
  t.end();
});

void t.test('an issuer can have thousands of audiences, which share their rules', (t) => {
  const allow = (index: number): string => (index === 0 ? '&rules\n      - roles: [member]' : '*rules');
  const entries = Array.from(
    { length: 3_000 },
    (_, index) => `\n  - name: cluster-${index}\n    allow: ${allow(index)}`,
  );
  const audiences = parseAudiences(`audiences:${entries.join('')}`, 'f');
  t.equal(audiences.size, 3_000);
  t.match(audiences.get('cluster-2999'), { rules: [{ roles: ['member'] }] });
  t.throws(() => parseAudiences(`audiences:${'\n'.repeat(400_000)}`, 'f'), {
    message: 'f has more than 400000 entries',
    hint: /^split what it describes/,
  });
  t.end();
});

void t.test('the file can be YAML, with the defaults', (t) => {
  const audiences = parseAudiences(
    [
      'audiences:',
      '  - name: prod',
      '    lifetime_seconds: 300',
      '    claims: [roles]',
      '    allow:',
      '      - roles: [member]',
    ].join('\n'),
    'audiences.yaml',
  );
  t.match(audiences.get('prod'), { lifetimeMs: 300_000, claims: new Set(['roles']) });
  t.equal(parseAudiences('audiences: [{name: a, allow: [{roles: [x]}]}]', 'f').get('a')?.lifetimeMs, 600_000);
  t.end();
});
