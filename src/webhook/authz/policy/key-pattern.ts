/**
 * Keys of version 2, `namespace/resource`; docs/webhook/policy.md has the grammar. What it does not cover grants
 * nothing, although the Go program takes some of it for exclusions that exclude nothing.
 */
import { isTextList } from '../../../shared/base/json-members.ts';
import type { ResourceRequest } from '../../review/access-request.ts';
import type { Compatibilities } from './compatibility.ts';
import type { SubresourceTest } from './connections.ts';
import type { FindingReporter } from './finding.ts';
import { lowerCase, replaceGoLetters } from './letter-case.ts';
import { hasSubresources } from './plain-resources.ts';

/** The words of one side. */
export interface PatternSide {
  readonly isNegated: boolean;
  readonly isList: boolean;
  readonly words: readonly string[];
  /** A space follows the `!`. */
  readonly hasSpacedNegation: boolean;
}

export interface KeyPattern {
  readonly namespace: PatternSide;
  readonly resource: PatternSide;
}

/** A side, and the words of its list that are not names. */
interface ParsedSide {
  readonly side: PatternSide;
  readonly strangeWords: readonly string[];
}

/** White space as Go trims it. */
const SPACE = /[\t-\r\u0085\p{Z}]/u;

/** A loop, because an expression for the spaces at an end can take quadratic time. */
function trim(text: string): string {
  let [start, end] = [0, text.length];
  while (start < end && SPACE.test(text.charAt(start))) start += 1;
  while (end > start && SPACE.test(text.charAt(end - 1))) end -= 1;
  return text.slice(start, end);
}

const WORD = /^(?:[a-z\d][a-z\d._:-]*|\*)$/;

const isNamespaceWord = (word: string): boolean => WORD.test(word);

function isResourceWord(word: string): boolean {
  const parts = word.split('/');
  return parts.length <= 2 && parts.every(isNamespaceWord);
}

/** Whether the word of a resource has a dot before a subresource, as in `deployments.apps/scale`. */
export const hasGroup = (word: string): boolean => /^[^/]*\./.test(word);

/** The strings of `['a', "b"]`: JSON, but for the quotes. As in Go, null is an empty string. */
function parseList(text: string): readonly string[] | undefined {
  // Go looks for the first bracket, even inside a string.
  if (text.indexOf(']') !== text.length - 1) return undefined;
  try {
    const value: unknown = JSON.parse(text.replaceAll("'", '"'));
    const items = Array.isArray(value) ? value.map((item: unknown) => item ?? '') : [0];
    return isTextList(items) ? items : undefined;
  } catch {
    return undefined;
  }
}

function parseSide(text: string, isWord: (word: string) => boolean): ParsedSide | undefined {
  const trimmed = lowerCase(trim(text));
  const isNegated = trimmed.startsWith('!');
  const operand = isNegated ? trimmed.slice(1) : trimmed;
  const body = trim(operand);
  const isList = body.startsWith('[');
  const items = isList ? parseList(body) : [body];
  if (items === undefined) return undefined;
  const words = items.filter(isWord);
  const strangeWords = items.filter((item) => !isWord(item));
  // A list without a word of it is a narrower list, but an exclusion without it is a wider one.
  if (strangeWords.length > 0 && (isNegated || !isList)) return undefined;
  return { side: { isNegated, isList, words, hasSpacedNegation: isNegated && operand !== body }, strangeWords };
}

interface ParsedKey {
  readonly namespace: ParsedSide;
  readonly resource: ParsedSide;
}

function parseKey(key: string): ParsedKey | undefined {
  const slashIndex = key.indexOf('/');
  if (slashIndex < 0) return undefined;
  const namespace = parseSide(key.slice(0, slashIndex), isNamespaceWord);
  const resource = parseSide(key.slice(slashIndex + 1), isResourceWord);
  return namespace === undefined || resource === undefined ? undefined : { namespace, resource };
}

/** Whether the Go program, which ignores a key with more than one slash, reads it as a namespace and a resource. */
const isReadByGo = (key: string): boolean => key.split('/').length === 2;

function parseAllowedKey(key: string, compatibilities: Compatibilities): ParsedKey | undefined {
  return compatibilities.has('v2-subresources') && !isReadByGo(key) ? undefined : parseKey(key);
}

const toPattern = ({ namespace, resource }: ParsedKey): KeyPattern => ({
  namespace: namespace.side,
  resource: resource.side,
});

/** Parses a key; undefined if it is invalid. */
export function parseKeyPattern(key: string, compatibilities: Compatibilities): KeyPattern | undefined {
  const parsed = parseAllowedKey(key, compatibilities);
  return parsed && toPattern(parsed);
}

const matchesAll = ({ hasSpacedNegation }: PatternSide, compatibilities: Compatibilities): boolean =>
  hasSpacedNegation && compatibilities.has('spaced-negation');

/** Whether the Go program takes a side that the grammar does not cover for an exclusion of a name that nothing has. */
function isWideInGo(text: string): boolean {
  const side = lowerCase(trim(text));
  return side.startsWith('![') ? parseList(side.slice(1)) !== undefined : side.startsWith('!');
}

const CHANGED_LETTERS = 'the Go program changed letters of it to i or k';

function reportInvalidKey(key: string, at: number, compatibilities: Compatibilities, report: FindingReporter): void {
  const problem = `"${key}" is not a key such as "namespace/resource"`;
  if (!isReadByGo(key)) {
    const isSubresource = compatibilities.has('v2-subresources') && parseKey(key) !== undefined;
    report('never', isSubresource ? `"${key}" names a subresource, which v2-subresources excludes` : problem, at);
    return;
  }
  const keyInGo = replaceGoLetters(key);
  const sides = keyInGo.split('/').filter((_, index) => isInvalidSide(keyInGo, index));
  if (sides.length === 0) report('changed-letters', `${problem}; ${CHANGED_LETTERS}`, at);
  else if (sides.every(isWideInGo)) {
    report('unclear-exclusion', `${problem}; in the Go program it excluded nothing`, at);
  } else report('never', problem, at);
}

const isInvalidSide = (key: string, index: number): boolean =>
  parseSide(key.split('/')[index] ?? '', index === 0 ? isNamespaceWord : isResourceWord) === undefined;

function reportStrangeWords(key: string, strangeWords: readonly string[], at: number, report: FindingReporter): void {
  if (strangeWords.length === 0) return;
  const inGo = isReadByGo(key) ? parseKey(replaceGoLetters(key)) : undefined;
  const strangeInGo = inGo && [...inGo.namespace.strangeWords, ...inGo.resource.strangeWords];
  for (const word of strangeWords) {
    const problem = `"${key}": "${word}" is not a name and matches nothing`;
    if (strangeInGo?.includes(word) === false) report('changed-letters', `${problem}; ${CHANGED_LETTERS}`, at);
    else report('never', problem, at);
  }
}

/** No resource has a dot in its name; kubectl names a resource with its group like this. */
function reportGroups(key: string, { words, isNegated }: PatternSide, at: number, report: FindingReporter): void {
  const word = words.find((candidate) => hasGroup(candidate));
  if (word === undefined) return;
  const effect = isNegated ? 'excludes nothing' : 'matches nothing';
  report(isNegated ? 'odd' : 'never', `"${key}": "${word}" ${effect}: version 2 has no API groups`, at);
}

function reportValidKey(
  key: string,
  { namespace, resource }: ParsedKey,
  at: number,
  compatibilities: Compatibilities,
  report: FindingReporter,
): void {
  reportStrangeWords(key, [...namespace.strangeWords, ...resource.strangeWords], at, report);
  reportGroups(key, resource.side, at, report);
  const sides = [namespace.side, resource.side];
  if (sides.some(({ isList, isNegated, words }) => isList && !isNegated && words.length === 0)) {
    report('never', `"${key}" has an empty list and matches nothing`, at);
  }
  if (sides.some(({ isNegated, words }) => isNegated && words.length === 0)) {
    report('odd', `"${key}" has an empty list and excludes nothing`, at);
  }
  if (!isReadByGo(key)) {
    report('named-subresource', `"${key}" names a subresource; the Go program ignores such a key`, at);
    return;
  }
  if (sides.some((side) => side.hasSpacedNegation && !matchesAll(side, compatibilities))) {
    report('spaced-negation', `"${key}": with a space after the "!", the Go program excluded nothing`, at);
  }
}

/** Reads a key and reports its problems; undefined if it never matches. */
export function readKeyPattern(
  key: string,
  at: number,
  compatibilities: Compatibilities,
  report: FindingReporter,
): KeyPattern | undefined {
  const parsed = parseAllowedKey(key, compatibilities);
  if (parsed === undefined) {
    reportInvalidKey(key, at, compatibilities, report);
    return undefined;
  }
  const pattern = toPattern(parsed);
  const excluding = [pattern.namespace, pattern.resource].filter(
    (side) => side.isNegated && side.words.includes('*') && !matchesAll(side, compatibilities),
  );
  if (excluding.length > 0) {
    const isWide = isReadByGo(key) && excluding.every(({ hasSpacedNegation }) => hasSpacedNegation);
    const inGo = isWide ? '; with the space after the "!", the Go program excluded nothing' : '';
    report(isWide ? 'spaced-negation' : 'never', `"${key}" excludes everything${inGo}`, at);
    return undefined;
  }
  reportValidKey(key, parsed, at, compatibilities, report);
  return pattern;
}

interface CompiledNamespace {
  readonly matches: (namespace: string) => boolean;
  /** All that it matches; undefined if these are not a few names. */
  readonly names: ReadonlySet<string> | undefined;
}

/** Uses sets, because a request may be tested against a thousand entries. */
function compileNamespace({ isNegated, isList, words }: PatternSide, matchesAny: boolean): CompiledNamespace {
  // An empty namespace is a request for the whole cluster, or for all namespaces.
  const includesCluster = !isNegated && !isList && words[0] === '*';
  const hasWildcard = words.includes('*');
  const names = new Set(words);
  return {
    matches: (namespace) =>
      namespace === '' ? includesCluster : matchesAny || (hasWildcard || names.has(namespace)) !== isNegated,
    names: matchesAny || hasWildcard || isNegated ? undefined : names,
  };
}

/** @param includesSubresources whether a plain `pods` also covers its subresources */
function coversRequest(
  word: string,
  { resource, subresource }: Pick<ResourceRequest, 'resource' | 'subresource'>,
  includesSubresources: boolean,
): boolean {
  if (word === '*') return true;
  const [resourceWord = '', subresourceWord] = word.split('/');
  if (resourceWord !== '*' && resourceWord !== resource) return false;
  // Where there are no subresources, nothing is lost by the answer of the Go program.
  if (subresourceWord === undefined) return includesSubresources || subresource === '' || !hasSubresources(resource);
  return subresourceWord === '*' ? subresource !== '' : subresourceWord === subresource;
}

export interface CompiledKey {
  readonly matches: (request: ResourceRequest) => boolean;
  /** All namespaces that it matches; undefined if these are not a few names. */
  readonly namespaces: ReadonlySet<string> | undefined;
  readonly coversResource: SubresourceTest;
}

/** Compiles a key. */
export function compileKeyPattern({ namespace, resource }: KeyPattern, compatibilities: Compatibilities): CompiledKey {
  const { matches: matchesNamespace, names } = compileNamespace(namespace, matchesAll(namespace, compatibilities));
  const matchesAnyResource = matchesAll(resource, compatibilities);
  // A negation such as `!pods` also excludes the subresources.
  const includesSubresources = compatibilities.has('v2-subresources') || resource.isNegated;
  const covers = (request: Pick<ResourceRequest, 'resource' | 'subresource'>): boolean =>
    matchesAnyResource ||
    resource.words.some((word) => coversRequest(word, request, includesSubresources)) !== resource.isNegated;
  return {
    matches: (request) => matchesNamespace(request.namespace) && covers(request),
    namespaces: names,
    coversResource: (name, subresource, isNamespaced) =>
      (isNamespaced || matchesNamespace('')) && covers({ resource: name, subresource }),
  };
}
