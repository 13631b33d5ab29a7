import { trustAuthorities } from '../../../shared/http/tls-settings.ts';
import type { TlsSettings } from '../../../shared/http/tls-settings.ts';
import { UsageError } from '../../../shared/base/errors.ts';
import { isPlaintextRemote, parseWebUrl } from '../../../shared/http/peer.ts';
import type { Kubeconfig } from '../../kubeconfig/kubeconfig.ts';
import { withHttp } from '../../login/http-context.ts';
import { Secret } from '../../../shared/base/secret.ts';
import { makeCommandOption, OUTPUT_OPTION } from '../command.ts';
import type { CommandResult, Invocation, Command } from '../command.ts';
import { openCommandKubeconfig } from './open-kubeconfig.ts';
import { readConfiguredLogin } from './configured-login.ts';
import { saveOrPreviewContext } from './save-or-preview.ts';
import { CONTEXT_OPTIONS, WRITE_OPTIONS } from './options.ts';
import { choosePluginCommand } from './plugin-command.ts';
import { readStanzaVersion } from './stanza-version.ts';
import { nameContext, readAuthorityOption, rejectOtherCluster, rejectOtherServer, setContext } from './context.ts';
import type { ContextNames } from './context.ts';
import { readServedContext } from './served-kubeconfig.ts';
import type { ServedContext } from './served-kubeconfig.ts';
import { explainStatus } from './service-answer.ts';
import { openSession } from '../session.ts';
import type { Session } from '../session.ts';

const SERVICE = { name: 'the service', setting: 'the URL' };
const MAX_WARNING_LENGTH = 200;

/** Messages must not show the path and the query of the URL: they can contain secrets. */
function parseServiceUrl(text: string): URL {
  const url = parseWebUrl(text);
  if (url === undefined) {
    throw new UsageError('URL must be an https:// address without a user name and a password', {
      hint: 'it looks like https://kubeconfigs.example.com/kube-config',
    });
  }
  if (isPlaintextRemote(url)) {
    throw new UsageError('URL is http://: the token would be sent over the network unencrypted', {
      hint: 'use https://',
    });
  }
  return url;
}

/** The service is not Keystone: it must have a valid certificate, and does not get the client certificate. */
function makeServiceTls(call: Invocation, { login }: Session): TlsSettings {
  return trustAuthorities(readAuthorityOption(call) ?? login.tls.ca);
}

async function requestKubeconfig(call: Invocation, url: URL): Promise<string> {
  const session = await openSession(call);
  const { login, record } = session;
  const { status, body } = await withHttp({ ...login, tls: makeServiceTls(call, session) }, login.deadlineMs, (http) =>
    http.send({
      verb: 'GET',
      url: url.href,
      headers: {
        authorization: new Secret(`Bearer ${record.token}`),
        accept: 'application/yaml, application/json;q=0.9, */*;q=0.5',
      },
      peer: SERVICE,
    }),
  );
  if (status !== 200) throw explainStatus(status, url.origin, 'a kubeconfig', 'check the URL');
  return body;
}

/** @throws ConfigError if the kubeconfig has something else under one of the names */
function chooseNames(kubeconfig: Kubeconfig, call: Invocation, served: ServedContext): ContextNames {
  const { ownConfig } = call;
  const cluster = ownConfig.text('cluster') ?? served.cluster;
  const context = ownConfig.text('name') ?? served.context;
  rejectOtherServer(
    kubeconfig,
    cluster,
    served.clusterSettings['server'],
    'give other names with --cluster and --name',
  );
  rejectOtherCluster(kubeconfig, context, cluster, 'give another name with --name');
  return nameContext(kubeconfig, call, context, cluster);
}

async function fetchKubeconfig(call: Invocation): Promise<CommandResult> {
  const { ownConfig, host, reporter, args } = call;
  const url = parseServiceUrl(args[0] ?? '');
  const login = await readConfiguredLogin(call, { withSecrets: ownConfig.isOn('with-secrets') });
  // Before the request: if the option or the kubeconfig is invalid, the token is not sent.
  readStanzaVersion(call);
  const kubeconfig = openCommandKubeconfig(call);
  const served = readServedContext(await requestKubeconfig(call, url), url.origin);
  const names = chooseNames(kubeconfig, call, served);
  const { command, warning } = choosePluginCommand(host, ownConfig.text('command'));
  const old = kubeconfig.find('cluster', names.cluster)?.value;
  kubeconfig.set('cluster', names.cluster, { ...old, ...served.clusterSettings });
  const { namespace } = served;
  const contextSettings = namespace === undefined ? {} : { namespace };
  setContext(kubeconfig, call, names, { ...login, command }, contextSettings);
  if (warning !== undefined) reporter.warn(warning);
  if (served.leftOut.length > 0) {
    const settings = served.leftOut.join(', ').slice(0, MAX_WARNING_LENGTH);
    reporter.warn(`these settings of the cluster that the service sent were left out: ${settings}`);
  }
  return saveOrPreviewContext(call, kubeconfig, names, login);
}

/** Adds the cluster and the context of a kubeconfig that a service sends for a token. */
export const kubeconfigFetchCommand: Command = {
  words: ['kubeconfig', 'fetch'],
  task: 'Set up',
  summary: 'get a kubeconfig from a service that accepts a bearer token, and add an exec stanza of this program',
  details: [
    'For services such as the IAM Kubeconfig Service of Kyma, which send a kubeconfig with a short-lived token. ' +
      'The cluster and the context are added to your kubeconfig, ' +
      'and the user logs in with the current configuration. Nothing else that the service sends is used.',
  ],
  arguments: [{ name: 'URL', help: 'URL of the kubeconfig', required: true }],
  options: [
    makeCommandOption({ name: 'name', help: 'name of the context; by default the one that the service sends' }),
    makeCommandOption({ name: 'cluster', help: 'name of the cluster; by default the one that the service sends' }),
    makeCommandOption({
      name: 'certificate-authority',
      kind: 'file',
      help: 'PEM file of the CA that signed the certificate of the service; by default --cacert',
    }),
    ...CONTEXT_OPTIONS,
    ...WRITE_OPTIONS,
    OUTPUT_OPTION,
  ],
  contextUse: 'login-and-file',
  getTokenOptions: 'login',
  examples: [
    {
      line: 'kubeconfig fetch https://kubeconfigs.example.com/kube-config',
      summary: 'add the cluster that the service sends',
    },
  ],
  run: fetchKubeconfig,
};
