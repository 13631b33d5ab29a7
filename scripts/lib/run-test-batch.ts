// Runs the test files of a batch in this process, one after the other.

import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';

import t from 'tap';

import { forgetSecrets } from '../../src/shared/base/secret.ts';
import { readChildSeconds, readOwnSeconds } from './processor-time.ts';
import { BATCH_VARIABLE, describeEnd, END_OF_FILE } from './test-batch.ts';

const paths = (process.env[BATCH_VARIABLE] ?? '').split(' ');
Reflect.deleteProperty(process.env, BATCH_VARIABLE);

// What a file tears down at its top level ends with the file, not with the process.
const tasks: (() => unknown)[] = [];
t.teardown = (task) => {
  tasks.push(task);
};

let before = 0;
for (const path of paths) {
  // As if the file had a process of its own: files of two batches can have tests of the same name.
  t.testdirName = resolve('.tap/fixtures', path.replaceAll(/[^\w.-]+/g, '-'));
  try {
    await import(pathToFileURL(resolve(path)).href);
  } catch (error) {
    // The other files still run.
    t.fail(`${path} cannot be loaded`, { error });
  }
  // Tests run in the order in which they were declared, so those of the file have ended.
  await t.test(END_OF_FILE, (t) => {
    const total = readOwnSeconds() + readChildSeconds();
    t.pass(describeEnd({ path, processorSeconds: total - before }));
    before = total;
    t.end();
  });
  for (const task of tasks.splice(0).toReversed()) await task();
  // What is a secret in one file, such as "password", is an ordinary word in the messages of another.
  forgetSecrets();
}
