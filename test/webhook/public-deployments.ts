/**
 * How public projects run the Go k8s-keystone-auth: arguments, variables, and the documents that they give it. The project
 * of a policy is that of the user in the tests, and files have the names that these projects mount.
 */

/** A stand-in for the address of Keystone. */
export const KEYSTONE_URL = 'KEYSTONE_URL';

type ConfigMaps = Readonly<Record<string, Readonly<Record<string, string>>>>;

/** A resource, or a path, that the user asks for. */
export type Wish = string | { readonly verb: string; readonly namespace: string; readonly resource: string };

export interface PublicDeployment {
  /** Repository, commit and file. */
  readonly source: string;
  /** Whether the arguments are a command, in which case the entry point of an image is not used. */
  readonly isCommand?: true;
  readonly argv: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  /** Files other than certificates, by their paths. */
  readonly files?: Readonly<Record<string, string>>;
  readonly configMaps?: ConfigMaps;
  readonly allowed?: Wish;
  readonly refused: Wish;
  /** A group that the synchronization adds. */
  readonly group?: string;
}

const VIEW_PODS = [
  {
    users: { projects: ['web'], roles: ['member'] },
    resource_permissions: { '*/pods': ['get', 'list', 'watch'] },
  },
];

const version1 = (role: string, namespace: string, verbs: readonly string[], resources: readonly string[]): object => ({
  resource: { verbs, resources, version: '*', namespace },
  match: [
    { type: 'role', values: [role] },
    { type: 'project', values: ['web'] },
  ],
});

const indent = (text: string): string => text.replaceAll(/^/gm, '    ');

export const PUBLIC_DEPLOYMENTS: Readonly<Record<string, PublicDeployment>> = {
  'cloud-provider-openstack': {
    source: 'kubernetes/cloud-provider-openstack c453fb7, examples/webhook/keystone-deployment.yaml',
    argv: [
      './bin/k8s-keystone-auth',
      ...['--tls-cert-file', '/etc/pki/tls.crt', '--tls-private-key-file', '/etc/pki/tls.key'],
      ...['--policy-configmap-name', 'k8s-auth-policy', '--keystone-url', KEYSTONE_URL],
    ],
    configMaps: { 'k8s-auth-policy': { policies: `${JSON.stringify(VIEW_PODS, null, 2)}\n` } },
    allowed: { verb: 'list', namespace: 'kube-system', resource: 'pods' },
    refused: { verb: 'create', namespace: 'default', resource: 'pods' },
  },
  'the guide of cloud-provider-openstack for synchronization': {
    source: 'kubernetes/cloud-provider-openstack c453fb7, docs/keystone-auth/using-auth-data-synchronization.md',
    isCommand: true,
    argv: [
      'k8s-keystone-auth',
      '--tls-cert-file',
      '/etc/kubernetes/pki/apiserver.crt',
      '--tls-private-key-file',
      '/etc/kubernetes/pki/apiserver.key',
      ...['--keystone-url', KEYSTONE_URL, '--sync-configmap-name', 'keystone-sync-policy'],
    ],
    configMaps: {
      'keystone-sync-policy': {
        syncConfig: 'role-mappings:\n  - keystone-role: member\n    groups: ["project-1-group"]\n',
      },
    },
    refused: { verb: 'get', namespace: 'default', resource: 'pods' },
    group: 'project-1-group',
  },
  Magnum: {
    source:
      'openstack/magnum 0c6e7d49^, magnum/drivers/common/templates/kubernetes/fragments/enable-keystone-auth.sh; ' +
      'etc/magnum/keystone_auth_default_policy.sample',
    argv: [
      './bin/k8s-keystone-auth',
      ...['--tls-cert-file', '/etc/kubernetes/certs/server.crt'],
      ...['--tls-private-key-file', '/etc/kubernetes/certs/server.key'],
      ...['--policy-configmap-name', 'k8s-keystone-auth-policy', '--keystone-url', KEYSTONE_URL],
      ...['--sync-configmap-name', 'keystone-sync-policy', '--keystone-ca-file', '/etc/kubernetes/ca-bundle.crt'],
      ...['--listen', '127.0.0.1:8443'],
    ],
    configMaps: {
      // One line: a template replaces the whole policy.
      'k8s-keystone-auth-policy': {
        policies: `${JSON.stringify([
          {
            users: { roles: ['k8s_admin'], projects: ['web'] },
            resource_permissions: { '*/*': ['*'] },
            nonresource_permissions: { '/healthz': ['get', 'post'] },
          },
          {
            users: { roles: ['member'], projects: ['web'] },
            resource_permissions: {
              "!kube-system/['apiServices', 'configmaps', 'limitRanges', 'pods', 'replicaSets', 'secrets']": ['*'],
              "*/['clusterroles', 'nodes', 'podSecurityPolicies']": ['get', 'list', 'watch'],
            },
          },
        ])}\n`,
      },
      'keystone-sync-policy': { syncConfig: 'role-mappings:\n  - keystone-role: member\n    groups: []\n' },
    },
    allowed: { verb: 'delete', namespace: 'default', resource: 'replicasets' },
    refused: { verb: 'get', namespace: 'kube-system', resource: 'secrets' },
  },
  'the Cluster API driver of Magnum': {
    source: 'vexxhost/magnum-cluster-api 3890a36, magnum_cluster_api/charts/k8s-keystone-auth/templates/daemonset.yaml',
    argv: [
      './bin/k8s-keystone-auth',
      ...['--tls-cert-file', '/etc/kubernetes/pki/apiserver.crt'],
      ...['--tls-private-key-file', '/etc/kubernetes/pki/apiserver.key'],
      ...['--policy-configmap-name', 'k8s-keystone-auth-policy', '--keystone-url', KEYSTONE_URL],
      ...['--sync-configmap-name', 'k8s-keystone-auth-sync', '--keystone-ca-file', '/etc/kubernetes/cloud_ca.crt'],
      ...['--listen', '127.0.0.1:8443'],
    ],
    configMaps: {
      'k8s-keystone-auth-policy': {
        policies: JSON.stringify([version1('member', 'default', ['list'], ['pods', 'services', 'deployments', 'pvc'])]),
      },
      'k8s-keystone-auth-sync': { syncConfig: 'role-mappings:\n  - keystone-role: member\n    groups: []\n\n' },
    },
    allowed: { verb: 'list', namespace: 'default', resource: 'services' },
    refused: { verb: 'get', namespace: 'default', resource: 'services' },
  },
  'OpenStack-Helm': {
    source: 'openstack/openstack-helm 0ee5ade, kubernetes-keystone-webhook/templates/bin/_start.sh.tpl and values.yaml',
    isCommand: true,
    argv: [
      '/bin/k8s-keystone-auth',
      ...['--tls-cert-file', '/opt/kubernetes-keystone-webhook/pki/tls.crt'],
      ...['--tls-private-key-file', '/opt/kubernetes-keystone-webhook/pki/tls.key'],
      ...['--keystone-policy-file', '/etc/kubernetes-keystone-webhook/policy.json'],
      ...['--keystone-url', KEYSTONE_URL],
    ],
    files: {
      // An indented block of a ConfigMap whose last line has spaces.
      '/etc/kubernetes-keystone-webhook/policy.json': `${indent(
        JSON.stringify(
          [
            {
              resource: { verbs: ['*'], resources: ['*'], namespace: '*', version: '*' },
              match: [{ type: 'role', values: ['admin'] }],
            },
            {
              resource: { verbs: ['*'], resources: ['*'], namespace: 'openstack', version: '*' },
              match: [{ type: 'project', values: ['web'] }],
            },
            { nonresource: { verbs: ['*'], path: '*' }, match: [{ type: 'role', values: ['admin_k8cluster'] }] },
            {
              resource: {
                resources: ['pods', 'pods/log', 'replicationcontrollers/scale', 'services/proxy'],
                verbs: ['get', 'list', 'watch'],
                namespace: '*',
                version: '',
              },
              match: [{ type: 'role', values: ['admin_k8cluster_viewer'] }],
            },
          ],
          null,
          2,
        ),
      )}\n`,
    },
    allowed: { verb: 'delete', namespace: 'openstack', resource: 'pods' },
    refused: '/healthz',
  },
  'the addon of MicroK8s': {
    source: 'canonical/microk8s-openstack-addons f970789, addons/k8s-keystone-auth/enable',
    argv: [
      './bin/k8s-keystone-auth',
      ...['--tls-cert-file', '/etc/pki/tls.crt', '--tls-private-key-file', '/etc/pki/tls.key'],
      ...['--policy-configmap-name', 'k8s-auth-policy', '--keystone-url', KEYSTONE_URL],
    ],
    env: {
      TLS_CERT_FILE: '/etc/pki/tls.crt',
      TLS_PRIVATE_KEY_FILE: '/etc/pki/tls.key',
      KEYSTONE_CA_FILE: '/etc/pki/ca.crt',
    },
    configMaps: { 'k8s-auth-policy': { policies: `${JSON.stringify(VIEW_PODS, null, 2)}\n\n` } },
    allowed: { verb: 'watch', namespace: 'default', resource: 'pods' },
    refused: { verb: 'get', namespace: 'default', resource: 'secrets' },
  },
  'the charm keystone-k8s-auth': {
    source: 'canonical/keystone-k8s-auth-operator d929cb5, upstream/keystone_auth/manifests and charmcraft.yaml',
    argv: ['./bin/k8s-keystone-auth'],
    env: {
      OS_AUTH_URL: KEYSTONE_URL,
      TLS_CERT_FILE: '/etc/pki/tls.crt',
      TLS_PRIVATE_KEY_FILE: '/etc/pki/tls.key',
      KEYSTONE_POLICY_CONFIGMAP_NAME: 'k8s-auth-policy',
      KEYSTONE_CA_FILE: '/etc/pki/ca.crt',
    },
    configMaps: { 'k8s-auth-policy': { policies: JSON.stringify(VIEW_PODS, null, 2) } },
    allowed: { verb: 'get', namespace: 'default', resource: 'pods' },
    refused: { verb: 'delete', namespace: 'default', resource: 'pods' },
  },
  'the charm k8s-keystone-auth': {
    source: 'Cynerva/k8s-keystone-auth-operator bfd13c6, src/charm.py and config.yaml',
    isCommand: true,
    argv: [
      './bin/k8s-keystone-auth',
      ...['--keystone-url', KEYSTONE_URL],
      ...['--tls-private-key-file', '/etc/k8s-keystone-auth/server.key'],
      ...['--tls-cert-file', '/etc/k8s-keystone-auth/server.crt'],
      ...['--keystone-policy-file', '/etc/k8s-keystone-auth/authorization-policy.json'],
    ],
    files: {
      '/etc/k8s-keystone-auth/authorization-policy.json': `${JSON.stringify([
        version1('k8s-viewers', '*', ['get', 'list', 'watch'], ['*']),
        version1('member', 'default', ['*'], ['*']),
        version1('k8s-admins', '*', ['*'], ['*']),
      ])}\n`,
    },
    allowed: { verb: 'create', namespace: 'default', resource: 'deployments' },
    refused: { verb: 'get', namespace: 'web', resource: 'pods' },
  },
};
