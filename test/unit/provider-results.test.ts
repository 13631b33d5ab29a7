/** The rows of docs/auth/tested-providers.md stand for tests. */
import { readdirSync, readFileSync } from 'node:fs';
import t from 'tap';
import { TESTED_SYSTEMS } from '../support/provider-results.ts';

const folder = 'test/identity-providers';

void t.test('each result of an identity provider is the name of one test', (t) => {
  const source = readdirSync(folder)
    .map((name) => readFileSync(`${folder}/${name}`, 'utf8'))
    .join('\n');
  for (const { name, rows } of TESTED_SYSTEMS)
    for (const test of Object.keys(rows)) {
      const declarations = source.split(`'${test}'`).length - 1;
      t.equal(declarations, 1, `${name}: ${test}`);
    }
  t.end();
});
