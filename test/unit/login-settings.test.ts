import t from 'tap';
import { parseAccessRules, parseLifetime } from '../../src/plugin/commands/login/credential-options.ts';
import { formatFlags, formatVariables, listOptionValues } from '../../src/plugin/commands/login/option-values.ts';
import { optionValuesToJson } from '../../src/plugin/commands/login/option-values.ts';
import { listEnabledProjects } from '../../src/plugin/commands/login/choose.ts';

void t.test('the lifetime of an application credential is parsed', async (t) => {
  t.equal(parseLifetime('30min'), 1_800_000);
  t.equal(parseLifetime('12h'), 43_200_000);
  t.equal(parseLifetime('90d'), 7_776_000_000);
  t.equal(parseLifetime('52w'), 31_449_600_000);
  for (const text of ['', '90', 'd', '0d', '-1d', '1.5d', '1y', '90 d', '90D', '9999999d', '1d1h', '1e3d']) {
    t.throws(() => parseLifetime(text), { code: 'usage', message: /--expires must be a number with a unit/ }, text);
  }
});

void t.test('the access rules of an application credential are parsed', async (t) => {
  t.strictSame(parseAccessRules(['get:compute:/v2.1/servers/{id}/**', 'POST:key-manager:/v1/secrets?x=a:b']), [
    { method: 'GET', service: 'compute', path: '/v2.1/servers/{id}/**' },
    { method: 'POST', service: 'key-manager', path: '/v1/secrets?x=a:b' },
  ]);
  for (const rule of ['', 'GET', 'GET:compute', 'GET:compute:v2.1', 'GET::/v2.1', ':compute:/', 'GET compute /']) {
    t.throws(() => parseAccessRules([rule]), { code: 'usage', message: /METHOD:SERVICE:PATH/ }, rule);
  }
});

void t.test('settings are quoted for the shell', async (t) => {
  const setting = (value: string) => ({ value, origin: 'test' });
  const chosen = listOptionValues(
    new Map([
      ['os-cloud', setting('prod')],
      ['project-name', setting('it\'s $HOME `id` \\ "x"')],
      ['client-config-file', setting('/etc/clouds.yaml')],
    ]),
  );
  t.equal(formatFlags(chosen), `--os-cloud=prod --project-name='it'\\''s $HOME \`id\` \\ "x"'`);
  t.equal(
    formatVariables(chosen),
    `OS_CLOUD=prod OS_CLIENT_CONFIG_FILE=/etc/clouds.yaml OS_PROJECT_NAME='it'\\''s $HOME \`id\` \\ "x"'`,
  );
  t.match(optionValuesToJson(chosen), {
    args: ['--os-cloud=prod', '--project-name=it\'s $HOME `id` \\ "x"'],
    env: { OS_CLOUD: 'prod', OS_CLIENT_CONFIG_FILE: '/etc/clouds.yaml' },
  });
});

void t.test('only enabled projects with a name are offered', async (t) => {
  const list = [
    { id: '2', name: 'b', domain_id: 'd', enabled: true },
    { id: '3', name: 'off', domain_id: 'd', enabled: false },
    { id: '1', name: 'a' },
    { id: 4, name: 'odd' },
    null,
  ];
  t.strictSame(await listEnabledProjects(() => Promise.resolve({ projects: list })), [
    { id: '1', name: 'a', domainId: undefined },
    { id: '2', name: 'b', domainId: 'd' },
  ]);
  t.strictSame(await listEnabledProjects(() => Promise.resolve(undefined)), []);
});
