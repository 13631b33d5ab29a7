/**
 * Names of users and groups in the cluster that are made from names in Keystone or at an issuer. Whoever administers a
 * domain chooses such names, so they must not become a name that a Kubernetes distribution, the operator or another
 * authenticator gives rights to.
 */

/**
 * Prefixes of names that Kubernetes and its distributions bind to roles: Kubernetes itself, kubeadm (the group
 * `kubeadm:cluster-admins`), OpenShift (the user `kube:admin`), Gardener, and managed clusters.
 */
export const RESERVED_PREFIXES: readonly string[] = [
  'system:',
  'kubeadm:',
  'kube:',
  'kubernetes:',
  'openshift:',
  'gardener.cloud:',
  'cattle:',
  'rancher:',
  'rke:',
  'rke2:',
  'k3s:',
  'k0s:',
  'kops:',
  'microk8s:',
  'eks:',
  'gke:',
  'gce:',
  'aks:',
];

/** Returns the reserved prefix of a name in the cluster; undefined if it has none. */
export const findReservedPrefix = (name: string): string | undefined =>
  RESERVED_PREFIXES.find((prefix) => name.toLowerCase().startsWith(prefix));

/** What Keystone calls a project: 32 hexadecimal digits. Each project's ID is a group in the cluster. */
const PROJECT_ID = /^[0-9a-f]{32}$/i;

/** Names with a colon that are accepted without a prefix; an entry that ends in `*` stands for a prefix. */
export type AllowedNames = readonly string[];

function isAllowed(name: string, allowed: AllowedNames): boolean {
  return allowed.some((entry) => (entry.endsWith('*') ? name.startsWith(entry.slice(0, -1)) : name === entry));
}

/** A name for the cluster. */
export interface NameResult {
  readonly name: string;
  /** Why the name must not be used, as the end of a sentence about it; undefined if it can be used. */
  readonly problem: string | undefined;
}

/**
 * Refuses a reserved name, and a name with a colon that is neither prefixed nor allowed.
 *
 * @param isPrefixed whether the operator decides how the name begins
 */
function checkName(name: string, isPrefixed: boolean, allowed: AllowedNames): NameResult {
  const reserved = findReservedPrefix(name);
  if (reserved !== undefined) return { name, problem: `begins with "${reserved}"` };
  if (isPrefixed || !name.includes(':') || isAllowed(name, allowed)) return { name, problem: undefined };
  return { name, problem: 'contains a colon, and neither a prefix nor --allowed-colon-names covers it' };
}

/** Makes a name from an issuer's name and the operator's prefix, which may be empty. */
export function prefixName(prefix: string, issuerName: string, allowed: AllowedNames): NameResult {
  return checkName(prefix + issuerName, prefix !== '', allowed);
}

/** Whether a group that others named could be taken for the group of a project. */
export const looksLikeProjectId = (name: string): boolean => PROJECT_ID.test(name);

const PLACEHOLDER = /%([a-zA-Z])/g;

/** Replaces each `%x` by the part of that letter, in one pass: a `%i` inside an inserted name stays as it is. */
export function fillFormat(format: string, parts: Readonly<Record<string, string>>): string {
  return format.replace(PLACEHOLDER, (placeholder, letter: string) =>
    Object.hasOwn(parts, letter) ? (parts[letter] ?? placeholder) : placeholder,
  );
}

interface Placeholder {
  readonly letter: string;
  /** The text of the format before it, up to the previous placeholder. */
  readonly before: string;
  /** The text of the format after it, up to the next placeholder. */
  readonly after: string;
}

function listPlaceholders(format: string): readonly Placeholder[] {
  // With a group in the pattern, every other part is a letter.
  const pieces = format.split(PLACEHOLDER);
  return pieces.flatMap((letter, index) =>
    index % 2 === 0 ? [] : [{ letter, before: pieces[index - 1] ?? '', after: pieces[index + 1] ?? '' }],
  );
}

/** Whether two placeholders stand side by side, so that nobody could tell where one name ends. */
export const hasAdjacentPlaceholders = (format: string): boolean =>
  listPlaceholders(format).some(({ before }, index) => index > 0 && before === '');

const containsAny = (text: string, characters: string): boolean =>
  Array.from(characters).some((character) => text.includes(character));

/**
 * Finds a part that makes the name ambiguous. One part, the name (%n) if there is one, may contain anything; the others
 * must not contain the text that separates them, or `%D:%n` would make one name of `corp`, `eu:alice` and of
 * `corp:eu`, `alice`.
 */
function findAmbiguousPart(
  placeholders: readonly Placeholder[],
  parts: Readonly<Record<string, string>>,
): Placeholder | undefined {
  const lastName = placeholders.findLastIndex(({ letter }) => letter === 'n');
  const free = lastName < 0 ? placeholders.length - 1 : lastName;
  return placeholders.find(({ letter, before, after }, index) => {
    if (index === free) return false;
    const separator = index < free ? after : before;
    return containsAny(parts[letter] ?? '', separator);
  });
}

const PART_NAMES: Readonly<Record<string, string>> = {
  n: 'name',
  i: 'ID',
  D: 'domain name',
  d: 'domain ID',
};

/** Makes a name from names in Keystone, for the operator's format. */
export function formatName(format: string, parts: Readonly<Record<string, string>>, allowed: AllowedNames): NameResult {
  const placeholders = listPlaceholders(format);
  const name = fillFormat(format, parts);
  const ambiguous = findAmbiguousPart(placeholders, parts);
  if (ambiguous !== undefined) {
    const part = PART_NAMES[ambiguous.letter] ?? ambiguous.letter;
    return { name, problem: `is ambiguous, because its ${part} contains a separator of "${format}"` };
  }
  const [first] = placeholders;
  const beginning = first?.before === '' ? (parts[first.letter] ?? '') : '';
  const isPrefixed = !beginning.includes(':');
  return checkName(name, isPrefixed, allowed);
}
