import type { TlsSettings } from '../../../shared/http/tls-settings.ts';
import {
  AuthRejected,
  ConfigError,
  KeystoneProtocolError,
  KeystoneUnreachable,
  UsageError,
} from '../../../shared/base/errors.ts';
import { isPlaintextRemote } from '../../../shared/base/url.ts';
import { textAt } from '../../../shared/base/json.ts';
import type { JsonObject } from '../../../shared/base/json.ts';
import type { HttpResponse } from '../../../shared/http/http-client.ts';
import type { Kubeconfig } from '../../kubeconfig/kubeconfig.ts';
import { makeExecStanza } from '../../kubeconfig/exec-stanza.ts';
import { withHttp } from '../../login/http-context.ts';
import { makePrintable } from '../../../shared/base/printable.ts';
import { Secret } from '../../../shared/base/secret.ts';
import type { CommandResult, Invocation, Command } from '../command.ts';
import { readConfiguredLogin } from './configured-login.ts';
import { saveOrPreviewContext } from './save-or-preview.ts';
import { CONTEXT_OPTIONS, WRITE_OPTIONS } from './options.ts';
import { choosePluginCommand } from './plugin-command.ts';
import { hasCertificate, isPluginUser, setContext, readAuthorityOption, parseServerUrl } from './context.ts';
import type { ContextNames } from './context.ts';
import { openSession } from '../session.ts';
import type { Session } from '../session.ts';

const PLACE = { name: 'the service', setting: 'the URL' };
const LONGEST_NAME = 253;

/** Where the token is sent to. Its path and query are not for messages: they may hold what is secret. */
function readUrl(text: string): URL {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  const isWeb = url !== undefined && /^https?:$/.test(url.protocol);
  if (!isWeb || url.username !== '' || url.password !== '') {
    throw new UsageError('URL must be an https:// address without a user name and a password', {
      hint: 'it looks like https://kubeconfigs.example.com/kube-config',
    });
  }
  if (isPlaintextRemote(url)) {
    throw new UsageError('URL is http://: the token would cross the network unencrypted', { hint: 'use https://' });
  }
  return url;
}

/** The service is another than Keystone: it must show a good certificate, and is not shown ours. */
function tlsOf(call: Invocation, { login }: Session): TlsSettings {
  const ca = readAuthorityOption(call) ?? login.tls.ca;
  return { insecure: false, ca, cert: undefined, key: undefined, paths: {}, files: [] };
}

/** @throws PluginError for every answer but a good one */
function readBody({ status, body }: HttpResponse, { origin }: URL): string {
  if (status === 200) return body;
  const said = `${origin} answered ${String(status)} instead of a kubeconfig`;
  if (status === 401 || status === 403) {
    throw new AuthRejected('auth-rejected', said, { hint: 'check user, project and roles; see "whoami"' });
  }
  if (status === 429 || status >= 500) throw new KeystoneUnreachable('unavailable', said, { hint: 'try again later' });
  throw new KeystoneProtocolError('protocol', said, { hint: 'check the URL' });
}

async function ask(call: Invocation, url: URL): Promise<string> {
  const session = await openSession(call);
  const { login, record } = session;
  const answer = await withHttp({ ...login, tls: tlsOf(call, session) }, login.deadlineMs, (http) =>
    http.send({
      verb: 'GET',
      url: url.href,
      headers: {
        authorization: new Secret(`Bearer ${record.token}`),
        accept: 'application/yaml, application/json;q=0.9, */*;q=0.5',
      },
      peer: PLACE,
    }),
  );
  return readBody(answer, url);
}

/** What a service may decide: where a cluster is and how it is known. Never what runs here, or which files are read. */
interface Served {
  readonly context: string;
  readonly cluster: string;
  readonly namespace: string | undefined;
  readonly settings: JsonObject;
  /** Names of what was left out of the cluster. */
  readonly leftOut: readonly string[];
}

const wrong = (origin: string, what: string): KeystoneProtocolError =>
  new KeystoneProtocolError('protocol', `the kubeconfig of ${origin} ${what}`, { hint: 'ask its operator' });

function checkName(name: string | undefined, what: string, origin: string): string {
  if (name !== undefined && name !== '' && name.length <= LONGEST_NAME && makePrintable(name) === name) return name;
  throw wrong(origin, `names no ${what}`);
}

function readCluster(cluster: JsonObject, origin: string): Pick<Served, 'settings' | 'leftOut'> {
  const server = textAt(cluster, 'server') ?? '';
  parseServerUrl(server, `the server in the kubeconfig of ${origin}`);
  const authority = textAt(cluster, 'certificate-authority-data');
  if (authority !== undefined && !hasCertificate(Buffer.from(authority, 'base64').toString('latin1'))) {
    throw wrong(origin, 'has an authority that is no certificate');
  }
  if (cluster['insecure-skip-tls-verify'] === true) {
    throw wrong(origin, "wants the cluster's certificate not to be checked");
  }
  const name = textAt(cluster, 'tls-server-name');
  const taken = ['server', 'certificate-authority-data', 'tls-server-name', 'insecure-skip-tls-verify'];
  return {
    settings: {
      ...(authority === undefined ? {} : { 'certificate-authority-data': authority }),
      server,
      ...(name === undefined ? {} : { 'tls-server-name': name }),
    },
    leftOut: Object.keys(cluster).filter((key) => !taken.includes(key)),
  };
}

function readServed(served: Kubeconfig, origin: string): Served {
  const [only, ...others] = served.listNames('context');
  const context = served.currentContext ?? (others.length === 0 ? only : undefined);
  const value = served.find('context', context ?? '')?.value;
  const cluster = textAt(value, 'cluster');
  const found = served.find('cluster', cluster ?? '')?.value;
  if (value === undefined || found === undefined) throw wrong(origin, 'has no current context with a cluster');
  const namespace = textAt(value, 'namespace');
  return {
    context: checkName(context, 'context', origin),
    cluster: checkName(cluster, 'cluster', origin),
    namespace: namespace === undefined ? undefined : checkName(namespace, 'namespace', origin),
    ...readCluster(found, origin),
  };
}

/** What is there already must be the same thing. */
function chooseTarget(kubeconfig: Kubeconfig, { ownConfig }: Invocation, served: Served): ContextNames {
  const cluster = ownConfig.text('cluster') ?? served.cluster;
  const server = textAt(kubeconfig.find('cluster', cluster)?.value, 'server');
  if (server !== undefined && server !== served.settings['server']) {
    throw new ConfigError(`the kubeconfig has a cluster "${cluster}" with another server`, {
      hint: 'give another name with --cluster and --name',
    });
  }
  const context = ownConfig.text('name') ?? served.context;
  const old = kubeconfig.find('context', context)?.value;
  if (old !== undefined && textAt(old, 'cluster') !== cluster) {
    throw new ConfigError(`the kubeconfig has a context "${context}" for another cluster`, {
      hint: 'give another name with --name',
    });
  }
  const oldUser = textAt(old, 'user');
  const kept = oldUser !== undefined && isPluginUser(kubeconfig.find('user', oldUser)) ? oldUser : undefined;
  return { context, cluster, user: ownConfig.text('user') ?? kept ?? context };
}

async function readAnswer(text: string, origin: string): Promise<Served> {
  const { openKubeconfigText } = await import('../../kubeconfig/kubeconfig.ts');
  let served: Kubeconfig;
  try {
    served = openKubeconfigText(text, `the answer of ${origin}`);
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    throw new KeystoneProtocolError('protocol', makePrintable(error.message), { hint: 'check the URL' });
  }
  return readServed(served, origin);
}

async function fetchKubeconfig(call: Invocation): Promise<CommandResult> {
  const { openKubeconfig } = await import('../../kubeconfig/kubeconfig.ts');
  const { ownConfig, host, reporter, args } = call;
  const url = readUrl(args[0] ?? '');
  const configured = await readConfiguredLogin(call, ownConfig.isOn('with-secrets'));
  // Before anything is sent: it may be that nothing can be written.
  const kubeconfig = openKubeconfig(host, ownConfig.text('kubeconfig'));
  const served = await readAnswer(await ask(call, url), url.origin);
  const target = chooseTarget(kubeconfig, call, served);
  const { command, warning } = choosePluginCommand(host, ownConfig.text('command'));
  const old = kubeconfig.find('cluster', target.cluster)?.value;
  kubeconfig.set('cluster', target.cluster, { ...old, ...served.settings });
  const { namespace } = served;
  const settings = namespace === undefined ? {} : { namespace };
  setContext(kubeconfig, call, target, makeExecStanza({ ...configured, command }), settings);
  if (warning !== undefined) reporter.warn(warning);
  if (served.leftOut.length > 0) {
    reporter.warn(`of the cluster that was served this was left out: ${served.leftOut.join(', ').slice(0, 200)}`);
  }
  return saveOrPreviewContext(call, kubeconfig, target, configured);
}

/** Gets a kubeconfig from a service that wants a token, and logs in by itself from then on. */
export const kubeconfigFetchCommand: Command = {
  words: ['kubeconfig', 'fetch'],
  summary: 'get a kubeconfig from a service that wants a bearer token, and put a stanza of ours into it',
  details: [
    "For services like Kyma's IAM Kubeconfig Service, which answer with a kubeconfig whose token soon ends: its cluster and context are added to yours, and the user logs in with what is configured now. Nothing else that the service sends is used.",
  ],
  arguments: [{ name: 'URL', help: 'address of the kubeconfig', required: true }],
  options: [
    { name: 'name', group: 'Command', file: 'nowhere', help: "name of the context; the service's own when absent" },
    { name: 'cluster', group: 'Command', file: 'nowhere', help: "name of the cluster; the service's own when absent" },
    {
      name: 'certificate-authority',
      group: 'Command',
      kind: 'file',
      file: 'nowhere',
      help: "PEM file of the authority of the service's certificate; --cacert when absent",
    },
    ...CONTEXT_OPTIONS,
    ...WRITE_OPTIONS,
  ],
  getTokenOptions: 'login',
  examples: [
    {
      line: 'kubeconfig fetch https://kubeconfigs.example.com/kube-config',
      summary: 'add the cluster that the service knows',
    },
  ],
  run: fetchKubeconfig,
};
