// Loaded into each test process: reports the processor time of the test and its child processes to the test runner. Node
// tells a parent nothing about the processor time of its children.

import { writeFileSync } from 'node:fs';

import { readChildSeconds, readOwnSeconds } from './processor-time.ts';

const file = process.env['CKA_PROCESSOR_TIME'];
// The programs under test must not use the compile cache of the tests.
delete process.env['NODE_COMPILE_CACHE'];
if (file !== undefined) {
  delete process.env['CKA_PROCESSOR_TIME'];
  process.once('exit', () => {
    writeFileSync(file, String(readOwnSeconds() + readChildSeconds()));
  });
}
