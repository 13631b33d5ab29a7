/**
 * Keys of version 2, `namespace/resource`. Each side is a word, `*`, `!word`, or a list `['a', 'b']` or `!['a', 'b']`. On
 * the right a word may name a subresource: `pods/exec`, `pods/*`, and as a mark of all, `*` covers every one.
 */
import type { ResourceRequest } from '../../review/review.ts';
import type { Compatibilities, FindingReporter } from './finding.ts';

/** The words of one side. */
export interface PatternSide {
  readonly isNegated: boolean;
  readonly isList: boolean;
  readonly words: readonly string[];
  /** Written with a space after the `!`. */
  readonly hasSpacedNegation: boolean;
}

export interface KeyPattern {
  readonly namespace: PatternSide;
  readonly resource: PatternSide;
}

const QUOTED = /^'([^']*)'$|^"([^"]*)"$/;

function parseWord(text: string): string | undefined {
  const word = text.trim();
  const quoted = QUOTED.exec(word);
  const bare = quoted === null ? word : (quoted[1] ?? quoted[2] ?? '').trim();
  return bare === '' || /[\s'"[\],!]/.test(bare) ? undefined : bare;
}

function parseSide(text: string): PatternSide | undefined {
  const whole = text.trim();
  const isNegated = whole.startsWith('!');
  const rest = isNegated ? whole.slice(1) : whole;
  const body = rest.trim();
  const isList = body.startsWith('[');
  if (isList !== body.endsWith(']')) return undefined;
  const words = (isList ? body.slice(1, -1).split(',') : [body]).map(parseWord);
  if (!words.every((word) => word !== undefined)) return undefined;
  return { isNegated, isList, words, hasSpacedNegation: isNegated && rest !== body };
}

/** Where the namespace ends: the first slash outside a list. */
function findSlash(key: string): number {
  let depth = 0;
  for (let at = 0; at < key.length; at += 1) {
    const character = key[at];
    if (character === '[') depth += 1;
    else if (character === ']') depth -= 1;
    else if (character === '/' && depth === 0) return at;
  }
  return -1;
}

const slashes = (word: string): number => word.split('/').length - 1;

/** Reads a key; undefined where it is none. */
export function parseKeyPattern(key: string, compatibilities: Compatibilities): KeyPattern | undefined {
  const text = key.trim().toLowerCase();
  const at = findSlash(text);
  if (at < 0) return undefined;
  const namespace = parseSide(text.slice(0, at));
  const resource = parseSide(text.slice(at + 1));
  if (namespace === undefined || resource === undefined) return undefined;
  if (namespace.words.some((word) => slashes(word) > 0)) return undefined;
  const mostSlashes = compatibilities.has('v2-subresources') ? 0 : 1;
  const named = resource.words.every((word) => slashes(word) <= mostSlashes && !/^\/|\/$/.test(word));
  return named ? { namespace, resource } : undefined;
}

/** Sets instead of lists: of a thousand entries a request is asked of each. */
function compileNamespace(
  { isNegated, isList, words }: PatternSide,
  isAnything: boolean,
): (namespace: string) => boolean {
  // A request for the whole cluster, or for all its namespaces.
  const wholeCluster = !isNegated && !isList && words[0] === '*';
  const [all, names] = [words.includes('*'), new Set(words)];
  return (namespace) => (namespace === '' ? wholeCluster : isAnything || (all || names.has(namespace)) !== isNegated);
}

/** Whether a word covers a request; what `pods` excludes by a negation includes the subresources. */
function covers(word: string, { resource, subresource }: ResourceRequest, broad: boolean): boolean {
  if (word === '*') return true;
  const [name = '', sub] = word.split('/');
  if (name !== '*' && name !== resource) return false;
  if (sub === undefined) return broad || subresource === '';
  return sub === '*' ? subresource !== '' : sub === subresource;
}

/** Makes the test of a key, and finds what is odd about it. */
export function compileKeyPattern(
  key: string,
  compatibilities: Compatibilities,
  find: FindingReporter,
): ((request: ResourceRequest) => boolean) | undefined {
  const pattern = parseKeyPattern(key, compatibilities);
  if (pattern === undefined) {
    find('never', `"${key}" is not a key such as "namespace/resource"`);
    return undefined;
  }
  const { namespace, resource } = pattern;
  const sides = [namespace, resource];
  const anything = ({ hasSpacedNegation }: PatternSide): boolean =>
    hasSpacedNegation && compatibilities.has('spaced-negation');
  if (sides.some((side) => side.isNegated && side.words.includes('*') && !anything(side))) {
    find('never', `"${key}" excludes everything`);
    return undefined;
  }
  if (sides.some(({ hasSpacedNegation }) => hasSpacedNegation)) {
    find('fault', `"${key}": with a space after the "!", the Go program excluded nothing`);
  }
  const isIn = compileNamespace(namespace, anything(namespace));
  const anyResource = anything(resource);
  const broad = compatibilities.has('v2-subresources') || resource.isNegated;
  return (request) =>
    isIn(request.namespace) &&
    (anyResource || resource.words.some((word) => covers(word, request, broad)) !== resource.isNegated);
}
