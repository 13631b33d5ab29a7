/**
 * What is linked into Bun, with licenses and exact sources. Commits are those that the pinned Bun itself names
 * (`process.versions`); a test compares them. Other parts have no version there: the release of Bun names theirs in
 * scripts/build/deps. Source: LICENSE.md of Bun.
 */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { BunSource } from '../targets.ts';

/** A library in Bun. */
export interface BunPart {
  readonly name: string;
  /** An SPDX expression. */
  readonly license: string;
  /** Where its source is. */
  readonly source: string;
  /** The name in `process.versions` and its value; undefined if Bun does not name one. */
  readonly version?: readonly [name: string, value: string];
  /** The texts in `packaging/bun-licenses`, without their ending. */
  readonly texts: readonly string[];
  /** The only system whose Bun contains it; undefined for every system. */
  readonly system?: BunSource['system'];
}

/** The commit of Bun's own sources. */
export const BUN_COMMIT = 'a7733435cf40429e3b35c36072769df2052b80f1';

const FOLDER = 'packaging/bun-licenses';

/** Every library in Bun. */
export const BUN_PARTS: readonly BunPart[] = [
  {
    name: 'WebKit (JavaScriptCore, WTF, bmalloc)',
    license: 'LGPL-2.0-or-later AND LGPL-2.1-or-later AND BSD-2-Clause',
    source: 'https://github.com/oven-sh/WebKit',
    version: ['webkit', 'd6375c72affe0f70222cdcb45012b10f0bf3a9d5'],
    texts: ['webkit', 'LGPL-2.0', 'LGPL-2.1'],
  },
  {
    name: 'TinyCC',
    license: 'LGPL-2.1-or-later',
    source: 'https://github.com/oven-sh/tinycc',
    version: ['tinycc', '05f0fafaa3be31e31d7b4b5c17dc60f62c991171'],
    texts: ['LGPL-2.1'],
  },
  {
    name: 'BoringSSL',
    license: 'Apache-2.0',
    source: 'https://github.com/oven-sh/boringssl',
    version: ['boringssl', 'fe703e9faa3bfd22b04eb192066856557b7e015c'],
    texts: ['boringssl'],
  },
  {
    name: 'libarchive',
    license: 'BSD-2-Clause',
    source: 'https://github.com/libarchive/libarchive',
    version: ['libarchive', '27cbc7827172698143e440801fc0ba39ccb4f1f5'],
    texts: ['libarchive'],
  },
  {
    name: 'mimalloc',
    license: 'MIT',
    source: 'https://github.com/oven-sh/mimalloc',
    version: ['mimalloc', '92ef6587c57b262f6e6abf513f7776a2f8d12aeb'],
    texts: ['mimalloc'],
  },
  {
    name: 'picohttpparser',
    license: 'MIT',
    source: 'https://github.com/h2o/picohttpparser',
    version: ['picohttpparser', 'f4d94b48b31e0abae029ebeafcfd9ca0680ede58'],
    texts: ['picohttpparser'],
  },
  {
    name: 'zlib-ng',
    license: 'Zlib',
    source: 'https://github.com/zlib-ng/zlib-ng',
    version: ['zlib', '12731092979c6d07f42da27da673a9f6c7b13586'],
    texts: ['zlib-ng'],
  },
  {
    name: 'lol-html',
    license: 'BSD-3-Clause',
    source: 'https://github.com/cloudflare/lol-html',
    version: ['lolhtml', '725ce499aa9b71e38b7a2d0a9fbb6d7294a4079e'],
    texts: ['lol-html'],
  },
  {
    name: 'c-ares',
    license: 'MIT',
    source: 'https://github.com/c-ares/c-ares',
    version: ['ares', '0b88066f79ac9745d6819899f1794df91b73c873'],
    texts: ['c-ares'],
  },
  {
    name: 'libdeflate',
    license: 'MIT',
    source: 'https://github.com/ebiggers/libdeflate',
    version: ['libdeflate', '92e6a0db9fa848d742f9eb286c92afc60f2c3dda'],
    texts: ['libdeflate'],
  },
  {
    name: 'ls-hpack',
    license: 'MIT',
    source: 'https://github.com/litespeedtech/ls-hpack',
    version: ['lshpack', 'cf0f70dd10b352194c97448eb5d00b4aa484f531'],
    texts: ['ls-hpack'],
  },
  {
    name: 'Zstandard',
    license: 'BSD-3-Clause',
    source: 'https://github.com/facebook/zstd',
    version: ['zstd', 'f8745da6ff1ad1e7bab384bd1f9d742439278e99'],
    texts: ['zstd'],
  },
  {
    name: 'uWebSockets and uSockets',
    license: 'Apache-2.0',
    source: 'https://github.com/oven-sh/bun/tree/HEAD/packages',
    version: ['uwebsockets', BUN_COMMIT],
    texts: ['Apache-2.0'],
  },
  {
    name: 'llhttp',
    license: 'MIT',
    source: 'https://github.com/nodejs/llhttp',
    version: ['llhttp', '9.4.4'],
    texts: ['llhttp'],
  },
  {
    name: 'ICU',
    license: 'Unicode-3.0',
    source: 'https://github.com/unicode-org/icu',
    version: ['icu', '78.3'],
    texts: ['icu'],
  },
  {
    name: 'SQLite',
    license: 'blessing',
    source: 'https://sqlite.org',
    version: ['sqlite', '3.54.1'],
    texts: ['sqlite'],
  },
  {
    name: 'TypeScript',
    license: 'Apache-2.0',
    source: 'https://github.com/microsoft/typescript-go',
    version: ['typescript', '7.0.2'],
    texts: ['Apache-2.0'],
  },
  {
    name: 'libuv',
    license: 'MIT',
    source: 'https://github.com/libuv/libuv',
    texts: ['libuv'],
    system: 'windows',
  },
  { name: 'Brotli', license: 'MIT', source: 'https://github.com/google/brotli', texts: ['brotli'] },
  {
    name: 'lsquic',
    license: 'MIT AND BSD-3-Clause',
    source: 'https://github.com/litespeedtech/lsquic',
    texts: ['lsquic'],
  },
  { name: 'ls-qpack', license: 'MIT', source: 'https://github.com/litespeedtech/ls-qpack', texts: ['ls-qpack'] },
  { name: 'simdutf', license: 'MIT', source: 'https://github.com/simdutf/simdutf', texts: ['simdutf'] },
  { name: 'base64', license: 'BSD-2-Clause', source: 'https://github.com/aklomp/base64', texts: ['base64'] },
  {
    name: 'Highway',
    license: 'Apache-2.0 OR BSD-3-Clause',
    source: 'https://github.com/google/highway',
    texts: ['highway'],
  },
  {
    name: 'HdrHistogram_c',
    license: 'BSD-2-Clause OR CC0-1.0',
    source: 'https://github.com/HdrHistogram/HdrHistogram_c',
    texts: ['hdrhistogram'],
  },
  {
    name: 'libjpeg-turbo',
    license: 'IJG AND BSD-3-Clause AND Zlib',
    source: 'https://github.com/libjpeg-turbo/libjpeg-turbo',
    texts: ['libjpeg-turbo', 'libjpeg-turbo-ijg'],
  },
  { name: 'libspng', license: 'BSD-2-Clause', source: 'https://github.com/randy408/libspng', texts: ['libspng'] },
  { name: 'libwebp', license: 'BSD-3-Clause', source: 'https://github.com/webmproject/libwebp', texts: ['libwebp'] },
  { name: 'Acorn', license: 'MIT', source: 'https://github.com/acornjs/acorn', texts: ['acorn'] },
  {
    name: 'esbuild, of which Bun has a port',
    license: 'MIT',
    source: 'https://github.com/evanw/esbuild',
    texts: ['esbuild'],
  },
];

const INTRODUCTION = `Bun is licensed under the MIT License by its authors:
https://github.com/oven-sh/bun/tree/${BUN_COMMIT}

JavaScriptCore and TinyCC are linked into it. They are licensed under the GNU Library General Public License, version 2,
and the GNU Lesser General Public License, version 2.1. You may change them and link Bun again:

1. Get the sources: Bun and WebKit at the commits that are named here. scripts/build/deps of Bun names the commits of
   everything else.
2. Build Bun as its CONTRIBUTING.md describes, with your changes (\`bun run build:local\`).
3. Put your program in the place of bin/bun in the package @oven/bun-* of npm, adapt the integrity of this package in
   package-lock.json, and run \`npm run package -- --runtime bun\` in the sources of client-keystone-auth.

You may reverse engineer the program to debug such changes.

Bun also contains small packages for browsers, and packages in Rust that Cargo.lock of Bun names. They are licensed under
the MIT License or the Apache License 2.0.`;

/** Returns the license of Bun itself, with the way to link it again. */
export function readBunLicense(mit: string): string {
  return `${INTRODUCTION}\n\n${mit}\n`;
}

/** Lists the libraries in the Bun of a system. */
export function listBunParts(system: BunSource['system']): readonly BunPart[] {
  return BUN_PARTS.filter((part) => part.system === undefined || part.system === system);
}

/** Returns the licenses of a library, and where its source is. */
export async function readPartLicense({ source, version, texts }: BunPart): Promise<string> {
  const files = await Promise.all(texts.map((name) => readFile(join(FOLDER, `${name}.txt`), 'utf8')));
  const at = version === undefined ? '' : `, ${version[1]}`;
  return [`Source: ${source}${at}`, ...files].join('\n\n');
}
