// Every case in which the plugin sends something else than `openstack` on purpose.

import { isJsonObject } from '../../src/shared/base/json.ts';
import type { Case } from './case.ts';
import type { Difference } from './compare.ts';

/** One kind of difference. */
export interface KnownDifference {
  /** One sentence: what the plugin does instead, and why. docs/clouds-yaml.md repeats it. */
  readonly reason: string;
  readonly explains: (difference: Difference, given: Case) => boolean;
}

const refuses = ({ plugin }: Difference, pattern: RegExp): boolean =>
  'refusal' in plugin && pattern.test(plugin.refusal);

const says = ({ plugin }: Difference, pattern: RegExp): boolean =>
  'warnings' in plugin && plugin.warnings.some((warning) => pattern.test(warning));

/** Keys that openstacksdk moves below `auth`. */
const MOVED = /^(?:(?:user_|project_)?domain_(?:id|name)|(?:project|tenant)_(?:id|name)|token)$/;

/** Profiles of openstacksdk with a domain below `auth`. */
const PROFILES_WITH_DOMAINS = ['auro', 'fuga', 'ovh-us'];

/** The name that openstacksdk has for an older one. */
const unifyKey = (key: string): string => key.replace('tenant', 'project');

/** Whether a moved key is below `auth`, and once more next to it, in a variable or in a flag. */
function hasKeyBelowAuthAndElsewhere(files: Case['files'], given: Readonly<Record<string, string>>): boolean {
  const [below, elsewhere] = [new Set<string>(), new Set<string>()];
  const visit = (value: unknown, isBelow: boolean): void => {
    if (Array.isArray(value)) value.forEach((item) => visit(item, false));
    if (!isJsonObject(value)) return;
    for (const [key, inner] of Object.entries(value)) {
      if (key === 'profile' && PROFILES_WITH_DOMAINS.includes(String(inner))) {
        for (const domain of ['user_domain_name', 'project_domain_name']) below.add(domain);
      }
      if (MOVED.test(key)) (isBelow ? below : elsewhere).add(unifyKey(key));
      visit(inner, key === 'auth');
    }
  };
  visit(files, false);
  for (const name of Object.keys(given)) {
    const key = name.replace(/^OS_/, '').replaceAll('-', '_').toLowerCase();
    if (MOVED.test(key)) elsewhere.add(unifyKey(key));
  }
  return [...below].some((key) => elsewhere.has(key));
}

/** Whether a key of a file is empty, and has a value at another place of the files. */
function hasEmptyAndSetKey(files: Case['files']): boolean {
  const [empty, set] = [new Set<string>(), new Set<string>()];
  const visit = (value: unknown): void => {
    if (Array.isArray(value)) value.forEach(visit);
    if (!isJsonObject(value)) return;
    for (const [key, inner] of Object.entries(value)) {
      (inner === '' ? empty : set).add(unifyKey(key));
      visit(inner);
    }
  };
  visit(files);
  return [...empty].some((key) => set.has(key));
}

/** All of them. A difference that none of them explains fails `npm run differential`. */
export const KNOWN_DIFFERENCES: readonly KnownDifference[] = [
  {
    reason:
      'A clouds.yaml in the current folder does not decide where a secret from elsewhere goes, because somebody else ' +
      'may have written it.',
    explains: (difference, { place }) => place === 'current' && refuses(difference, /a file in the current folder/),
  },
  {
    reason:
      'A name in a stronger source hides the ID in a weaker one, and a domain of the user hides a general one: who ' +
      'names a project means that project. openstack sends the ID without a word; the plugin names both.',
    explains: (difference) => says(difference, /is used instead of .*, which openstack would use$/),
  },
  {
    reason:
      'Without a named cloud, the only cloud of clouds.yaml is not used for the Keystone of a flag: a kubeconfig must ' +
      'not send a password of clouds.yaml to its own server.',
    explains: (_difference, { flags, env }) => 'auth-url' in flags && !('cloud' in flags) && !('OS_CLOUD' in env),
  },
  {
    reason:
      'OS_INSECURE and OS_VERIFY count beside a named cloud too, as any variable does. Each run says that the ' +
      'certificate is not checked.',
    explains: ({ fields }, { env }) =>
      Object.keys(fields).join() === 'authorities' && ('OS_INSECURE' in env || 'OS_VERIFY' in env),
  },
  {
    reason:
      'An empty value in a file counts as unset: a template has left it empty. openstack lets it take the place of a ' +
      'value in a weaker place.',
    explains: (_difference, { files }) => hasEmptyAndSetKey(files),
  },
  {
    reason: 'The auth method of a flag is meant, and wins against a password in the environment or in clouds.yaml.',
    explains: (difference) => says(difference, /is not used, because of --/),
  },
  {
    reason:
      'openstacksdk 0.101 prefers what is below `auth`, also to variables and flags. The plugin does what openstacksdk ' +
      '4.22 does.',
    explains: ({ client }, { files, env, flags }) =>
      client.includes(' 6.') && hasKeyBelowAuthAndElsewhere(files, { ...env, ...flags }),
  },
  {
    reason:
      'keystoneauth 5.0 ignores the system scope beside a domain. The plugin logs in to the system, as 5.18 does.',
    explains: ({ client, fields }) => client.includes(' 6.') && fields['scope']?.plugin === '{"system":{"all":true}}',
  },
];
