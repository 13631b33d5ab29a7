/**
 * Lets a bundle evaluate some of its files late. On Bun, each function at the top of a bundle takes time and memory when
 * the bundle is loaded, even if nothing calls it: a hundred functions take a half of a percent of a login. The body of a
 * late file is inside a function, which the first call of one of its exports runs.
 */
import { transform } from 'esbuild';
import type { Plugin } from 'esbuild';
import { readFile } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';

const IMPORT = /^import [^;]*;$/gm;
const EXPORTS = /^export \{([^}]*)\};$/m;

/**
 * Moves the body of a module into a function.
 *
 * @param source a module in TypeScript that exports only functions
 * @param file its path, for messages
 * @throws Error when it exports anything else
 */
export async function makeLate(source: string, file: string): Promise<string> {
  const { code } = await transform(source, { loader: 'ts', format: 'esm', target: 'node22', sourcefile: file });
  const names = EXPORTS.exec(code)?.[1]?.match(/[^\s,]+/g) ?? [];
  const others = names.filter((name) => !new RegExp(String.raw`^(?:async )?function ${name}\(`, 'm').test(code));
  const body = code.replaceAll(IMPORT, '').replace(EXPORTS, '');
  if (names.length === 0 || others.length > 0 || /^(?:import|export)\b/m.test(body)) {
    throw new Error(
      `${file} cannot be late: it must export functions, and nothing else: ${others.join(', ')}; see LATE_FILES`,
    );
  }
  const entries = names.map((name) => `export function ${name}(...values) { return open().${name}(...values); }`);
  return `${(code.match(IMPORT) ?? []).join('\n')}
let late;
const open = () => (late ??= make());
function make() {
${body}
return { ${names.join(', ')} };
}
${entries.join('\n')}
`;
}

/**
 * Makes a plugin for files that few runs need.
 *
 * @param files their paths below `src`; each exports only functions
 */
export function makeLateFiles(files: readonly string[]): Plugin {
  const paths = new Set(files.map((file) => resolve('src', file)));
  return {
    name: 'late files',
    setup(build) {
      build.onLoad({ filter: /\.ts$/ }, async ({ path }) =>
        paths.has(path)
          ? { contents: await makeLate(await readFile(path, 'utf8'), path), loader: 'js', resolveDir: dirname(path) }
          : undefined,
      );
    },
  };
}
