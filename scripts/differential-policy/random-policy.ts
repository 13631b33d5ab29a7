/** Random policies and requests from what policies consist of, and from what authors write by mistake. */

/** Chooses; the same seed gives the same choices. */
export interface Random {
  readonly below: (limit: number) => number;
  readonly pick: <T>(list: readonly [T, ...T[]]) => T;
  readonly chance: (probability: number) => boolean;
}

/** Makes a random number generator (mulberry32). */
export function makeRandom(seed: number): Random {
  let state = seed >>> 0;
  const next = (): number => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
  const below = (limit: number): number => Math.floor(next() * limit);
  return {
    below,
    pick: ([first, ...others]) => [first, ...others][below(others.length + 1)] ?? first,
    chance: (probability) => next() < probability,
  };
}

const UID = '0123456789abcdef0123456789abcdef';
const NAMESPACES = ['web', 'db', 'kube-system', 'prod'] as const;
const RESOURCES = ['pods', 'secrets', 'nodes', 'services', 'deployments', 'configmaps'] as const;
const SUBRESOURCES = ['exec', 'log', 'scale', 'status', '*'] as const;
const VERBS = ['get', 'list', 'create', 'delete'] as const;
/** Verbs that give more than access to objects, and what no API server sends. */
const RARE_VERBS = ['impersonate', 'escalate', 'bind', 'watch', '*', '', 'GET', 'impersonate:user-info'] as const;
const ROLES = ['member', 'admin', 'reader'] as const;
const PROJECTS = ['demo', 'ops', 'p1', 'p2'] as const;
const PATHS = ['/api', '/apis', '/apis/apps', '/healthz', '/metrics'] as const;
const RARE_PATHS = [
  '/',
  '',
  '/api/',
  '/API',
  '/api/../healthz',
  '/healthz?verbose',
  '//healthz',
  '*',
  '/apis/*',
] as const;

type Json = string | null | readonly Json[] | { readonly [name: string]: Json };

const list = <T>(random: Random, make: () => T, min = 0): T[] =>
  Array.from({ length: min + random.below(3) }, () => make());

/** Writes a name with other capitals, once in a while. */
function writeName(random: Random, name: string): string {
  if (random.chance(0.04)) return name.toUpperCase();
  if (random.chance(0.04)) return name.charAt(0).toUpperCase() + name.slice(1);
  return random.chance(0.01) ? name.replace('s', '\u017f') : name;
}

function writeMembers(random: Random, members: Readonly<Record<string, Json | undefined>>): Json {
  const written: Record<string, Json> = {};
  for (const [name, value] of Object.entries(members)) {
    if (value !== undefined) written[writeName(random, name)] = random.chance(0.01) ? null : value;
  }
  if (random.chance(0.05)) written[random.pick(['comment', 'user', 'matches', 'name', 'roles', 'notes'])] = 'x';
  return written;
}

function makeWord(random: Random, names: readonly [string, ...string[]], hasSubresources: boolean): string {
  const name = random.chance(0.12) ? '*' : random.pick(names);
  const word = hasSubresources && random.chance(0.12) ? `${name}/${random.pick(SUBRESOURCES)}` : name;
  if (random.chance(0.04)) return word.toUpperCase();
  if (random.chance(0.02)) return word.replace('i', '\u0130').replace('k', '\u212A').replace('s', '\u017F');
  return random.chance(0.05) ? random.pick([`${word}*`, ` ${word}`, `${word} `, '', `!${word}`, `'${word}'`]) : word;
}

function makeSide(random: Random, names: readonly [string, ...string[]], hasSubresources: boolean): string {
  const word = (): string => makeWord(random, names, hasSubresources);
  const negation = random.chance(0.35) ? random.pick(['!', '!', '!', '! ', '!!']) : '';
  const quote = random.pick(["'", "'", "'", '"', '']);
  // More than the 16 namespaces that the index tells apart.
  const many = random.chance(0.05) ? Array.from({ length: 20 }, (_, index) => `ns${index}`) : [];
  const body = random.chance(0.4)
    ? `[${[...list(random, word), ...many].map((item) => quote + item + quote).join(random.pick([',', ', ', ' , ']))}]`
    : random.chance(0.05)
      ? quote + word() + quote
      : word();
  const space = random.chance(0.08) ? random.pick([' ', '\t', '\u00a0', '\ufeff']) : '';
  return space + negation + body + (random.chance(0.02) ? random.pick(['!', ']', ',']) : '') + space;
}

const makeVerb = (random: Random): string =>
  random.chance(0.15)
    ? random.pick(['*', '*', 'GET', ' get', '', 'ge*', 'List', 'l\u0130st', ...RARE_VERBS])
    : random.pick(VERBS);

const makeKey = (random: Random): string =>
  random.chance(0.02)
    ? random.pick(['pods', 'a/b/c/d', '', '/', '//'])
    : `${makeSide(random, NAMESPACES, random.chance(0.01))}/${makeSide(random, RESOURCES, true)}`;

const verbs = (random: Random): Json =>
  random.chance(0.01) ? null : list(random, () => makeVerb(random), random.chance(0.9) ? 1 : 0);

function makePermissions(random: Random, key: () => string): Json {
  return Object.fromEntries(list(random, () => [key(), verbs(random)] as const, 1));
}

function makeUsers(random: Random): Json | undefined {
  if (random.chance(0.3)) return undefined;
  if (random.chance(0.02)) return null;
  const users: Record<string, Json> = {};
  const orNull = (names: Json): Json => (random.chance(0.02) ? null : names);
  if (random.chance(0.92))
    users['projects'] = orNull(list(random, () => random.pick([...PROJECTS, '*', '', 'Demo']), 1));
  if (random.chance(0.6)) users['roles'] = orNull(list(random, () => random.pick([...ROLES, ...ROLES, '*', 'Member'])));
  if (random.chance(0.1)) users[random.pick(['domains', 'Roles', 'groups', 'comment', 'project'])] = ['default'];
  return users;
}

const makeTerm = (random: Random): Json =>
  writeMembers(random, {
    type: random.chance(0.05) ? random.pick(['', 'User', 'domain']) : random.pick(['user', 'group', 'project', 'role']),
    values: list(random, () => random.pick(['alice', 'bob', 'sre', 'u1', UID, '*', '', ...ROLES, ...PROJECTS]), 1),
  });

const makeResource = (random: Random): Json =>
  writeMembers(random, {
    verbs: verbs(random),
    resources: list(
      random,
      () =>
        random.chance(0.05)
          ? random.pick(['*/*', '*/exec', 'pods/', '/exec', '/*'])
          : makeWord(random, RESOURCES, true),
      1,
    ),
    version: random.chance(0.04) ? undefined : random.pick(['', 'apps', '*', '*']),
    namespace: random.chance(0.04) ? undefined : random.pick([...NAMESPACES, '*', '*', '', '!web']),
  });

const makeNonresource = (random: Random): Json =>
  writeMembers(random, {
    verbs: verbs(random),
    path: random.chance(0.04)
      ? undefined
      : random.pick([...PATHS, '/api*', '/api**', '*', '**', '/apis/*', '/', '/*', '/api/', '/*/x', '/API*']),
  });

function makeEntry(random: Random): Json {
  const optional = (probability: number, make: () => Json): Json | undefined =>
    random.chance(probability) ? make() : undefined;
  return writeMembers(random, {
    users: makeUsers(random),
    resource_permissions: optional(0.6, () => makePermissions(random, () => makeKey(random))),
    nonresource_permissions: optional(0.25, () =>
      makePermissions(random, () => random.pick([...PATHS, ...RARE_PATHS])),
    ),
    resource: optional(0.4, () => makeResource(random)),
    nonresource: optional(0.3, () => makeNonresource(random)),
    match: optional(0.4, () => list(random, () => makeTerm(random))),
  });
}

/** Makes the text of a policy, by default with one to three entries, and many once in a while. */
export function makePolicyText(random: Random, entryCount = 1 + random.below(random.chance(0.05) ? 40 : 3)): string {
  return JSON.stringify(Array.from({ length: entryCount }, () => makeEntry(random)));
}

/** A SubjectAccessReview as kube-apiserver sends it in `v1beta1`. */
export interface Question {
  readonly apiVersion: string;
  readonly kind: string;
  readonly spec: Readonly<Record<string, Json>>;
}

const EXTRA = 'alpha.kubernetes.io/identity';

function makeExtra(random: Random): Record<string, Json> | undefined {
  if (random.chance(0.05)) return random.pick([undefined, { 'authentication.kubernetes.io/pod-name': ['x'] }]);
  if (random.chance(0.03)) return { [`${EXTRA}/roles`]: list(random, () => random.pick(ROLES)) };
  if (random.chance(0.03)) return { [`${EXTRA}/Roles`]: ['admin'], [`${EXTRA}/project/name`]: ['demo', 'ops'] };
  return {
    [`${EXTRA}/roles`]: list(random, () => random.pick(ROLES)),
    [`${EXTRA}/project/id`]: random.chance(0.05) ? ['p1', 'p2'] : [random.pick(['p1', 'p2'])],
    [`${EXTRA}/project/name`]: [random.chance(0.05) ? '' : random.pick(['demo', 'ops'])],
    [`${EXTRA}/user/domain/id`]: ['default'],
    [`${EXTRA}/user/domain/name`]: ['Default'],
  };
}

/** Makes a request. */
export function makeQuestion(random: Random): Question {
  const extra = makeExtra(random);
  const verb = random.chance(0.1) ? random.pick(RARE_VERBS) : random.pick(VERBS);
  const namespace = random.chance(0.15)
    ? ''
    : random.pick(random.chance(0.1) ? ['ns3', 'ns19', 'Web', '*'] : NAMESPACES);
  const attributes: Record<string, Json> = random.chance(0.25)
    ? { nonResourceAttributes: { verb, path: random.pick([...PATHS, '/apis/batch/v1', ...RARE_PATHS]) } }
    : {
        resourceAttributes: {
          verb,
          namespace,
          group: random.pick(['', 'apps']),
          resource: random.chance(0.05) ? random.pick(['*', 'users', 'Pods', 'pods.v1']) : random.pick(RESOURCES),
          ...(random.chance(0.3) ? { subresource: random.pick(['exec', 'log', 'scale', 'status', '*', 'Exec']) } : {}),
          ...(random.chance(0.1) ? { name: random.pick(['', 'web', 'kube-system', '*']) } : {}),
        },
      };
  return {
    apiVersion: 'authorization.k8s.io/v1beta1',
    kind: 'SubjectAccessReview',
    spec: {
      user: random.pick(['alice', 'bob', 'carol']),
      uid: random.pick(['u1', UID]),
      group: list(random, () => random.pick(['sre', 'p1', 'system:authenticated'])),
      ...(extra === undefined ? {} : { extra }),
      ...attributes,
    },
  };
}
