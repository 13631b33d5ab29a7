/**
 * A DNS server that does not answer blocks a thread in getaddrinfo, for which Node waits at its end. Here getaddrinfo
 * never returns, so a run that waits for it never ends.
 */
import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { checkFailure, EXIT_STATUS, makeLoginSettings, runInFreshHome } from '../support/check-run.ts';
import { canRun, skipWithout } from '../support/missing-tools.ts';
import { makeFakeToken } from '../support/webhook-client.ts';
import { startWebhookProcess } from '../support/webhook-process.ts';

const skip = process.platform === 'linux' ? skipWithout('C compiler', () => canRun('cc', '--version')) : 'Linux only';

const SOURCE = `
#include <unistd.h>
struct addrinfo;
int getaddrinfo(const char *node, const char *service, const struct addrinfo *hints, struct addrinfo **result) {
  for (;;) pause();
}
`;

function compileLibrary(folder: string): string {
  const source = join(folder, 'resolver.c');
  const library = join(folder, 'resolver.so');
  writeFileSync(source, SOURCE);
  execFileSync('cc', ['-shared', '-fPIC', '-o', library, source]);
  return library;
}

const URL_WITH_NAME = 'https://keystone.example.test:5000/v3';

await t.test('a login ends in time without an answer from DNS', { skip }, async (t) => {
  const LD_PRELOAD = compileLibrary(t.testdir());
  const env = { ...makeLoginSettings(URL_WITH_NAME), LD_PRELOAD };

  await t.test('a login ends at its deadline', async (t) => {
    const result = await runInFreshHome({ env, args: ['--timeout=1'] });
    checkFailure(t, result, EXIT_STATUS.unreachable, { says: ['did not respond within 1 s', '--timeout'] });
  });

  await t.test('a command ends at its deadline', async (t) => {
    const result = await runInFreshHome({ env, args: ['whoami', '--timeout=1'] });
    checkFailure(t, result, EXIT_STATUS.unreachable, { says: ['did not respond within 1 s', '--timeout'] });
  });

  await t.test('a login through a proxy ends at its deadline', async (t) => {
    const proxied = { ...env, HTTPS_PROXY: 'http://proxy.example.test:3128' };
    const result = await runInFreshHome({ env: proxied, args: ['--timeout=1'] });
    checkFailure(t, result, EXIT_STATUS.unreachable, { says: ['did not respond within 1 s', '--timeout'] });
  });

  await t.test('doctor ends, and names DNS', async (t) => {
    const result = await runInFreshHome({ env, args: ['doctor', '--no-cluster', '--timeout=1'] });
    t.equal(result.status, EXIT_STATUS.unreachable);
    t.match(
      result.stdout,
      /✗ DNS +Keystone at https:\/\/keystone.example.test:5000 cannot be used: it did not respond/,
    );
  });

  await t.test('the webhook says so, and stops when it is told to', async (t) => {
    const webhook = await startWebhookProcess(t, { args: ['--keystone-url', URL_WITH_NAME], env: { LD_PRELOAD } });
    const status = await webhook.reviewToken(makeFakeToken());
    t.match(status, { authenticated: false });
    t.equal(await webhook.stop(), 0);
  });
});
