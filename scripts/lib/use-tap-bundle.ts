// Loaded into each test process: `tap` is the file that bundle-tap.ts has written.

import { registerHooks } from 'node:module';
import { pathToFileURL } from 'node:url';

const file = process.env['CKA_TAP_BUNDLE'];
// For the test only, and not for Node processes that it starts.
delete process.env['CKA_TAP_BUNDLE'];
if (file !== undefined) {
  const url = pathToFileURL(file).href;
  registerHooks({
    resolve: (specifier, context, nextResolve) =>
      specifier === 'tap' ? { url, shortCircuit: true } : nextResolve(specifier, context),
  });
}
