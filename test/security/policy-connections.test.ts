// A policy that seems to allow reading only, but lets users run programs: `policy lint` says so.

import { readFileSync } from 'node:fs';
import t from 'tap';
import { parsePolicy } from '../../src/webhook/authz/policy/policy.ts';

const listFindings = (entry: object): readonly string[] =>
  parsePolicy(JSON.stringify([entry]), new Set())
    .findings.filter(({ kind, message }) => kind === 'odd' && message.includes('1.30'))
    .map(({ message }) => message);

const version2 = (key: string, ...verbs: readonly string[]): object => ({ resource_permissions: { [key]: verbs } });

const version1 = (resources: readonly string[], verbs: readonly string[], other: object = {}): object => ({
  resource: { verbs, resources, version: '*', namespace: '*', ...other },
});

void t.test('get through a wildcard, an exclusion or a subresource is found, with what it opens', async (t) => {
  const namespaced = 'pods/exec, pods/attach, pods/portforward, pods/proxy, services/proxy';
  const cases: readonly (readonly [entry: object, opens: string])[] = [
    [version2('!kube-system/!secrets', 'get'), namespaced],
    [version2('*/*', 'get', 'list', 'watch'), `${namespaced}, nodes/proxy`],
    [version2("web/!['secrets', 'configmaps']", 'GET'), namespaced],
    [version2('web/*', 'list', 'get'), namespaced],
    [version2('web/pods/*', 'get'), 'pods/exec, pods/attach, pods/portforward, pods/proxy'],
    [version2('web/pods/exec', 'get'), 'pods/exec'],
    [version2('web/*/proxy', 'get'), 'pods/proxy, services/proxy'],
    [version2('*/nodes/proxy', 'get'), 'nodes/proxy'],
    [version2('*/!pods', 'get'), 'services/proxy, nodes/proxy'],
    [version1(['*'], ['get']), `${namespaced}, nodes/proxy`],
    [version1(['pods/*'], ['get', 'list']), 'pods/exec, pods/attach, pods/portforward, pods/proxy'],
    [version1(['pods', 'pods/attach'], ['get'], { namespace: 'web', version: '' }), 'pods/attach'],
  ];
  for (const [entry, opens] of cases) {
    const [finding = '', ...others] = listFindings(entry);
    t.strictSame(others, [], JSON.stringify(entry));
    t.match(finding, `allows ${opens}: since Kubernetes 1.30`, JSON.stringify(entry));
  }
});

void t.test('what opens no connection, or means to, is no finding', async (t) => {
  const entries = [
    version2('*/pods', 'get', 'list'),
    version2("!kube-system/['pods', 'pods/log']", 'get'),
    version2('*/*', 'list', 'watch'),
    version2('*/*', '*'),
    version2('web/pods/exec', 'get', 'create'),
    version2('web/nodes/proxy', 'get'),
    version1(['*'], ['get'], { version: 'apps' }),
    version1(['pods'], ['get']),
    version1(['pods/exec'], ['*']),
    version1(['nodes/proxy'], ['get'], { namespace: 'web' }),
  ];
  for (const entry of entries) t.strictSame(listFindings(entry), [], JSON.stringify(entry));
});

void t.test('no policy in the documents has this problem', async (t) => {
  const page = readFileSync('docs/webhook/policy.md', 'utf8');
  const examples = [...page.matchAll(/^```json\n(.*?)^```/gms)].map(([, text = '']) => text);
  t.ok(examples.length > 0, 'the page has an example');
  for (const example of examples) {
    const { findings } = parsePolicy(example, new Set());
    t.strictSame(
      findings.filter(({ message }) => message.includes('1.30')),
      [],
    );
  }
});
