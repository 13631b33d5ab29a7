/**
 * Parses JSON into a tree that knows where each part stands, so that a finding can name its position, and in which a
 * name that an object has twice is an error: `JSON.parse` keeps only the last of them, and Go merges them.
 */
import type { JsonObject } from '../../../shared/base/json.ts';
import { InvalidPolicyError } from './policy-error.ts';

interface JsonPart {
  /** The offset of its first character in the text. */
  readonly at: number;
}

/** A member of an object; `at` is the offset of its name. */
export interface JsonMember extends JsonPart {
  readonly name: string;
  readonly value: JsonTree;
}

export interface JsonObjectTree extends JsonPart {
  readonly kind: 'object';
  readonly members: readonly JsonMember[];
}

export interface JsonListTree extends JsonPart {
  readonly kind: 'list';
  readonly items: readonly JsonTree[];
}

export interface JsonTextTree extends JsonPart {
  readonly kind: 'text';
  readonly text: string;
}

interface JsonLiteralTree extends JsonPart {
  readonly kind: 'literal';
  readonly value: number | boolean | null;
}

export type JsonTree = JsonObjectTree | JsonListTree | JsonTextTree | JsonLiteralTree;

/** More than any policy needs, and far below what would exhaust the stack. */
const MAX_DEPTH = 64;

const LITERAL = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?|true|false|null/y;

const SPACE = new Set([' ', '\t', '\n', '\r']);

class JsonReader {
  readonly #text: string;
  #at = 0;

  constructor(text: string) {
    this.#text = text;
  }

  readDocument(): JsonTree {
    const tree = this.#readValue(0);
    this.#skipSpace();
    if (this.#at < this.#text.length) this.#fail('something follows its end');
    return tree;
  }

  #fail(reason: string, at = this.#at): never {
    throw new InvalidPolicyError(`it is not JSON: ${reason}`, at);
  }

  #skipSpace(): void {
    while (SPACE.has(this.#text.charAt(this.#at))) this.#at += 1;
  }

  /** Skips white space, and then the character if it is there. */
  #skip(character: string): boolean {
    this.#skipSpace();
    if (this.#text.charAt(this.#at) !== character) return false;
    this.#at += 1;
    return true;
  }

  #readValue(depth: number): JsonTree {
    this.#skipSpace();
    if (depth > MAX_DEPTH) this.#fail('it is nested too deeply');
    const at = this.#at;
    if (this.#text.charAt(at) === '"') return { kind: 'text', at, text: this.#readText() };
    if (this.#skip('[')) return { kind: 'list', at, items: this.#readItems(depth) };
    if (this.#skip('{')) return { kind: 'object', at, members: this.#readMembers(depth) };
    LITERAL.lastIndex = at;
    const literal = LITERAL.exec(this.#text)?.[0];
    if (literal === undefined) {
      return this.#fail(at < this.#text.length ? 'a value is expected here' : 'it ends too early');
    }
    this.#at += literal.length;
    return { kind: 'literal', at, value: JSON.parse(literal) as number | boolean | null };
  }

  #readItems(depth: number): readonly JsonTree[] {
    const items: JsonTree[] = [];
    if (this.#skip(']')) return items;
    for (;;) {
      items.push(this.#readValue(depth + 1));
      if (this.#skip(']')) return items;
      if (!this.#skip(',')) this.#fail('"," or "]" is expected here');
    }
  }

  #readMembers(depth: number): readonly JsonMember[] {
    const members = new Map<string, JsonMember>();
    if (this.#skip('}')) return [];
    for (;;) {
      this.#skipSpace();
      const at = this.#at;
      if (this.#text.charAt(at) !== '"') this.#fail('a key in double quotes is expected here');
      const name = this.#readText();
      if (members.has(name)) throw new InvalidPolicyError(`the key "${name}" occurs twice`, at);
      if (!this.#skip(':')) this.#fail('":" is expected here');
      members.set(name, { at, name, value: this.#readValue(depth + 1) });
      if (this.#skip('}')) return [...members.values()];
      if (!this.#skip(',')) this.#fail('"," or "}" is expected here');
    }
  }

  #readText(): string {
    const start = this.#at;
    let end = start + 1;
    while (this.#text.charAt(end) !== '"') {
      if (end >= this.#text.length) this.#fail('a string has no end', start);
      if (this.#text.charAt(end) < ' ') this.#fail('a string contains a control character', end);
      end += this.#text.charAt(end) === '\\' ? 2 : 1;
    }
    this.#at = end + 1;
    try {
      return JSON.parse(this.#text.slice(start, this.#at)) as string;
    } catch {
      return this.#fail('a string contains an unknown escape', start);
    }
  }
}

/**
 * Parses a JSON text.
 *
 * @throws InvalidPolicyError with the position, if it is not JSON or an object has a key twice
 */
export function parseJsonTree(text: string): JsonTree {
  return new JsonReader(text).readDocument();
}

/** The value that `JSON.parse` would give. */
export function toPlainValue(tree: JsonTree): unknown {
  switch (tree.kind) {
    case 'object':
      return toPlainObject(tree);
    case 'list':
      return tree.items.map(toPlainValue);
    case 'text':
      return tree.text;
    case 'literal':
      return tree.value;
  }
}

/** The object that `JSON.parse` would give. */
export function toPlainObject({ members }: JsonObjectTree): JsonObject {
  return Object.fromEntries(members.map(({ name, value }) => [name, toPlainValue(value)]));
}
