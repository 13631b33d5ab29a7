// The Helm chart: what it renders from each values file, and what it refuses.

import { execFileSync, spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { load } from 'js-yaml';
import t from 'tap';
import { CHART } from '../../scripts/kubernetes/find-helm.ts';
import { CHECKED_VERSIONS, findKubernetesValidate } from '../../scripts/kubernetes/find-kubernetes-validate.ts';
import { renderManifests } from '../../scripts/kubernetes/render-manifests.ts';
import { PROJECT } from '../../scripts/lib/project.ts';
import { packChart } from '../../scripts/package/archives.ts';
import { chartPath } from '../../scripts/package/package-paths.ts';
import { startReleaseServer } from '../../scripts/release/installations/release-server.ts';
import { ISSUER_OPTIONS } from '../../src/webhook/cli/issuer/issuer-options.ts';
import { readIssuerSettings, resolveIssuerConfig } from '../../src/webhook/cli/issuer/issuer-settings.ts';
import { WEBHOOK_OPTIONS } from '../../src/webhook/cli/options.ts';
import { parseAudiences } from '../../src/webhook/issuer/audiences-file.ts';
import { parsePolicy } from '../../src/webhook/authz/policy/policy.ts';
import { readWebhookSettings } from '../../src/webhook/cli/settings.ts';
import { parseCommandLine } from '../../src/shared/options/parse-command-line.ts';
import { fakeHost } from '../support/fake-host.ts';
import { skipBecause } from '../support/missing-tools.ts';
import { findPodSpec, helmIn, readObjects, skipWithoutHelm, VALUES_FILES } from '../support/rendered-chart.ts';
import type { KubernetesObject } from '../support/rendered-chart.ts';

const skip = skipWithoutHelm;
const folder = t.testdir();

const template = (file: string, ...args: readonly string[]) =>
  helmIn(folder, 'template', 'k8s-keystone-auth', CHART, '--namespace', 'kube-system', '--values', file, ...args);

async function renderAll(): Promise<ReadonlyMap<string, readonly KubernetesObject[]>> {
  const all = new Map<string, readonly KubernetesObject[]>();
  for (const [name, file] of VALUES_FILES) {
    const { status, stdout, stderr } = await template(file);
    if (status !== 0) throw new Error(`${file}: ${stderr}`);
    all.set(name, readObjects(stdout));
  }
  return all;
}

const rendered = skip === false ? await renderAll() : new Map<string, readonly KubernetesObject[]>();
const objectsOf = (name: string): readonly KubernetesObject[] => rendered.get(name) ?? [];
const listKinds = (objects: readonly KubernetesObject[]): readonly string[] =>
  objects.map(({ kind }) => kind).toSorted();

/** Defined by the Prometheus Operator and cert-manager. chart-install.test.ts validates them. */
const CUSTOM_KINDS = ['Certificate', 'PodMonitor', 'PrometheusRule', 'ServiceMonitor'];

void t.test('helm lint accepts the chart with each values file', { skip }, async (t) => {
  for (const [name, file] of VALUES_FILES) {
    const { status, stdout, stderr } = await helmIn(folder, 'lint', CHART, '--strict', '--values', file);
    t.equal(status, 0, `${name}: ${stdout}${stderr}`);
  }
});

void t.test('the objects are valid from Kubernetes 1.29 to the newest version', { skip }, async (t) => {
  const found = await findKubernetesValidate();
  if ('missing' in found) {
    t.pass(skipBecause(found.missing));
    return;
  }
  const objects = [...rendered].flatMap(([name, all]) =>
    all
      .filter(({ kind }) => !CUSTOM_KINDS.includes(kind))
      .map((object) => ({ where: `${name}: ${object.kind} ${object.metadata.name}`, object })),
  );
  t.ok(objects.length > 30);
  const { status, stdout, stderr } = spawnSync(found.python, ['scripts/kubernetes/validate_objects.py'], {
    input: JSON.stringify({ versions: CHECKED_VERSIONS, objects }),
    encoding: 'utf8',
    maxBuffer: 16 * 1024 * 1024,
  });
  t.equal(status, 0, stderr);
  t.strictSame(JSON.parse(stdout), []);
});

void t.test('the webhook accepts the command line of each values file', { skip }, (t) => {
  for (const [name, objects] of rendered) {
    const { args, env = [] } = findPodSpec(objects).containers[0];
    const variables = Object.fromEntries(env.map((variable) => [variable.name, variable.value]));
    const host = fakeHost({ argv: args, env: variables, cwd: '/' });
    t.doesNotThrow(() => readWebhookSettings(host, parseCommandLine(args, WEBHOOK_OPTIONS).flags), name);
  }
  t.end();
});

interface Schema {
  readonly minimum?: number;
  readonly maximum?: number;
  readonly properties?: Readonly<Record<string, Schema>>;
}

/** Sets each number of the schema to its limit. */
function listLimits(schema: Schema, limit: 'minimum' | 'maximum', path: readonly string[] = []): readonly string[] {
  const { properties = {}, [limit]: value } = schema;
  return [
    ...(value === undefined ? [] : [`${path.join('.')}=${value}`]),
    ...Object.entries(properties).flatMap(([name, part]) => listLimits(part, limit, [...path, name])),
  ];
}

void t.test('the programs accept the smallest and the largest numbers of the schema', { skip }, async (t) => {
  const schema = JSON.parse(readFileSync(`${CHART}/values.schema.json`, 'utf8')) as Schema;
  for (const limit of ['minimum', 'maximum'] as const) {
    const limits = listLimits(schema, limit);
    t.ok(limits.length > 10, limits.join());
    const { stdout, stderr } = await template(VALUES_FILES.get('issuer') ?? '', '--set', limits.join());
    const objects = readObjects(stdout);
    if (!t.ok(objects.length > 0, stderr)) continue;
    const host = fakeHost({ cwd: '/' });
    const { args } = findPodSpec(objects).containers[0];
    t.doesNotThrow(() => readWebhookSettings(host, parseCommandLine(args, WEBHOOK_OPTIONS).flags), limit);
    const { flags } = parseCommandLine(findPodSpec(objects, 'issuer').containers[0].args, ISSUER_OPTIONS);
    t.doesNotThrow(() => readIssuerSettings(host, resolveIssuerConfig(host, flags, ISSUER_OPTIONS)), limit);
  }
});

void t.test('a policy in the values can have everything that a policy can have', { skip }, async (t) => {
  const entries = [
    {
      users: { projects: ['web'], roles: ['member'], domains: ['default'] },
      resource_permissions: { "!kube-system/['pods', 'services']": ['get'] },
      nonresource_permissions: { '/healthz': ['get'] },
    },
    {
      resource: { verbs: ['*'], resources: ['pods/*'], version: '*', namespace: 'db' },
      match: ['user', 'group', 'project', 'role'].map((type) => ({ type, values: ['dba'] })),
    },
    { nonresource: { verbs: ['get'], path: '/api*' }, match: [] },
  ];
  const values = ['--set-json', `policy.entries=${JSON.stringify(entries)}`, '--set', 'policy.source=values'];
  const { stdout, stderr } = await template(VALUES_FILES.get('minimal') ?? '', ...values);
  const text = readObjects(stdout).flatMap(({ data }) => data?.['policies'] ?? [])[0] ?? '';
  if (t.ok(text, stderr)) t.strictSame(JSON.parse(text), entries);
  t.doesNotThrow(() => parsePolicy(text, new Set()));
});

void t.test('each option of the webhook can be set with a value of the chart', { skip }, (t) => {
  const flags = [...rendered.values()].flatMap((objects) => findPodSpec(objects).containers[0].args);
  const missing = WEBHOOK_OPTIONS.filter(({ name }) => !flags.some((flag) => flag.startsWith(`--${name}`)));
  t.strictSame(
    missing.map(({ name }) => name),
    ['kubeconfig'],
    'but the kubeconfig: the pods have a service account',
  );
  t.end();
});

void t.test(
  'the pods meet the pod security standard "restricted", but for the network of the DaemonSet',
  { skip },
  (t) => {
    for (const [name, objects] of rendered) {
      const { securityContext, containers, hostNetwork, volumes } = findPodSpec(objects);
      t.match(
        securityContext,
        { runAsNonRoot: true, runAsUser: 65_532, seccompProfile: { type: 'RuntimeDefault' } },
        name,
      );
      t.strictSame(containers[0].securityContext, {
        allowPrivilegeEscalation: false,
        readOnlyRootFilesystem: true,
        capabilities: { drop: ['ALL'] },
      });
      t.ok(containers[0].volumeMounts.every(({ readOnly }) => readOnly === true));
      t.ok(
        volumes.every((volume) => 'secret' in volume || 'configMap' in volume),
        'no other volumes',
      );
      t.equal(hostNetwork ?? false, name.startsWith('control-plane'), name);
    }
    t.end();
  },
);

void t.test('there are only the RBAC objects and the token that the values need', { skip }, (t) => {
  for (const name of ['minimal', 'cert-manager', 'control-plane', 'control-plane-monitored']) {
    t.notMatch(listKinds(objectsOf(name)).join(' '), /Role/, name);
    t.equal(findPodSpec(objectsOf(name)).automountServiceAccountToken, false, name);
  }
  const rulesOf = (name: string, kind: string) => objectsOf(name).find((object) => object.kind === kind)?.rules;
  t.strictSame(rulesOf('manifests', 'Role'), [
    {
      apiGroups: [''],
      resources: ['configmaps'],
      resourceNames: ['keystone-policy', 'keystone-sync'],
      verbs: ['get', 'list', 'watch'],
    },
  ]);
  t.match(rulesOf('manifests', 'ClusterRole'), [
    { resources: ['namespaces'], verbs: ['get', 'create'] },
    { resources: ['rolebindings'], verbs: ['list', 'create', 'delete'] },
    { resources: ['clusterroles'], resourceNames: ['reader', 'member', 'admin'], verbs: ['bind'] },
  ]);
  t.equal(rulesOf('everything', 'Role'), undefined, 'nothing is watched');
  t.match(rulesOf('everything', 'ClusterRole')?.[2]?.resourceNames, ['reader']);
  t.end();
});

void t.test('the key of values is in a Secret only', { skip }, (t) => {
  const canary = 'canary-of-the-private-key';
  const encoded = Buffer.from(canary).toString('base64');
  for (const object of objectsOf('everything')) {
    const text = JSON.stringify(object);
    t.equal(text.includes(canary) || text.includes(encoded), object.kind === 'Secret', object.kind);
  }
  t.end();
});

void t.test('Prometheus and the API servers can connect, and nobody else', { skip }, (t) => {
  const ingressOf = (name: string): unknown =>
    objectsOf(name).find(({ kind }) => kind === 'NetworkPolicy')?.spec?.['ingress'];
  const ports = [{ port: 8443, protocol: 'TCP' }];
  t.strictSame(ingressOf('minimal'), [{ from: [{ ipBlock: { cidr: '192.0.2.0/24' } }], ports }]);
  t.strictSame(ingressOf('cert-manager'), [
    {
      from: [
        { ipBlock: { cidr: '192.0.2.0/24' } },
        {
          namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': 'monitoring' } },
          podSelector: { matchLabels: { 'app.kubernetes.io/name': 'prometheus' } },
        },
      ],
      ports,
    },
  ]);
  t.end();
});

void t.test('each variant has the objects that belong to it', { skip }, (t) => {
  t.strictSame(listKinds(objectsOf('minimal')), [
    'Deployment',
    'NetworkPolicy',
    'PodDisruptionBudget',
    'Service',
    'ServiceAccount',
  ]);
  t.strictSame(listKinds(objectsOf('control-plane')), ['DaemonSet', 'ServiceAccount']);
  t.strictSame(listKinds(objectsOf('control-plane-monitored')), [
    'DaemonSet',
    'PodMonitor',
    'PrometheusRule',
    'ServiceAccount',
  ]);
  t.strictSame(listKinds(objectsOf('cert-manager')), [
    'Certificate',
    'ConfigMap',
    'Deployment',
    'HorizontalPodAutoscaler',
    'NetworkPolicy',
    'PodDisruptionBudget',
    'PrometheusRule',
    'Service',
    'ServiceAccount',
    'ServiceMonitor',
  ]);
  t.equal(findPodSpec(objectsOf('control-plane')).containers[0].args[0], '--listen=127.0.0.1:8443');
  const rule = objectsOf('cert-manager').find(({ kind }) => kind === 'PrometheusRule');
  t.strictSame(rule?.spec, load(readFileSync(`${CHART}/files/alerts.yaml`, 'utf8')), 'the alerts are not changed');
  const dashboard = objectsOf('cert-manager').find(({ kind }) => kind === 'ConfigMap')?.data?.[
    'k8s-keystone-auth.json'
  ];
  t.strictSame(JSON.parse(dashboard ?? ''), JSON.parse(readFileSync(`${CHART}/files/dashboard.json`, 'utf8')));
  t.end();
});

void t.test('names and texts stay what they are, whatever YAML would make of them', { skip }, async (t) => {
  const set = 'clientCertificates.ca.secret=1e3,clientCertificates.ca.key=0x1,tls.secretName=12';
  const names = 'clientCertificates.allowedNames={api #1,admin: 2}';
  const minimal = VALUES_FILES.get('minimal') ?? '';
  const words = [
    'template',
    'true',
    CHART,
    '--namespace',
    '2024',
    '--values',
    minimal,
    '--set-string',
    set,
    '--set',
    names,
  ];
  const { status, stdout, stderr } = await helmIn(folder, ...words);
  t.equal(status, 0, stderr);
  const objects = readObjects(stdout);
  for (const { kind, metadata } of objects) t.match(metadata, { name: 'true', namespace: '2024' }, kind);
  const { volumes, containers, serviceAccountName } = findPodSpec(objects);
  t.equal(serviceAccountName, 'true');
  t.match(volumes, [
    { name: 'tls', secret: { secretName: '12' } },
    { name: 'client-ca', secret: { secretName: '1e3', items: [{ key: '0x1', path: '0x1' }] } },
  ]);
  const { args } = containers[0];
  t.ok(args.includes('--allowed-client-names=api #1,admin: 2'), args.join(' '));
});

void t.test('a Keystone on the same machine needs no encryption', { skip }, async (t) => {
  const set = 'keystone.url=http://127.0.0.1:5000/v3';
  const { status, stderr } = await template(VALUES_FILES.get('control-plane') ?? '', '--set', set);
  t.equal(status, 0, stderr);
});

void t.test('the certificate has the address that the API server connects to', { skip }, async (t) => {
  const addressesOf = (objects: readonly KubernetesObject[]): unknown =>
    objects.find(({ kind }) => kind === 'Certificate')?.spec?.['ipAddresses'];
  t.strictSame(addressesOf(objectsOf('cert-manager')), ['10.96.0.20']);
  const set = 'tls.source=certManager,tls.secretName=,tls.certManager.issuerName=ca';
  const { stdout, stderr } = await template(VALUES_FILES.get('control-plane') ?? '', '--set', set);
  t.strictSame(addressesOf(readObjects(stdout)), ['127.0.0.1'], stderr);
});

void t.test('the issuer has a Deployment of its own, and may change one Secret', { skip }, (t) => {
  const objects = objectsOf('issuer');
  const { args, env = [] } = findPodSpec(objects, 'issuer').containers[0];
  const variables = Object.fromEntries(env.map((variable) => [variable.name, variable.value]));
  const host = fakeHost({ argv: args, env: variables, cwd: '/' });
  const { words, flags } = parseCommandLine(args, ISSUER_OPTIONS);
  t.strictSame(words, ['issuer']);
  const settings = readIssuerSettings(host, resolveIssuerConfig(host, flags, ISSUER_OPTIONS));
  t.match(settings, { issuer: 'https://tokens.example.com/keystone', keyPlace: { secret: { name: 'signing-keys' } } });
  const missing = ISSUER_OPTIONS.filter(({ name }) => !args.some((flag) => flag.startsWith(`--${name}`)));
  t.strictSame(
    missing.map(({ name }) => name),
    ['signing-keys-file', 'allow-http', 'kubeconfig'],
    'each option is set, but for those of other places',
  );
  t.strictSame(objects.find(({ kind }) => kind === 'Role')?.rules, [
    { apiGroups: [''], resources: ['secrets'], resourceNames: ['signing-keys'], verbs: ['get', 'update'] },
  ]);
  t.equal(findPodSpec(objects).automountServiceAccountToken, false, 'the webhook still has no token');
  const audiences = objects.find(({ kind, data }) => kind === 'ConfigMap' && data?.['audiences.yaml'] !== undefined);
  const text = audiences?.data?.['audiences.yaml'] ?? '';
  t.match(parseAudiences(text, 'audiences.yaml').get('cluster-a'), { lifetimeMs: 300_000 });
  const { securityContext, containers, volumes } = findPodSpec(objects, 'issuer');
  t.match(securityContext, { runAsNonRoot: true, runAsUser: 65_532, seccompProfile: { type: 'RuntimeDefault' } });
  t.match(containers[0].securityContext, { readOnlyRootFilesystem: true, capabilities: { drop: ['ALL'] } });
  t.ok(volumes.every((volume) => 'secret' in volume || 'configMap' in volume));
  const selectors = objects.flatMap(({ kind, spec }) =>
    kind === 'Service' ? [JSON.stringify(spec?.['selector'])] : [],
  );
  t.equal(new Set(selectors).size, 2, 'no Service finds the pods of the other');
  t.end();
});

void t.test(
  'Prometheus finds the issuer, checks its certificate, and has its alerts and dashboard',
  { skip },
  async (t) => {
    const objects = objectsOf('issuer');
    const findOf = (all: readonly KubernetesObject[], kind: string): KubernetesObject | undefined =>
      all.find((object) => object.kind === kind && object.metadata.name === 'k8s-keystone-auth-issuer');
    const service = findOf(objects, 'Service');
    const monitor = findOf(objects, 'ServiceMonitor');
    const { matchLabels } = monitor?.spec?.['selector'] as { readonly matchLabels: Readonly<Record<string, string>> };
    t.match(service?.metadata.labels, matchLabels, 'it finds the Service');
    t.match(monitor?.metadata.labels, { release: 'prometheus' });
    t.strictSame(monitor?.spec?.['endpoints'], [
      {
        port: 'https',
        scheme: 'https',
        path: '/metrics',
        interval: '30s',
        tlsConfig: { serverName: 'tokens.example.com', ca: { secret: { name: 'tokens-ca', key: 'ca.pem' } } },
      },
    ]);
    t.strictSame(
      findOf(objects, 'PrometheusRule')?.spec,
      load(readFileSync(`${CHART}/files/issuer-alerts.yaml`, 'utf8')),
      'the alerts are not changed',
    );
    const dashboards = objects.find(({ data }) => data?.['k8s-keystone-auth.json'] !== undefined)?.data;
    t.strictSame(
      JSON.parse(dashboards?.['k8s-keystone-auth-issuer.json'] ?? ''),
      JSON.parse(readFileSync(`${CHART}/files/issuer-dashboard.json`, 'utf8')),
    );
    const file = VALUES_FILES.get('issuer') ?? '';
    const ownCa = 'issuer.monitoring.caSecret=,issuer.monitoring.caKey=ca.crt,monitoring.source=podMonitor';
    const pods = readObjects((await template(file, '--set', ownCa)).stdout);
    t.match(findOf(pods, 'PodMonitor')?.spec, {
      podMetricsEndpoints: [{ tlsConfig: { ca: { secret: { name: 'tokens-tls', key: 'ca.crt' } } } }],
    });
    const publicAuthority = 'issuer.monitoring.caSecret=,issuer.monitoring.publicAuthority=true';
    const withPublic = readObjects((await template(file, '--set', publicAuthority)).stdout);
    t.match(findOf(withPublic, 'ServiceMonitor')?.spec, {
      endpoints: [{ tlsConfig: { serverName: 'tokens.example.com', ca: undefined } }],
    });
    t.equal(findOf(objectsOf('cert-manager'), 'PrometheusRule'), undefined, 'not without an issuer');
  },
);

void t.test('the chart refuses an issuer without what it needs', { skip }, async (t) => {
  const file = VALUES_FILES.get('issuer') ?? '';
  const rows: readonly (readonly [set: string, message: RegExp])[] = [
    ['issuer.url=', /issuer\.url is required/],
    ['issuer.url=http://tokens.example.com', /url/],
    ['issuer.url=https://tokens.example.com/', /url/],
    ['issuer.tlsSecretName=', /issuer\.tlsSecretName is required/],
    ['issuer.signingKeysSecret=', /issuer\.signingKeysSecret is required/],
    ['issuer.audiences=[]', /issuer\.audiences is required/],
    ['issuer.clientCidrs=[]', /issuer\.clientCidrs is required/],
    ['issuer.audiences[0].allow=[]', /allow/],
    ['issuer.audiences[0].deny=x', /deny/],
    ['issuer.audiences[0].allow[0].role=x', /role/],
    ['issuer.audiences[0].allow[0].roles={*}', /roles/],
    ['issuer.audiences[0].allow[0].projects={web}', /projects/],
    ['issuer.audiences[0].allow[0].projects={acme/*,acme/*}', /projects/],
    ['issuer.audiences[0].allow[1].domains={*}', /domains/],
    ['issuer.signingAlg=HS256', /signingAlg/],
    ['issuer.monitoring.publicAuthority=true', /no Secret is used/],
    ['issuer.monitoring.ca=x', /ca/],
    ['issuer.enabled=false', /issuer is set, but issuer\.enabled is false/],
  ];
  for (const [set, message] of rows) {
    const { status, stderr } = await template(file, set.endsWith('[]') ? '--set-json' : '--set', set);
    t.not(status, 0, set);
    t.match(stderr, message, set);
  }
});

/** Changes of minimal-values.yaml that must fail, and what the message says. */
const REFUSED: readonly (readonly [set: string, message: RegExp])[] = [
  // Misspelled names.
  ['keystone.rat=5', /rat/],
  ['networkpolicy.enabled=false', /networkpolicy/],
  ['policy.entry=x', /entry/],
  ['policy.entries[0].user.roles[0]=admin,policy.source=values', /user/],
  ['policy.entries[0].users.role[0]=admin,policy.source=values', /role/],
  ['sync.roleMappings[0].keystone-rol=admin,sync.source=values', /keystone-rol/],
  // Values that are removed, so that a default no longer restricts anything.
  ['networkPolicy=null', /networkPolicy/],
  ['networkPolicy.enabled=null', /enabled/],
  ['pod=null', /pod/],
  ['authentication.accessRules=null', /accessRules/],
  ['clientCertificates=null', /clientCertificates/],
  // Selectors that match everything.
  ['networkPolicy.apiServerCidrs=null', /apiServerCidrs/],
  ['networkPolicy.apiServerCidrs=[]', /apiServerCidrs is required/],
  ['networkPolicy.keystoneCidrs=[]', /keystoneCidrs is required/],
  ['networkPolicy.dnsPodLabels.k8s-app=null', /dnsPodLabels/],
  ['networkPolicy.prometheus.podLabels.app\\.kubernetes\\.io/name=null', /podLabels/],
  // Wrong kinds.
  ['policy.source=value', /source/],
  ['metricsAccess=client', /metricsAccess/],
  ['authentication.accessRules=deny', /accessRules/],
  ['kind=Daemonset', /kind/],
  ['tls.source=cert-manager', /source/],
  ['monitoring.source=true', /source/],
  ['networkPolicy.enabled=no-thanks', /enabled/],
  ['proxy.httpsProxy=proxy:3128', /proxy\.httpsProxy must start with/],
  ['sync.clusterRoles={*}', /clusterRoles/],
  // What the webhook refuses when it starts.
  ['shutdownGraceSeconds=0', /shutdownGraceSeconds/],
  ['authentication.cacheTtlSeconds=0', /cacheTtlSeconds/],
  ['authentication.usernameFormat=keystone', /usernameFormat/],
  ['authentication.usernameFormat=%n%D', /usernameFormat/],
  ['authentication.usernameFormat=%x:%n', /usernameFormat/],
  ['authentication.groupFormat=%D:%n', /groupFormat/],
  ['authentication.allowedColonNames={devs}', /allowedColonNames/],
  ['authentication.allowedColonNames={*}', /allowedColonNames/],
  ['policy.source=watch,policy.configMapName=a,policy.compatibility={v1}', /compatibility/],
  ['sync.source=values,sync.namespaceFormat=-%i', /namespaceFormat/],
  ['sync.source=values,sync.namespaceFormat=%n', /namespaceFormat/],
  // Settings without an effect.
  ['oidc.issuerUrl=https://dex.example.com', /does not contain oidc/],
  ['sync.projects=true', /sync\.source is none/],
  ['sync.source=values,sync.roleAssignments=true', /needs sync\.clusterRoles/],
  ['sync.roleMappings[0].keystone-role=admin', /sync\.source is not values/],
  ['clientCertificates.allowedNames={a}', /needs clientCertificates\.ca/],
  ['metricsAccess=clients', /needs clientCertificates\.ca/],
  ['metricsAccess=off,monitoring.source=podMonitor', /metricsAccess is off/],
  ['keystone.ca.secret=a,keystone.ca.configMap=b', /only one of/],
  ['oidc.ca.secret=a', /does not contain oidc/],
  ['policy.configMapName=a', /policy\.source is none/],
  ['sync.configMapName=a,sync.source=values', /sync\.source is values/],
  ['policy.denyUnmatched=true', /policy\.source is none/],
  ['sync.source=values,sync.clusterRoles={reader}', /sync\.roleAssignments is not/],
  ['tls.source=values,tls.certificate=a,tls.key=b', /tls\.secretName is set/],
  ['tls.certManager.issuerName=a', /tls\.source is secret/],
  // What would not run, or not be reached.
  ['keystone.url=http://keystone.example.com:5000/v3', /set keystone\.allowHttp/],
  ['keystone.url=http://127.0.0.1.example.com/v3', /set keystone\.allowHttp/],
  ['monitoring.source=serviceMonitor', /does not let Prometheus connect/],
  ['commonLabels.app\\.kubernetes\\.io/name=a', /must not contain app\.kubernetes\.io\/name/],
  ['fullnameOverride=keystone.v2', /set fullnameOverride/],
  ['fullnameOverride=2keystone', /set fullnameOverride/],
  ['autoscaling.enabled=true,autoscaling.maxReplicas=1', /minReplicas is more than/],
  // What would keep machines from being drained.
  ['replicas=1', /less than the 1 replicas/],
  ['autoscaling.enabled=true,podDisruptionBudget.minAvailable=2', /less than the 2 replicas/],
  // What is required.
  ['image.repository=', /image\.repository is required/],
  ['keystone.url=', /keystone\.url is required/],
  ['tls.secretName=', /tls\.secretName is required/],
  ['tls.source=certManager,tls.secretName=', /issuerName is required/],
  ['policy.source=watch', /configMapName is required/],
  ['serviceAccount.create=false', /serviceAccount\.name is required/],
  // A webhook on the network of the machine.
  ['kind=DaemonSet,daemonSet.listenAddress=0.0.0.0', /set clientCertificates\.ca/],
  ['kind=DaemonSet,monitoring.source=podMonitor', /cannot reach/],
  ['kind=DaemonSet,autoscaling.enabled=true', /kind: Deployment/],
];

void t.test('the chart refuses what is misspelled, missing, without an effect, or too wide', { skip }, async (t) => {
  const minimal = VALUES_FILES.get('minimal') ?? '';
  const check = async ([set, message]: (typeof REFUSED)[number]): Promise<void> => {
    const { status, stdout, stderr } = await template(minimal, set.endsWith('[]') ? '--set-json' : '--set', set);
    t.not(status, 0, set);
    t.equal(stdout, '', set);
    t.match(stderr, message, set);
  };
  for (const refused of REFUSED) await check(refused);
});

void t.test('a password of the proxy is refused and not printed', { skip }, async (t) => {
  const set = 'proxy.httpsProxy=http://user:canary-password@proxy:3128';
  const { status, stdout, stderr } = await template(VALUES_FILES.get('minimal') ?? '', '--set', set);
  t.not(status, 0);
  t.match(stderr, /without a user and a password/);
  t.notMatch(stdout + stderr, /canary/);
});

void t.test(
  'helm installs the archive of a release from a server, and it is what helm would make',
  { skip },
  async (t) => {
    const name = basename(chartPath(PROJECT.version));
    const release = t.testdir({ own: {}, helm: {} });
    writeFileSync(join(release, 'own', name), await packChart());
    const packaged = await helmIn(folder, 'package', CHART, '--destination', join(release, 'helm'));
    t.equal(packaged.status, 0, packaged.stderr);
    const list = (path: string): readonly string[] =>
      execFileSync('tar', ['-tzf', path], { encoding: 'utf8' }).trim().split('\n').toSorted();
    t.strictSame(list(join(release, 'own', name)), list(join(release, 'helm', name)));
    const server = await startReleaseServer(join(release, 'own'));
    t.teardown(() => server.stop());
    const words = ['--namespace', 'kube-system', '--values', VALUES_FILES.get('everything') ?? ''];
    const { status, stdout, stderr } = await helmIn(folder, 'template', 'a', `${server.url}/${name}`, ...words);
    t.equal(status, 0, stderr);
    t.equal(stdout, (await helmIn(folder, 'template', 'a', CHART, ...words)).stdout);
  },
);

void t.test('the manifests are what the chart renders', { skip }, async (t) => {
  const file = 'packaging/webhook/manifests.yaml';
  const { status, stdout, stderr } = await template(VALUES_FILES.get('manifests') ?? '');
  t.equal(status, 0, stderr);
  t.equal(
    readFileSync(file, 'utf8'),
    await renderManifests(stdout),
    'run "node scripts/setup.mjs scripts/render-manifests.ts"',
  );
});
