// Hostile contents for clouds.yaml: bombs, deep nesting, tags, broken syntax and encodings, and files as large as allowed.

/** The secret in the files. */
export const CANARY = 'canary-Q7x';
const LIMIT_BYTES = 256 * 1024;

/** Repeats a piece up to the maximum size of a file. */
const fill = (piece: string, length = LIMIT_BYTES): string => piece.repeat(Math.floor(length / piece.length));
const lines = (count: number, line: (index: number) => string): string =>
  Array.from({ length: count }, (_, index) => line(index)).join('\n');

const SECRET = `clouds:\n  c:\n    auth:\n      password: ${CANARY}\n`;

/** Each level has nine aliases of the level before ("billion laughs"). */
const laughs = (levels: number, open: string, close: string, join = ', '): string =>
  lines(
    levels,
    (level) =>
      `a${level}: &a${level} ${open}${Array(9)
        .fill(level === 0 ? CANARY : `*a${level - 1}`)
        .join(join)}${close}`,
  );

/** A mapping with many keys, merged into many mappings. */
const merges = (keys: number, times: number): string =>
  `a: &a {${lines(keys, (index) => `k${index}: ${CANARY}`).replaceAll('\n', ', ')}}\n${lines(times, (index) => `b${index}: {<<: *a}`)}`;

/** Contents by what they are. */
export type Files = Readonly<Record<string, string | Buffer>>;

const bombs: Files = {
  ...Object.fromEntries([2, 3, 5, 9, 20, 50].map((n) => [`laughs of ${n} levels, lists`, laughs(n, '[', ']')])),
  ...Object.fromEntries([2, 9, 50].map((n) => [`laughs of ${n} levels, block`, laughs(n, '\n  - ', '', '\n  - ')])),
  ...Object.fromEntries(
    [3, 9, 30].map((n) => [
      `laughs of ${n} levels, mappings`,
      lines(
        n,
        (level) =>
          `a${level}: &a${level} {${Array.from('abcdefghi', (key) => `${key}: ${level === 0 ? CANARY : `*a${level - 1}`}`).join(', ')}}`,
      ),
    ]),
  ),
  'laughs below clouds': `clouds:\n${laughs(20, '[', ']').replaceAll(/^/gm, '  ')}`,
  'laughs below auth': `clouds:\n  c:\n    auth:\n${laughs(9, '[', ']').replaceAll(/^/gm, '      ')}\n      password: *a8`,
  ...Object.fromEntries(
    [
      [10, 10],
      [100, 100],
      [1000, 1000],
      [4000, 2000],
      [1, 5000],
    ].map(([keys = 0, times = 0]) => [`${keys} keys merged ${times} times`, merges(keys, times)]),
  ),
  'merges of merges': lines(
    40,
    (index) =>
      `a${index}: &a${index} {${index === 0 ? `x: ${CANARY}` : `<<: [*a${index - 1}, *a${index - 1}]`}, k${index}: 1}`,
  ),
  'a list of merges': `a: &a {x: ${CANARY}}\nb: {<<: [${fill('*a, ')}]}`,
  'a thousand merges of one': `a: &a {x: ${CANARY}}\nb:\n${fill('  <<: *a\n')}`,
  'itself in a list': `a: &a [*a, ${CANARY}]`,
  'itself in a mapping': `clouds: &a\n  c: *a\n  password: ${CANARY}`,
  'itself as auth': `clouds:\n  c: &a\n    password: ${CANARY}\n    auth: *a`,
  'itself merged': `clouds:\n  c: &a\n    <<: *a\n    password: ${CANARY}`,
  'itself as a key': `&a ? *a : ${CANARY}`,
  'aliases without end': `- &a ${CANARY}\n${fill('- *a\n')}`,
  'anchors without end': fill(`- &${CANARY} b\n`),
  'an alias of nothing': `a: *${CANARY}`,
  'a long anchor': `a: &${CANARY}${'x'.repeat(200_000)} b`,
};

const deep: Files = {
  ...Object.fromEntries(
    ['[', '{', '- ', '? ', '{a: ', '[a: ', '["a":', '[\n', '{a: [', '- - ', '{? ', '!!str [', '&a ['].map((piece) => [
      `only ${JSON.stringify(piece)}`,
      SECRET + fill(piece, 200_000),
    ]),
  ),
  'deeper by a space each line': SECRET + lines(600, (index) => `${' '.repeat(index)}a:`),
  'shallower by a space each line': lines(600, (index) => `${' '.repeat(600 - index)}a: ${CANARY}`),
  ...Object.fromEntries(
    [10, 31, 32, 33, 64, 1_000].map((n) => [`${n} lists`, `${'['.repeat(n)}${CANARY}${']'.repeat(n)}`]),
  ),
  ...Object.fromEntries(
    [10, 31, 33, 1_000].map((n) => [`${n} mappings`, `${'{a: '.repeat(n)}${CANARY}${'}'.repeat(n)}`]),
  ),
  ...Object.fromEntries(
    [5, 15, 30].map((n) => [`keys of ${n} lists`, fill(`${'['.repeat(n)}a${']: '.repeat(n)}${CANARY}\n`)]),
  ),
  ...Object.fromEntries(
    [5, 15, 30].map((n) => [
      `${n} lists that may be keys`,
      `[${fill(`${'['.repeat(n)}a${']: b'.repeat(n)},`)}${CANARY}]`,
    ]),
  ),
  'flat lists, many': `[${fill('[],')}${CANARY}]`,
  'lists of lists, many': `[${fill(`${'['.repeat(30)}${']'.repeat(30)},`)}${CANARY}]`,
};

const tags: Files = Object.fromEntries(
  [
    '!!js/function',
    '!!js/undefined',
    '!!js/regexp',
    '!!python/object/apply:os.system',
    '!!python/name:os.system',
    '!!java.net.URL',
    '!!binary',
    '!!timestamp',
    '!!set',
    '!!omap',
    '!!pairs',
    '!!merge',
    '!!float',
    '!!int',
    '!!bool',
    '!!null',
    '!!map',
    '!!seq',
    '!ruby/object:Gem::Installer',
    '!<tag:yaml.org,2002:js/function>',
    '!include',
    '!',
    `!${CANARY}`,
    `!!${CANARY}`,
    `!<${CANARY}`,
    `!${CANARY}!x`,
    `!%${CANARY}`,
  ].flatMap((tag) => [
    [`tag ${tag}`, `clouds: ${tag} ${CANARY}\n`],
    [`tag ${tag} of a list`, `clouds: ${tag} [${CANARY}]\n`],
  ]),
);

const wrong: Files = {
  nothing: '',
  'a space': ' ',
  'no newline': `clouds: ${CANARY}`,
  'a scalar': CANARY,
  'a list': `- ${CANARY}`,
  'a list of clouds': `clouds: [${CANARY}]`,
  'a text for a cloud': `clouds: {c: ${CANARY}}`,
  'a text for auth': `clouds: {c: {auth: ${CANARY}}}`,
  'a list for auth': `clouds: {c: {auth: [${CANARY}]}}`,
  'a mapping for a password': `clouds: {c: {auth: {password: {${CANARY}: ${CANARY}}}}}`,
  'a list for a password': `clouds: {c: {auth: {password: [${CANARY}]}}}`,
  'a password for a switch': `clouds: {c: {insecure: ${CANARY}}}`,
  'a password for a choice': `clouds: {c: {auth: {system_scope: ${CANARY}}}}`,
  'a password for regions': `clouds: {c: {regions: ${CANARY}}}`,
  'a password for a region': `clouds: {c: {regions: [[${CANARY}]]}}`,
  'a password for values': `clouds: {c: {regions: [{name: r, values: ${CANARY}}]}}`,
  'a password for public clouds': `public-clouds: ${CANARY}`,
  'an open quote': `clouds:\n  c: {auth: {password: "${CANARY}\n`,
  'an open single quote': `clouds:\n  c: {auth: {password: '${CANARY}\n`,
  'an open brace': `clouds: {c: {auth: {password: ${CANARY}\n`,
  'an open bracket': `clouds: [${CANARY}\n`,
  'a password that begins with @': `clouds:\n  c:\n    auth:\n      password: @${CANARY}\n`,
  'a password that begins with a backtick': `clouds:\n  c:\n    auth:\n      password: \`${CANARY}\n`,
  'a password that begins with %': `clouds:\n  c:\n    auth:\n      password: %${CANARY}\n`,
  'a password that begins with *': `clouds:\n  c:\n    auth:\n      password: *${CANARY}\n`,
  'a password that begins with &': `clouds:\n  c:\n    auth:\n      password: &${CANARY}\n`,
  'a password that begins with !': `clouds:\n  c:\n    auth:\n      password: !${CANARY}\n`,
  'a password with a colon': `clouds:\n  c:\n    auth:\n      password: a: ${CANARY}\n`,
  'a password with a bad escape': `clouds:\n  c:\n    auth:\n      password: "\\q${CANARY}"\n`,
  'a password with a bad code point': `clouds:\n  c:\n    auth:\n      password: "\\uZZ${CANARY}"\n`,
  'bad indentation': `clouds:\n  c:\n    auth:\n      password: ${CANARY}\n   user: x\n`,
  tabs: `clouds:\n\tc:\n\t\tauth:\n\t\t\tpassword: ${CANARY}\n`,
  'a key twice': `clouds:\n  c:\n    password: ${CANARY}\n    password: ${CANARY}\n`,
  'a key twice, with a dash': `clouds: {c: {auth: {project-id: ${CANARY}, project_id: ${CANARY}}}}`,
  'a key twice, in JSON': `{"clouds": {"c": {"a": "${CANARY}", "a": "${CANARY}"}}}`,
  'a cloud twice': `clouds: {c: {password: ${CANARY}}, c: {}}`,
  'two documents': `clouds: {c: {password: ${CANARY}}}\n---\nclouds: {}\n`,
  'documents without end': fill('---\n') + CANARY,
  'a directive': `%${CANARY} 1\n---\nclouds: {}\n`,
  'directives without end': `${fill('%TAG !a! x\n')}---\n${CANARY}`,
  'a version to come': `%YAML 9.9\n---\nclouds: ${CANARY}\n`,
  __proto__: `clouds: {c: {__proto__: {password: ${CANARY}, auth_url: x}, auth: {__proto__: {user_id: ${CANARY}}}}}`,
  '__proto__ merged': `a: &a {__proto__: {polluted: ${CANARY}}}\nclouds: {c: {<<: *a}}`,
  '__proto__ for clouds': `__proto__: {clouds: {c: {auth: {password: ${CANARY}}}}}`,
  'constructor and prototype': `clouds: {c: {constructor: {prototype: {polluted: ${CANARY}}}}}`,
  'the names of methods': `clouds: {c: {toString: ${CANARY}, has: ${CANARY}, get: ${CANARY}, size: ${CANARY}}}`,
  'a mapping for a key': `clouds: {{a: ${CANARY}}: b}`,
  'a list for a key': `clouds: {[${CANARY}]: b}`,
  'null for a key': `clouds: {~: ${CANARY}}`,
  'nothing for a key': `clouds: {: ${CANARY}}`,
  '<< of text': `clouds: {c: {<<: ${CANARY}}}`,
  '<< of a list': `clouds: {c: {<<: [${CANARY}]}}`,
  CRLF: SECRET.replaceAll('\n', '\r\n'),
  CR: SECRET.replaceAll('\n', '\r'),
  'line separators': SECRET.replaceAll('\n', '\u2028'),
  'next lines': SECRET.replaceAll('\n', '\u0085'),
  'a byte order mark': `\ufeff${SECRET}`,
  'two byte order marks': `\ufeff\ufeff${SECRET}`,
  'a byte order mark inside': SECRET.replace('auth', '\ufeffauth'),
  'UTF-16': Buffer.from(`\ufeff${SECRET}`, 'utf16le'),
  'UTF-16, the other way': Buffer.from(`\ufeff${SECRET}`, 'utf16le').swap16(),
  'a NUL': SECRET.replace('c:', 'c\0:'),
  'a NUL at the end': `${SECRET}\0`,
  NULs: fill('\0'),
  'a bell': SECRET.replace('c:', 'c\u0007:'),
  'escape sequences': SECRET.replace('c:', '\u001b]52;c;\u0007:'),
  'half a pair': Buffer.from([0x63, 0xed, 0xa0, 0x80, 0x3a]),
  'an overlong slash': Buffer.concat([Buffer.from(SECRET), Buffer.from([0xc0, 0xaf])]),
  'all bytes': Buffer.from(Array.from({ length: 65_536 }, (_, index) => index % 256)),
  ELF: Buffer.concat([Buffer.from('\x7fELF\x02\x01\x01'), Buffer.alloc(4_096), Buffer.from(CANARY)]),
  gzip: Buffer.concat([Buffer.from([0x1f, 0x8b, 8, 0]), Buffer.from(CANARY)]),
  PEM: `-----BEGIN PRIVATE KEY-----\n${CANARY}\n-----END PRIVATE KEY-----\n`,
  'an openrc': `export OS_PASSWORD=${CANARY}\n`,
  XML: `<?xml version="1.0"?><a>${CANARY}</a>`,
  'a Jinja template': `clouds: {c: {auth: {password: {{ ${CANARY} }}}}}`,
  'a diff': `<<<<<<< HEAD\npassword: ${CANARY}\n=======\n>>>>>>> x\n`,
};

const large: Files = {
  'a byte too many': SECRET + '#'.repeat(LIMIT_BYTES + 1 - SECRET.length),
  'a megabyte': SECRET + '#'.repeat(1_048_576),
  'sixteen megabytes': Buffer.alloc(16 * 1_048_576, CANARY),
  'as large as may be': SECRET + '#'.repeat(LIMIT_BYTES - SECRET.length),
  ...Object.fromEntries(
    [
      ' ',
      '\t',
      '\n',
      '\r',
      '# x\n',
      ' \n',
      '\t\n',
      '"',
      "'",
      '!',
      '&',
      '*',
      '%',
      '|',
      '|\n',
      ':',
      ': ',
      '-',
      '-\n',
      ',',
      '\\',
      '`',
      '@',
      '=',
      '~',
      '.',
      '...\n',
      '<<',
      '\u00e9',
      '\u{1f600}',
    ].map((piece) => [`only ${JSON.stringify(piece)}, at once`, fill(piece, LIMIT_BYTES / 2)]),
  ),
  ...Object.fromEntries(
    ['a: b\n', '- a\n', '"a": b\n', 'a: [b: c]\n', '? a\n: b\n', '- !!str a\n', '- "a"\n', "- 'a'\n", '- |\n a\n'].map(
      (piece) => [`only ${JSON.stringify(piece)}`, fill(piece)],
    ),
  ),
  'pairs in a list': `[${fill('a: b, ')}${CANARY}]`,
  'marked pairs in a list': `[${fill('? a : b, ')}${CANARY}]`,
  'many keys': `clouds:\n${lines(9_900, (index) => `  k${index}: ${CANARY}`)}`,
  'many clouds': `clouds: {${lines(6_000, (index) => `c${index}: {}`).replaceAll('\n', ', ')}}`,
  'many keys of auth': `clouds:\n  c:\n    auth:\n${lines(9_900, (index) => `      k${index}: ${CANARY}`)}`,
  'many regions': `clouds: {c: {regions: [${fill('{name: r, values: {}},', 200_000)}]}}`,
  'a long key': `${'a'.repeat(200_000)}: ${CANARY}`,
  'a long key in a list': `[${'a'.repeat(200_000)}: ${CANARY}]`,
  'a long line': `a: ${fill('b ', 200_000)}`,
  'a long text over many lines': `a: ${fill('b\n  ', 150_000)}`,
  'a long quoted text': `a: "${fill('\\n', 200_000)}"`,
  'a long folded text': `a: >\n${fill('  x\n', 150_000)}`,
  'a folded text of nothing': `a: >\n${fill('\n', 45_000)}  ${CANARY}`,
  'a long password': `clouds: {c: {auth: {password: ${CANARY}${'x'.repeat(200_000)}}}}`,
  'a long number': `clouds: {c: {auth: {project_id: ${'9'.repeat(200_000)}}}}`,
  'a long comment': `# ${CANARY}${'x'.repeat(200_000)}`,
};

export const HOSTILE_FILES: Files = { ...bombs, ...deep, ...tags, ...wrong, ...large };
