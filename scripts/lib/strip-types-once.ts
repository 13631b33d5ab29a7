// Loaded into each test process: keeps modules without their types in a folder. Node strips the types of each module in
// each process, which takes most tests more processor time than their own work.

import { createHash } from 'node:crypto';
import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { registerHooks, stripTypeScriptTypes } from 'node:module';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const folder = process.env['CKA_STRIPPED_MODULES'];
// For the test only, and not for Node processes that it starts.
delete process.env['CKA_STRIPPED_MODULES'];
if (folder !== undefined) {
  mkdirSync(folder, { recursive: true });
  registerHooks({
    load: (url, context, nextLoad) =>
      /^file:.*\.ts$/.test(url)
        ? { format: 'module', source: provideStripped(fileURLToPath(url), folder), shortCircuit: true }
        : nextLoad(url, context),
  });
}

/** Returns a module without its types. Each path has one file in the folder, whose first line tells what it is made of. */
function provideStripped(path: string, folder: string): string {
  const text = readFileSync(path, 'utf8');
  const digest = `// ${hash(process.version + text)}\n`;
  const file = join(folder, `${hash(path)}.js`);
  const kept = readIfPresent(file);
  if (kept?.startsWith(digest) === true) return kept.slice(digest.length);
  // Blanks take the place of types, so that lines and columns stay the same.
  const stripped = stripTypeScriptTypes(text);
  // Another process can read or write it at the same time.
  const written = `${file}.${String(process.pid)}`;
  writeFileSync(written, digest + stripped);
  renameSync(written, file);
  return stripped;
}

function hash(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}

function readIfPresent(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return undefined;
  }
}
