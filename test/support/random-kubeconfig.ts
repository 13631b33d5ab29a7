/**
 * Random kubeconfigs for property-based tests, in many of the ways in which people and programs write them. The text is
 * made of pieces that know what they are about, so that a test can tell which of them an edit may touch.
 */
import fc from 'fast-check';

/** The lists of a kubeconfig, and the key that holds the content of an entry. */
const CONTENT_KEYS = { clusters: 'cluster', users: 'user', contexts: 'context' } as const;

export type Section = keyof typeof CONTENT_KEYS;

const SECTION_NAMES = Object.keys(CONTENT_KEYS) as readonly Section[];

export type Data = string | number | boolean | null | readonly Data[] | { readonly [name: string]: Data };

export type DataMap = Readonly<Record<string, Data>>;

/** A piece of the text. */
export interface Piece {
  /** `users/alice` for an entry, `users` for the key of a list; undefined for what no edit may touch. */
  readonly owner: string | undefined;
  readonly text: string;
}

export interface RandomKubeconfig {
  readonly data: DataMap;
  /** The content of the documents that follow. */
  readonly furtherDocuments: readonly Data[];
  readonly pieces: readonly Piece[];
  readonly text: string;
  /** Whether all lists are written in lines, not in brackets. */
  readonly isBlock: boolean;
  /** The owner of the entry that an alias refers to: it cannot change without changing other parts. */
  readonly anchored: string | undefined;
}

// --- What it contains ---

/** Text that a careless program would read as something else, or break. */
const TEXTS = [
  'a',
  'no',
  '0x10',
  '1e3',
  'null',
  '~',
  'a: b',
  '#c',
  '- x',
  '"q"',
  "it's",
  'ü',
  ' s ',
  '',
  'on',
  '{',
  '*',
];

const words = fc.oneof(fc.constantFrom(...TEXTS), fc.string({ maxLength: 12 }), fc.string({ unit: 'grapheme' }));
const lines = fc.array(fc.constantFrom('x', 'y: z', '# w', '  v'), { minLength: 2, maxLength: 4 });

/** Text of several lines, as in a certificate. */
const multiline = lines.map((list) => list.map((line) => `${line}\n`).join(''));

const scalars: fc.Arbitrary<Data> = fc.oneof(
  { weight: 6, arbitrary: words },
  { weight: 1, arbitrary: multiline },
  { weight: 1, arbitrary: fc.oneof(fc.integer(), fc.boolean(), fc.constant(null)) },
);

const keyNames = fc.constantFrom('token', 'server', 'namespace', 'client-key-data', 'x-own', '0', 'no', 'a b', 'ü');

/** A mapping with a list and a mapping below it now and then. */
export const contents: fc.Arbitrary<DataMap> = fc
  .tuple(
    fc.dictionary(keyNames, scalars, { minKeys: 1, maxKeys: 4, noNullPrototype: true }),
    fc.option(fc.array(scalars, { minLength: 1, maxLength: 3 }), { nil: undefined }),
    fc.option(fc.dictionary(keyNames, scalars, { minKeys: 1, maxKeys: 2, noNullPrototype: true }), { nil: undefined }),
  )
  .map(([map, args, config]) => ({
    ...map,
    ...(args === undefined ? {} : { args }),
    ...(config === undefined ? {} : { config }),
  }));

interface Entry {
  readonly name: string;
  readonly content: DataMap;
  readonly extra: Data | undefined;
}

export const entryNames: fc.Arbitrary<string> = fc.oneof(fc.constantFrom(...TEXTS), fc.string({ maxLength: 8 }));

const entryLists: fc.Arbitrary<Entry[]> = fc.uniqueArray(
  fc.record({
    name: entryNames,
    content: contents,
    extra: fc.option(scalars, { nil: undefined, freq: 3 }),
  }),
  { maxLength: 4, selector: ({ name }) => name },
);

// --- How it is written ---

interface Style {
  readonly form: 'block' | 'flow' | 'flow over lines' | 'JSON';
  /** Columns between a list and its key. */
  readonly listIndent: number;
  readonly indent: number;
  /** Chooses quotes, comments and the forms of entries, one after the other. */
  readonly choices: readonly number[];
  readonly hasComments: boolean;
  readonly start: string;
  readonly end: string;
  readonly lineEnd: '\n' | '\r\n';
  readonly endsWithLineFeed: boolean;
  readonly hasAliases: boolean;
  readonly emptyList: string;
  readonly order: readonly number[];
}

const FURTHER = 'further: [document] # stays\n';

const styles: fc.Arbitrary<Style> = fc.record({
  form: fc.oneof(
    { weight: 5, arbitrary: fc.constant('block' as const) },
    { weight: 2, arbitrary: fc.constantFrom('flow', 'flow over lines', 'JSON') },
  ),
  listIndent: fc.constantFrom(0, 2, 4),
  indent: fc.constantFrom(2, 4),
  choices: fc.array(fc.nat({ max: 11 }), { minLength: 12, maxLength: 40 }),
  hasComments: fc.boolean(),
  start: fc.constantFrom('', '', '# mine\n', '---\n', '\uFEFF', '%YAML 1.2\n---\n', '\n\n'),
  end: fc.constantFrom('', '', '# the end\n', '...\n', `---\n${FURTHER}`, `...\n---\n${FURTHER}`, '\n\n'),
  lineEnd: fc.constantFrom('\n', '\n', '\r\n'),
  endsWithLineFeed: fc.boolean(),
  hasAliases: fc.nat({ max: 7 }).map((number) => number === 0),
  emptyList: fc.constantFrom(' []', '', ' null', ' [ ]'),
  order: fc.shuffledSubarray([0, 1, 2, 3, 4, 5, 6], { minLength: 7 }),
});

/** Text that is surely text in YAML 1.1 and 1.2 without quotes. */
const isPlain = (text: string): boolean =>
  /^[a-z][a-z0-9./_-]*$/i.test(text) && !/^(?:y|n|yes|no|on|off|true|false|null)$/i.test(text);

class Writer {
  readonly pieces: Piece[] = [];
  readonly #style: Style;
  #choice = 0;
  #comments = 0;

  constructor(style: Style) {
    this.#style = style;
  }

  #choose(options: number): number {
    const { choices } = this.#style;
    this.#choice += 1;
    return (choices[this.#choice % choices.length] ?? 0) % options;
  }

  add(owner: string | undefined, text: string): void {
    if (text !== '') this.pieces.push({ owner, text: text.replaceAll('\n', this.#style.lineEnd) });
  }

  /** A comment now and then, with a number of its own. */
  #comment(prefix: string): string {
    if (!this.#style.hasComments || this.#choose(3) > 0) return '';
    this.#comments += 1;
    return `${prefix}# comment ${this.#comments}, "quoted': [`;
  }

  scalar(value: Data): string {
    if (typeof value !== 'string') return JSON.stringify(value);
    const kind = this.#choose(3);
    if (kind === 0 && isPlain(value)) return value;
    // A single-quoted text must not have line feeds, and control characters need escapes.
    if (kind === 1 && /^[ -~\u00a1-\u024f]*$/.test(value)) return `'${value.replaceAll("'", "''")}'`;
    return quote(value);
  }

  #flow(value: Data): string {
    if (Array.isArray(value)) return `[${value.map((item: Data) => this.#flow(item)).join(', ')}]`;
    if (typeof value !== 'object' || value === null) return this.scalar(value);
    const pairs = Object.entries(value).map(([key, item]) => `${this.scalar(key)}: ${this.#flow(item)}`);
    return `{${pairs.join(', ')}}`;
  }

  /** The lines of a value after its key or dash, which ends the line before. */
  #below(value: Data, column: number): string {
    const pad = ' '.repeat(column);
    if (
      typeof value === 'string' &&
      value.endsWith('\n') &&
      !/[^ -~\n]|^\s|\n\n/.test(value) &&
      this.#choose(2) === 0
    ) {
      const indented = value.slice(0, -1).replaceAll('\n', `\n${pad}`);
      return ` |${this.#comment('  ')}\n${pad}${indented}\n`;
    }
    if (typeof value !== 'object' || value === null || this.#choose(5) === 0) {
      return ` ${this.#flow(value)}${this.#comment('  ')}\n`;
    }
    const comment = `${this.#comment('  ')}\n`;
    if (Array.isArray(value)) {
      const list: readonly Data[] = value;
      return comment + list.map((item) => `${pad}-${this.#below(item, column + 2)}`).join('');
    }
    return (
      comment +
      Object.entries(value)
        .map(([key, item]) => this.#pair(key, item, column))
        .join('')
    );
  }

  #pair(key: string, value: Data, column: number, isCommented = true): string {
    const comment = isCommented ? this.#comment(' '.repeat(column)) : '';
    const below = this.#below(value, column + this.#style.indent);
    return `${comment === '' ? '' : `${comment}\n`}${' '.repeat(column)}${this.scalar(key)}:${below}`;
  }

  /** A setting at the top level. */
  setting(owner: string | undefined, key: string, value: Data): void {
    this.add(undefined, this.#gap(0));
    this.add(owner, `${key}: ${this.#flow(value)}${this.#comment('  ')}\n`);
  }

  #gap(column: number): string {
    const comment = this.#comment(' '.repeat(column));
    return comment === '' ? (this.#choose(6) === 0 ? '\n' : '') : `${comment}\n`;
  }

  /** @param anchored the owner of the entry that gets an anchor */
  list(section: Section, entries: readonly DataMap[], anchored: string | undefined): void {
    const { listIndent, emptyList, form } = this.#style;
    this.add(undefined, this.#gap(0));
    if (entries.length === 0) this.add(section, `${section}:${emptyList}${this.#comment('  ')}\n`);
    else if (form === 'block') {
      this.add(section, `${section}:${this.#comment('  ')}\n`);
      for (const entry of entries) {
        this.add(undefined, this.#gap(listIndent));
        const owner = ownerOf(section, entry);
        this.add(owner, this.#item(section, entry, listIndent, owner === anchored));
      }
    } else this.#flowList(section, entries);
  }

  #item(section: Section, entry: DataMap, column: number, isAnchored: boolean): string {
    const dash = `${' '.repeat(column)}- `;
    if (!isAnchored && this.#choose(6) === 0) return `${dash}${this.#flow(entry)}${this.#comment('  ')}\n`;
    const { name = '', ...others } = entry;
    const pairs = Object.entries(this.#choose(2) === 0 ? entry : { ...others, name });
    const texts = pairs.map(([key, value], index) => this.#pair(key, value, column + 2, index > 0));
    const text = dash + texts.join('').slice(column + 2);
    return isAnchored ? withAnchor(text, CONTENT_KEYS[section]) : text;
  }

  #flowList(section: Section, entries: readonly DataMap[]): void {
    const separator = this.#style.form === 'flow' ? ' ' : '\n  ';
    this.add(section, `${section}: [${separator.slice(1)}`);
    for (const [index, entry] of entries.entries()) {
      if (index > 0 || separator !== ' ') this.add('punctuation', `${index > 0 ? ',' : ''}${separator}`);
      this.add(ownerOf(section, entry), this.#flow(entry));
    }
    this.add('punctuation', `${separator === ' ' ? '' : '\n'}]\n`);
  }
}

const ownerOf = (section: Section, { name }: DataMap): string => `${section}/${typeof name === 'string' ? name : ''}`;

/** A double-quoted text of YAML: JSON, with escapes for what some parser does not read as it is. */
function quote(text: string): string {
  return JSON.stringify(text).replaceAll(/[^ -~\u00a1-\u024f]/gu, (character) => {
    const code = (character.codePointAt(0) ?? 0).toString(16);
    return code.length > 4 ? `\\U${code.padStart(8, '0')}` : `\\u${code.padStart(4, '0')}`;
  });
}

/** Gives the content of an entry an anchor. */
function withAnchor(text: string, contentKey: string): string {
  return text.replace(new RegExp(`^([ -]*["']?${contentKey}["']?:)(?=[ \\n])`, 'm'), '$1 &anchor');
}

type Lists = Readonly<Record<Section, readonly Entry[]>>;

const toData = (section: Section, { name, content, extra }: Entry): DataMap => ({
  name,
  [CONTENT_KEYS[section]]: content,
  ...(extra === undefined ? {} : { extra }),
});

function write(lists: Lists, current: string, style: Style): RandomKubeconfig {
  const [first] = lists.users;
  const anchor = style.hasAliases && style.form === 'block' ? first : undefined;
  const anchored = anchor === undefined ? undefined : `users/${anchor.name}`;
  const writer = new Writer(style);
  const data: Record<string, Data> = {};
  const addSetting = (key: string, value: Data, owner?: string): void => {
    data[key] = value;
    writer.setting(owner, key, value);
  };
  const addList = (section: Section): void => {
    const entries = lists[section].map((entry) => toData(section, entry));
    data[section] = entries.length > 0 || style.emptyList.includes('[') ? entries : null;
    writer.list(section, entries, anchored);
  };
  const parts = [
    () => {
      addSetting('apiVersion', 'v1');
    },
    () => {
      addSetting('kind', 'Config');
    },
    () => {
      addSetting('preferences', {});
    },
    () => {
      addSetting('current-context', current, 'current-context');
    },
    ...SECTION_NAMES.map((section) => () => {
      addList(section);
    }),
  ];
  writer.add(undefined, style.start);
  for (const index of style.order) parts[index]?.();
  if (anchor !== undefined) {
    data['x-alias'] = anchor.content;
    writer.add(undefined, 'x-alias: *anchor\n');
  }
  writer.add(undefined, style.end);
  if (style.form === 'JSON') return writeJson(data, style.indent);
  const pieces = style.endsWithLineFeed || style.end !== '' ? writer.pieces : withoutLastLineFeed(writer.pieces);
  return {
    data,
    furtherDocuments: style.end.includes(FURTHER) ? [{ further: ['document'] }] : [],
    pieces,
    text: pieces.map(({ text }) => text).join(''),
    isBlock: style.form === 'block',
    anchored,
  };
}

function writeJson(data: DataMap, indent: number): RandomKubeconfig {
  const text = JSON.stringify(data, null, indent);
  const pieces = [{ owner: 'all', text }];
  return { data, furtherDocuments: [], pieces, text, isBlock: false, anchored: undefined };
}

function withoutLastLineFeed(pieces: readonly Piece[]): Piece[] {
  return pieces.map((piece, index) =>
    index < pieces.length - 1 ? piece : { ...piece, text: piece.text.replace(/\r?\n$/, '') },
  );
}

/** Random kubeconfigs. */
export const kubeconfigs: fc.Arbitrary<RandomKubeconfig> = fc
  .tuple(
    fc.record({ clusters: entryLists, users: entryLists, contexts: entryLists }),
    fc.constantFrom('', 'a', 'no', '#c'),
    styles,
  )
  .map(([lists, current, style]) => write(lists, current, style));
