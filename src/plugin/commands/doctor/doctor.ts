import type { TokenRecord } from '../../cache/token-record.ts';
import type { Host } from '../../../shared/base/host.ts';
import { explainListedAuthority } from '../../../shared/http/explain-network-error.ts';
import { checkSystemAuthorities } from '../../../shared/http/system-authorities.ts';
import { readTrustedOrigins } from '../../../shared/http/trusted-origins.ts';
import { PROGRAM_NAME } from '../../../shared/base/program.ts';
import { openLoginContext } from '../../login/open-login-context.ts';
import { warnAboutSettings } from '../../login/get-token.ts';
import type { LoginContext } from '../../login/login-context.ts';
import type { TokenExchange } from '../../login/token-exchange.ts';
import { chooseMethod } from '../../auth-methods/choose-method.ts';
import type { Line, Style } from '../../../shared/base/terminal-text.ts';
import { redact } from '../../../shared/base/secret.ts';
import { captureWarnings } from '../capture-warnings.ts';
import type { CapturedWarnings } from '../capture-warnings.ts';
import { makeCommandOption, OUTPUT_OPTION } from '../command.ts';
import { hasOwnSettings, makeKubectlRun } from '../kubectl-run.ts';
import type { ExecStanza } from '../kubectl-run.ts';
import type { CommandResult, Invocation, Command } from '../command.ts';
import { checkApiServer } from './api-server.ts';
import { checkCluster } from './cluster.ts';
import { checkAuthorities, checkCache, checkKeyring, checkSecretFiles } from './files.ts';
import {
  checkClock,
  checkLifetime,
  checkLogin,
  checkMethods,
  checkScope,
  checkAuthUrl,
  checkVersion,
} from './keystone.ts';
import type { ScopeResult } from './keystone.ts';
import { checkExchange, checkIssuer, checkIssuerKeys, UNTRUSTED_ISSUER } from './issuer.ts';
import { checkKuberc } from './kuberc.ts';
import { checkDns, checkTcp, checkTls, checkProxy } from './network.ts';
import type { NetworkTarget } from './network.ts';
import { warn, pass, makeCheckRunner } from './check-runner.ts';
import type { CheckResult, CheckedValue, CheckOutcome, CheckStatus, CheckRunner } from './check-runner.ts';
import { checkCommand, checkContext, checkExecStanza, resolveCommand } from './exec-stanza.ts';

const MARKS: Readonly<Record<CheckStatus, readonly [mark: string, style: Style]>> = {
  good: ['✓', 'green'],
  bad: ['✗', 'red'],
  doubtful: ['!', 'yellow'],
  skipped: ['–', 'dim'],
};

function render(results: readonly CheckResult[]): Line[] {
  const width = Math.max(...results.map(({ check }) => check.length));
  return results.flatMap(({ check, result, summary, fix }): Line[] => {
    const [mark, style] = MARKS[result];
    const line = [{ style, text: mark }, ` ${check.padEnd(width)}  ${redact(summary)}`];
    return fix === undefined ? [line] : [line, `${' '.repeat(width + 4)}→ ${redact(fix)}`];
  });
}

async function checkSettings(
  { runContext }: Invocation,
  { reporter, warnings }: CapturedWarnings,
  stanza: ExecStanza | undefined,
): Promise<CheckOutcome<LoginContext>> {
  const run = { ...runContext, reporter };
  const login = await openLoginContext(stanza === undefined ? run : makeKubectlRun(run, stanza));
  // The cache and TLS have checks of their own.
  warnings.length = 0;
  warnAboutSettings(login);
  const source = stanza !== undefined && hasOwnSettings(stanza) ? ', with the settings of the kubeconfig' : '';
  const summary = `${login.method.name}, ${chooseMethod(login.config).because}${source}`;
  const ownWarnings = warnings.splice(0);
  if (ownWarnings.length === 0) return pass(summary, login);
  const fix = `correct the settings; "${PROGRAM_NAME} explain" shows where each one comes from`;
  return warn(`${summary}; ${ownWarnings.join('; ')}`, fix, login);
}

async function checkFiles(runner: CheckRunner, login: CheckedValue<LoginContext>): Promise<void> {
  await runner.run('secret files', { login }, (values) => checkSecretFiles(values.login));
  await runner.run('authorities', { login }, (values) => checkAuthorities(values.login));
  await runner.run('cache', { login }, (values) => checkCache(values.login));
  if (login.value?.config.text('cache-storage') === 'keyring') {
    await runner.run('keyring', { login }, (values) => checkKeyring(values.login));
  }
}

async function checkConnection(
  runner: CheckRunner,
  login: CheckedValue<LoginContext>,
  target: CheckedValue<NetworkTarget>,
): Promise<CheckedValue<true>> {
  const resolved = await runner.run('DNS', { target }, (values) => checkDns(values.target));
  const connected = await runner.run('TCP', { target, resolved }, (values) => checkTcp(values.target));
  return runner.run('TLS', { login, target, connected }, (values) => {
    const { tls, config, host } = values.login;
    const insecureOrigin = config.origin(config.isOn('insecure') ? 'insecure' : 'verify');
    const trusted = readTrustedOrigins(host);
    const trustFix = trusted === undefined ? undefined : explainListedAuthority(values.target.url, trusted);
    if (tls.ca === undefined) checkSystemAuthorities(host.env);
    return checkTls({ target: values.target, tls, now: host.now(), insecureOrigin, trustFix });
  });
}

/** What the checks of the login provide for those of the cluster. */
interface LoginChecks {
  readonly login: CheckedValue<LoginContext>;
  readonly record: CheckedValue<TokenRecord>;
  readonly scope: CheckedValue<ScopeResult>;
  /** Whether the token is a JWT of an issuer. */
  readonly isExchanged: boolean;
}

async function runLoginChecks(
  runner: CheckRunner,
  call: Invocation,
  stanza: ExecStanza | undefined,
): Promise<LoginChecks> {
  const captured = captureWarnings(call.reporter);
  const login = await runner.run('settings', {}, () => checkSettings(call, captured, stanza));
  await checkFiles(runner, login);
  const url = await runner.run('Keystone URL', { login }, (values) => checkAuthUrl(values.login));
  const target = await runner.run('proxy', { login, url }, (values) => checkProxy(values.login.host, values.url));
  const connection = await checkConnection(runner, login, target);
  const version = await runner.run('Keystone', { login, target, connection }, (values) =>
    checkVersion(values.login, values.target),
  );
  await runner.run('methods', { login, version }, (values) => checkMethods(values.login, values.version));
  await runner.run('clock', { version }, (values) => checkClock(values.version));
  // A login that needs Keystone is skipped if Keystone does not answer.
  const worksWithoutKeystone =
    url.value === undefined && login.value?.method.worksWithoutKeystoneUrl?.(login.value.config) === true;
  const record = await runner.run('login', { login, ready: worksWithoutKeystone ? login : version }, (values) =>
    checkLogin(values.login, captured.warnings),
  );
  const scope = await runner.run('scope', { login, record }, (values) => checkScope(values.login, values.record));
  await runner.run('token lifetime', { login, record }, (values) =>
    checkLifetime(values.record, values.login.host.now()),
  );
  if (login.value?.exchange === undefined) return { login, record, scope, isExchanged: false };
  return {
    login,
    scope,
    record: await runIssuerChecks(runner, login, login.value.exchange, record),
    isExchanged: true,
  };
}

/** @returns the JWT: the cluster must not get the Keystone token if there is none */
async function runIssuerChecks(
  runner: CheckRunner,
  login: CheckedValue<LoginContext>,
  exchange: TokenExchange,
  keystoneToken: CheckedValue<TokenRecord>,
): Promise<CheckedValue<TokenRecord>> {
  const issuer = await runner.run('issuer', { login }, (values) => checkIssuer(values.login, exchange));
  await runner.run('clock of the issuer', { issuer }, (values) => checkClock(values.issuer.document, 'the issuer'));
  const jwt = await runner.run('token exchange', { login, issuer, keystoneToken }, (values) =>
    checkExchange(values.login, values.issuer),
  );
  await runner.run('keys of the issuer', { login, issuer, jwt }, (values) =>
    checkIssuerKeys(values.login, values.issuer, values.jwt),
  );
  return jwt;
}

async function runClusterChecks(
  runner: CheckRunner,
  stanza: CheckedValue<ExecStanza>,
  { isExchanged, ...loginChecks }: LoginChecks,
  host: Host,
): Promise<void> {
  await runner.run('exec section', { stanza }, (values) => checkExecStanza(values.stanza));
  await runner.run('command', { stanza }, (values) => checkCommand(values.stanza, host));
  await runner.run('kuberc', { stanza }, (values) => checkKuberc(resolveCommand(values.stanza, host), host));
  const cluster = await runner.run('cluster', { stanza }, (values) =>
    checkCluster(host, values.stanza.context.cluster),
  );
  const connection = await runner.run('TLS of the cluster', { cluster }, ({ cluster: { target, tls, trustFix } }) =>
    checkTls({ target, tls, now: host.now(), insecureOrigin: 'insecure-skip-tls-verify', trustFix }),
  );
  await runner.run('API server', { ...loginChecks, cluster, connection }, ({ login, record, scope, ...values }) =>
    checkApiServer(login, values.cluster, { record, flaw: isExchanged ? UNTRUSTED_ISSUER : scope.flaw }),
  );
}

/** Checks the settings, the connection, the login and the cluster. */
export const doctorCommand: Command = {
  words: ['doctor'],
  task: 'Find out',
  summary: 'check everything from the settings to the cluster, and show how to fix what is wrong',
  details: [
    'It does what happens when kubectl runs this program, with the settings of the kubeconfig if its user ' +
      'logs in with this program. It logs in once, unless the cache holds a token, and sends the token to ' +
      'Keystone and to the cluster of the context. With a token exchange, the cluster gets the JWT only.',
    'The exit status is 0 if nothing is wrong, otherwise the exit status of get-token for the first failed check.',
  ],
  options: [
    makeCommandOption({ name: 'no-cluster', kind: 'switch', help: 'do not check the kubeconfig and the cluster' }),
    OUTPUT_OPTION,
  ],
  contextUse: 'subject',
  getTokenOptions: 'login',
  examples: [
    { line: 'doctor', summary: 'show the result of every check, and the fixes' },
    { line: 'doctor --no-cluster -o json', summary: 'check only the settings and Keystone, for programs' },
  ],
  async run(call): Promise<CommandResult> {
    const { host, ownConfig } = call;
    const runner = makeCheckRunner(call.reporter);
    const selection = { kubeconfig: ownConfig.text('kubeconfig'), context: ownConfig.text('context') };
    const stanza = ownConfig.isOn('no-cluster')
      ? undefined
      : await runner.run('kubeconfig', {}, () => checkContext(host, selection));
    const loginChecks = await runLoginChecks(runner, call, stanza?.value);
    if (stanza !== undefined) await runClusterChecks(runner, stanza, loginChecks, host);
    const { results } = runner;
    return {
      lines: render(results),
      data: results.map(({ check, result, summary, fix }) => ({
        check,
        result,
        found: redact(summary),
        fix: fix === undefined ? null : redact(fix),
      })),
      exitStatus: results.find(({ result }) => result === 'bad')?.exitStatus ?? 0,
    };
  },
};
