import { readFileSync } from 'node:fs';
import t from 'tap';
import { WEBHOOK_PROGRAM } from '../../scripts/package/node-binary/executable.ts';

void t.test('the executable and the image of the webhook have the same limits of memory', (t) => {
  const entryPoint = readFileSync('packaging/webhook/k8s-keystone-auth', 'utf8');
  const limits = WEBHOOK_PROGRAM.execArgv.filter((argument) => argument.startsWith('--max-'));
  t.strictSame(entryPoint.match(/--max-\S+/g), limits);
  t.equal(limits.length, 2);
  t.end();
});
