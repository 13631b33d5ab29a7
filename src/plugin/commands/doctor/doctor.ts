import type { TokenRecord } from '../../cache/token-record.ts';
import type { Host } from '../../../shared/base/host.ts';
import { warnAboutSettings, openLoginContext } from '../../login/open-login-context.ts';
import type { LoginContext } from '../../login/login-context.ts';
import { chooseMethodWithReason } from '../../auth-methods/choose-method.ts';
import { makePrintable } from '../../../shared/base/printable.ts';
import { redact } from '../../../shared/base/secret.ts';
import { OUTPUT_OPTION } from '../command.ts';
import { KUBECONFIG_OPTION } from '../kubeconfig/options.ts';
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
import { checkKuberc } from './kuberc.ts';
import { checkDns, checkTcp, checkTls, checkProxy } from './network.ts';
import type { NetworkTarget } from './network.ts';
import { warn, pass, makeCheckRunner } from './check-runner.ts';
import type { CheckResult, CheckedValue, CheckOutcome, CheckStatus, CheckRunner } from './check-runner.ts';
import {
  checkCommand,
  checkContext,
  checkExecStanza,
  resolveCommand,
  makeKubectlRun,
  hasOwnSettings,
} from './exec-stanza.ts';
import type { ExecStanza } from './exec-stanza.ts';
import type { Colors } from '../colors.ts';

const MARKS: Readonly<Record<CheckStatus, readonly [mark: string, paint: keyof Colors]>> = {
  good: ['✓', 'green'],
  bad: ['✗', 'red'],
  doubtful: ['!', 'yellow'],
  skipped: ['–', 'dim'],
};

function render(findings: readonly CheckResult[], paint: Colors): string {
  const width = Math.max(...findings.map(({ check }) => check.length));
  const lines = findings.flatMap(({ check, result, summary, fix }) => {
    const [mark, colour] = MARKS[result];
    const line = `${paint[colour](mark)} ${check.padEnd(width)}  ${makePrintable(redact(summary))}`;
    return fix === undefined ? [line] : [line, `${' '.repeat(width + 4)}→ ${makePrintable(redact(fix))}`];
  });
  return lines.join('\n');
}

/** What is warned of while a run goes on; here each warning belongs to a check. */
interface CapturedWarnings {
  readonly messages: string[];
  readonly runContext: Invocation['runContext'];
}

function captureWarnings({ runContext, reporter }: Invocation): CapturedWarnings {
  const messages: string[] = [];
  const warn = (line: string): void => {
    messages.push(line);
  };
  return { messages, runContext: { ...runContext, reporter: { ...reporter, warn } } };
}

async function checkSettings(
  { messages, runContext }: CapturedWarnings,
  stanza: ExecStanza | undefined,
): Promise<CheckOutcome<LoginContext>> {
  const login = await openLoginContext(stanza === undefined ? runContext : makeKubectlRun(runContext, stanza));
  // Of the cache and of TLS there are checks of their own.
  messages.length = 0;
  warnAboutSettings(login);
  const whose = stanza !== undefined && hasOwnSettings(stanza) ? ', with what the kubeconfig sets' : '';
  const found = `${login.method.name}, ${chooseMethodWithReason(login.config).because}${whose}`;
  const warnings = messages.splice(0);
  if (warnings.length === 0) return pass(found, login);
  const fix = 'correct that; "client-keystone-auth explain" shows where each setting comes from';
  return warn(`${found}; ${warnings.join('; ')}`, fix, login);
}

async function checkFiles(sheet: CheckRunner, login: CheckedValue<LoginContext>): Promise<void> {
  await sheet.run('secret files', { login }, (known) => checkSecretFiles(known.login));
  await sheet.run('authorities', { login }, (known) => checkAuthorities(known.login));
  await sheet.run('cache', { login }, (known) => checkCache(known.login));
  if (login.value?.config.text('cache-storage') === 'keyring') {
    await sheet.run('keyring', { login }, (known) => checkKeyring(known.login));
  }
}

async function checkWay(
  sheet: CheckRunner,
  login: CheckedValue<LoginContext>,
  target: CheckedValue<NetworkTarget>,
): Promise<CheckedValue<true>> {
  await sheet.run('proxy', { target }, (known) => checkProxy(known.target));
  const named = await sheet.run('DNS', { target }, (known) => checkDns(known.target));
  const reached = await sheet.run('TCP', { target, named }, (known) => checkTcp(known.target));
  return sheet.run('TLS', { login, target, reached }, (known) => {
    const { tls, config, host } = known.login;
    const insecureBecause = config.origin(config.isOn('insecure') ? 'insecure' : 'verify');
    return checkTls({ target: known.target, tls, now: host.now(), insecureBecause });
  });
}

/** What a login has led to. */
interface LoginChecks {
  readonly login: CheckedValue<LoginContext>;
  readonly record: CheckedValue<TokenRecord>;
  readonly scope: CheckedValue<ScopeResult>;
}

async function examineKeystone(
  sheet: CheckRunner,
  heard: CapturedWarnings,
  stanza: ExecStanza | undefined,
): Promise<LoginChecks> {
  const login = await sheet.run('settings', {}, () => checkSettings(heard, stanza));
  await checkFiles(sheet, login);
  const target = await sheet.run('Keystone URL', { login }, (known) => checkAuthUrl(known.login));
  const trusted = await checkWay(sheet, login, target);
  const greeting = await sheet.run('Keystone', { login, target, trusted }, (known) =>
    checkVersion(known.login, known.target),
  );
  await sheet.run('methods', { login, greeting }, (known) => checkMethods(known.login, known.greeting));
  await sheet.run('clock', { greeting }, (known) => checkClock(known.greeting));
  // A method may do without Keystone; one that needs it is spared a login that cannot work.
  const alone =
    target.value === undefined && login.value?.method.worksWithoutKeystoneUrl?.(login.value.config) === true;
  const record = await sheet.run('login', { login, ready: alone ? login : greeting }, (known) =>
    checkLogin(known.login, heard.messages),
  );
  const scope = await sheet.run('scope', { login, record }, (known) => checkScope(known.login, known.record));
  await sheet.run('token lifetime', { login, record }, (known) => checkLifetime(known.record, known.login.host.now()));
  return { login, record, scope };
}

async function examineCluster(
  sheet: CheckRunner,
  stanza: CheckedValue<ExecStanza>,
  known: LoginChecks,
  host: Host,
): Promise<void> {
  await sheet.run('exec section', { stanza }, (found) => checkExecStanza(found.stanza));
  await sheet.run('command', { stanza }, (found) => checkCommand(found.stanza, host));
  await sheet.run('kuberc', { stanza }, (found) => checkKuberc(resolveCommand(found.stanza, host), host));
  const cluster = await sheet.run('cluster', { stanza }, (found) => checkCluster(host, found.stanza.context.cluster));
  const trusted = await sheet.run('TLS of the cluster', { cluster }, ({ cluster: { target, tls, trustFix } }) =>
    checkTls({ target, tls, now: host.now(), insecureBecause: 'insecure-skip-tls-verify', trustFix }),
  );
  await sheet.run('API server', { ...known, cluster, trusted }, ({ login, record, scope, ...found }) =>
    checkApiServer(login, found.cluster, { record, flaw: scope.flaw }),
  );
}

const own = { group: 'Command', file: 'nowhere' } as const;

/** Finds out what is wrong, from the settings to the cluster. */
export const doctorCommand: Command = {
  words: ['doctor'],
  summary: 'check everything from the settings to the cluster, and say how to mend what is wrong',
  details: [
    'It does what kubectl would have this program do, with the settings of the kubeconfig if that runs this program. It logs in once, unless a token is kept, and shows the token to Keystone and to the cluster of the context.',
    'The exit status is 0 if nothing is wrong, else what get-token would end with.',
  ],
  options: [
    KUBECONFIG_OPTION,
    { ...own, name: 'context', help: 'context to check instead of the current one' },
    { ...own, name: 'no-cluster', kind: 'switch', help: 'leave the kubeconfig and the cluster out' },
    OUTPUT_OPTION,
  ],
  getTokenOptions: 'login',
  examples: [
    { line: 'doctor', summary: 'every check with what was found, and the fix' },
    { line: 'doctor --no-cluster -o json', summary: 'settings and Keystone alone, for programs' },
  ],
  async run(call): Promise<CommandResult> {
    const { host, ownConfig: given } = call;
    const sheet = makeCheckRunner(call.reporter);
    const wanted = { kubeconfig: given.text('kubeconfig'), context: given.text('context') };
    const stanza = given.isOn('no-cluster')
      ? undefined
      : await sheet.run('kubeconfig', {}, () => checkContext(host, wanted));
    const known = await examineKeystone(sheet, captureWarnings(call), stanza?.value);
    if (stanza !== undefined) await examineCluster(sheet, stanza, known, host);
    const { results } = sheet;
    return {
      text: render(results, call.colors),
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
