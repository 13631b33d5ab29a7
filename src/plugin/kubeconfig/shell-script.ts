/**
 * Reads short shell scripts, such as those in exec stanzas, without running anything. It knows what the common shells
 * have in common: quotes, substitutions, comments, here-documents and what separates commands.
 */

/** One word of a command. */
export interface Word {
  /** Without quotes; an expansion stays as it is written, such as `$HOME`. */
  readonly text: string;
  /** Whether the shell uses the text as it is, without an expansion. */
  readonly isLiteral: boolean;
}

/** One command. */
export interface ShellCommand {
  /** Its assignments included. */
  readonly words: readonly Word[];
  /** The command before `&&` or `||`, which decides whether this one runs. */
  readonly after?: { readonly operator: '&&' | '||'; readonly command: ShellCommand } | undefined;
}

/** No exec stanza has a longer script. */
const MAX_SCRIPT = 20_000;
const MAX_DEPTH = 8;

const SEPARATORS = new Set([';', '&', '|', '\n', '(', ')']);
const BLANKS = new Set([' ', '\t', '\r']);

class UnreadableScript extends Error {}

/** Reads one script from left to right. */
class ScriptReader {
  readonly commands: ShellCommand[] = [];
  readonly #text: string;
  readonly #depth: number;
  #at = 0;
  #words: Word[] = [];
  #after: ShellCommand['after'];
  #word: { text: string; isLiteral: boolean } | undefined;
  #delimiters: string[] = [];

  constructor(text: string, depth: number) {
    if (depth > MAX_DEPTH) throw new UnreadableScript();
    this.#text = text;
    this.#depth = depth;
  }

  /**
   * Reads until the end, or until the parenthesis that closes a substitution.
   *
   * @returns the offset after it
   */
  read(isSubstitution: boolean): number {
    let depth = 0;
    while (this.#at < this.#text.length) {
      const character = this.#text.charAt(this.#at);
      if (isSubstitution && character === ')' && depth === 0) {
        this.#endCommand();
        return this.#at + 1;
      }
      if (character === '(') depth += 1;
      else if (character === ')') depth -= 1;
      this.#readCharacter(character);
    }
    if (isSubstitution) throw new UnreadableScript();
    this.#endCommand();
    return this.#at;
  }

  #readCharacter(character: string): void {
    if (character === '\n') this.#endLine();
    else if (SEPARATORS.has(character)) this.#separate();
    else if (BLANKS.has(character)) this.#endWord(1);
    else if (character === '#' && this.#word === undefined) this.#skipTo('\n');
    else if (character === "'") this.#readSingleQuotes();
    else if (character === '"') this.#readDoubleQuotes();
    else if (character === '\\') this.#readEscape();
    else if (character === '`') this.#readBackquotes();
    else if (character === '$') this.#readExpansion();
    else if (this.#text.startsWith('<<', this.#at)) this.#readHereDocument();
    else this.#add(character, 1);
  }

  #add(text: string, length: number, isLiteral = true): void {
    this.#word ??= { text: '', isLiteral: true };
    this.#word.text += text;
    this.#word.isLiteral &&= isLiteral;
    this.#at += length;
  }

  #endWord(length: number): void {
    if (this.#word !== undefined) this.#words.push(this.#word);
    this.#word = undefined;
    this.#at += length;
  }

  #endCommand(): void {
    this.#endWord(0);
    // A line can end after an operator.
    if (this.#words.length === 0) return;
    this.commands.push({ words: this.#words, after: this.#after });
    this.#words = [];
    this.#after = undefined;
  }

  /** An ampersand can belong to a redirection, such as `2>&1`. */
  #separate(): void {
    if (this.#text.charAt(this.#at) === '&' && /[<>]$/.test(this.#word?.text ?? '')) {
      this.#add('&', 1);
      return;
    }
    const operator = (['&&', '||'] as const).find((each) => this.#text.startsWith(each, this.#at));
    this.#endCommand();
    this.#at += operator?.length ?? 1;
    const command = this.commands.at(-1);
    if (operator !== undefined && command !== undefined) this.#after = { operator, command };
  }

  #skipTo(text: string): void {
    const end = this.#text.indexOf(text, this.#at);
    this.#at = end === -1 ? this.#text.length : end;
  }

  #readSingleQuotes(): void {
    const end = this.#text.indexOf("'", this.#at + 1);
    if (end === -1) throw new UnreadableScript();
    this.#add(this.#text.slice(this.#at + 1, end), end + 1 - this.#at);
  }

  #readEscape(): void {
    const next = this.#text.charAt(this.#at + 1);
    if (next === '\n') this.#at += 2;
    else this.#add(next, 2);
  }

  #readDoubleQuotes(): void {
    this.#add('', 1);
    for (;;) {
      const character = this.#text.charAt(this.#at);
      if (character === '') throw new UnreadableScript();
      if (character === '"') break;
      if (character === '$') this.#readExpansion();
      else if (character === '`') this.#readBackquotes();
      else if (character === '\\' && /["\\$`\n]/.test(this.#text.charAt(this.#at + 1))) this.#readEscape();
      else this.#add(character, 1);
    }
    this.#add('', 1);
  }

  #readBackquotes(): void {
    const end = this.#text.indexOf('`', this.#at + 1);
    if (end === -1) throw new UnreadableScript();
    this.#readInside(this.#text.slice(this.#at + 1, end));
    this.#add('$(…)', end + 1 - this.#at, false);
  }

  #readExpansion(): void {
    if (this.#text.startsWith('$(', this.#at)) {
      const inner = new ScriptReader(this.#text.slice(this.#at + 2), this.#depth + 1);
      const length = inner.read(true);
      this.commands.push(...inner.commands);
      this.#add('$(…)', length + 2, false);
      return;
    }
    const [expansion = '$'] =
      /^\$(?:\{[^{}]*\}|env:\w+|\w+|[?#@*!$-])/.exec(this.#text.slice(this.#at, this.#at + 200)) ?? [];
    const [, operand = ''] = /^\$\{\w+:?[-=+](.*)\}$/s.exec(expansion) ?? [];
    if (/\$\(|`/.test(operand)) this.#readInside(`: ${operand}`);
    this.#add(expansion, expansion.length, expansion === '$');
  }

  #readInside(text: string): void {
    const inner = new ScriptReader(text, this.#depth + 1);
    inner.read(false);
    this.commands.push(...inner.commands);
  }

  #readHereDocument(): void {
    const [match, , word] = /^<<-?[ \t]*(["']?)(\w+)\1/.exec(this.#text.slice(this.#at, this.#at + 200)) ?? [];
    if (match === undefined || word === undefined) throw new UnreadableScript();
    this.#delimiters.push(word);
    this.#endWord(match.length);
  }

  /** The here-documents of a line start after it. They are the last words of its command. */
  #endLine(): void {
    this.#endWord(1);
    for (const delimiter of this.#delimiters) {
      const lines = this.#text.slice(this.#at).split('\n');
      const length = lines.findIndex((line) => line.trim() === delimiter);
      if (length === -1) throw new UnreadableScript();
      const body = lines.slice(0, length).join('\n');
      // Quotes have no meaning in it, but expansions do.
      const inner = new ScriptReader(`"${body.replaceAll(/\\?"/g, '\\"')}"`, this.#depth + 1);
      inner.read(false);
      this.#words.push(...(inner.commands.pop()?.words ?? []));
      this.commands.push(...inner.commands);
      this.#at += body.length + (lines[length] ?? '').length + (length === 0 ? 0 : 1) + 1;
    }
    this.#delimiters = [];
    this.#endCommand();
  }
}

/** Lists the commands of a script, those of its substitutions included; undefined if it cannot be read. */
export function readShellScript(script: string): readonly ShellCommand[] | undefined {
  if (script.length > MAX_SCRIPT) return undefined;
  const reader = new ScriptReader(script, 0);
  try {
    reader.read(false);
  } catch (error) {
    if (error instanceof UnreadableScript) return undefined;
    throw error;
  }
  return reader.commands;
}
