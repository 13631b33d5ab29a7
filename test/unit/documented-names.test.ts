/** The files, functions and types that the documents for contributors name exist. */
import { globSync, readFileSync } from 'node:fs';
import { basename } from 'node:path';
import t from 'tap';

const SOURCES = globSync('{src,scripts,test}/**/*.{ts,mjs,py}');

/** The worked examples add files that do not exist yet. */
const readProse = (document: string): string =>
  readFileSync(document, 'utf8')
    .replaceAll(/^```.*?^```$/gms, '')
    .split(/^## /m)
    .filter((section) => !section.startsWith('Worked example'))
    .join('');

for (const document of ['docs/architecture.md', 'CONTRIBUTING.md']) {
  void t.test(`${document} names what exists`, async (t) => {
    const names = [...readProse(document).matchAll(/`([^`\s*]+)`/g)].map(([, name = '']) => name);
    const files = names.filter((name) => /\.(?:ts|mjs|py)$/.test(name));
    const known = new Set(SOURCES.map((path) => basename(path)));
    t.ok(files.length > 20);
    t.strictSame(
      files.filter((name) => !known.has(basename(name))),
      [],
    );
    const identifiers = names.filter((name) => /^[A-Za-z]*[a-z][A-Z]\w*$/.test(name));
    const words = new Set(SOURCES.flatMap((path) => readFileSync(path, 'utf8').match(/\w+/g) ?? []));
    t.ok(identifiers.length > 20);
    t.strictSame(
      identifiers.filter((name) => !words.has(name)),
      [],
    );
  });
}
