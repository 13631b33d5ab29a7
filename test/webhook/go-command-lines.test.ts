// Command lines of the Go program, from its manifests and from deployments that others publish.

import t from 'tap';
import { translateGoFlags } from '../../src/webhook/cli/go-flags.ts';
import { WEBHOOK_OPTIONS } from '../../src/webhook/cli/options.ts';
import { startTestKeystone, issueToken } from '../support/webhook-keystone.ts';
import { failToStart, startWebhook } from '../support/webhook.ts';

const translate = (...argv: readonly string[]): ReturnType<typeof translateGoFlags> =>
  translateGoFlags(argv, WEBHOOK_OPTIONS);

void t.test('what only the Go program has is translated or left out', async (t) => {
  t.match(translate('./bin/k8s-keystone-auth', '--tls-cert-file', '/etc/pki/tls.crt', '-v=4'), {
    argv: ['--tls-cert-file', '/etc/pki/tls.crt', '--log-level=debug'],
  });
  t.match(translate('/bin/k8s-keystone-auth', '--keystone_url=http://x', '--tls_cert_file', 'a_b'), {
    argv: ['--keystone-url=http://x', '--tls-cert-file', 'a_b'],
  });
  t.match(translate('k8s-keystone-auth', 'policy', 'lint'), { argv: ['policy', 'lint'] });
  for (const [flags, level] of [
    [['-v=2'], 'info'],
    [['-v', '10'], 'debug'],
    [['-v4'], 'debug'],
    [['--v=0'], 'info'],
    [['--v', '3'], 'info'],
    [['--v=-1'], 'info'],
  ] as const) {
    t.strictSame(translate(...flags).argv, [`--log-level=${level}`], flags.join(' '));
  }
  t.strictSame(translate('--log-level', 'error', '-v=4').argv, ['--log-level', 'error'], 'ours decides');
  t.strictSame(translate('--listen', '-v', '--user-agent', 'a', '--user-agent=b'), {
    argv: ['--listen', '-v'],
    userAgents: ['a', 'b'],
    ignoredFlags: [],
  });
  t.strictSame(
    translate(
      '--vmodule=a=1',
      '--log-flush-frequency',
      '5s',
      '--logtostderr=true',
      '--alsologtostderr',
      '--log_dir',
      '/x',
    ),
    {
      argv: [],
      userAgents: [],
      ignoredFlags: ['--vmodule', '--log-flush-frequency', '--logtostderr', '--alsologtostderr', '--log-dir'],
    },
  );
});

void t.test('wrong values are errors', async (t) => {
  t.match(await failToStart(t, { args: ['-v=x'] }), { status: 2, stderr: /-v needs a number, not "x"/ });
  t.match(await failToStart(t, { args: ['--vmodule'] }), { status: 2, stderr: /--vmodule needs a value/ });
  t.match(await failToStart(t, { args: ['--user-agent', 'a\nb'] }), { status: 2, stderr: /--user-agent must consist/ });
  t.match(await failToStart(t, { args: ['--nonsense'] }), { status: 2, stderr: /unknown option --nonsense/ });
});

void t.test('the webhook starts with them, says what has no effect, and sends the user agents', async (t) => {
  const keystone = await startTestKeystone(t);
  const args = ['--log-flush-frequency=5s', '--user-agent', 'one', '--user-agent', 'two', '--v=4'];
  const webhook = await startWebhook(t, { keystone, args });
  t.match(webhook.readOutput(), /"flags":\["--log-flush-frequency"\].*have no effect/);
  t.match(await webhook.reviewToken(` ${issueToken(keystone)}\t`), { authenticated: true }, 'spaces around the token');
  const agents = new Set(keystone.requests.map(({ headers }) => headers['user-agent']));
  t.equal(agents.size, 1);
  t.match([...agents][0], /^two one k8s-keystone-auth\/\d/);
});
