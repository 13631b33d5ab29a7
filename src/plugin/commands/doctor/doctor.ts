import type { TokenRecord } from '../../cache/token-record.ts';
import type { Host } from '../../../shared/base/host.ts';
import { warnAboutSettings, openLoginContext } from '../../login/login-context.ts';
import type { LoginContext } from '../../login/login-context.ts';
import { chooseMethodWithReason } from '../../auth-methods/choose-method.ts';
import { makePrintable } from '../../../shared/base/printable.ts';
import { redact } from '../../../shared/base/secret.ts';
import { OUTPUT } from '../command.ts';
import { KUBECONFIG } from '../kubeconfig/options.ts';
import type { Answer, Call, Command } from '../command.ts';
import { checkApiServer } from './api-server.ts';
import { checkCluster } from './cluster.ts';
import { checkAuthorities, checkCache, checkKeyring, checkSecretFiles } from './files.ts';
import { checkClock, checkLifetime, checkLogin, checkMethods, checkScope, checkUrl, checkVersion } from './keystone.ts';
import type { Scoped } from './keystone.ts';
import { checkKuberc } from './kuberc.ts';
import { checkName, checkPort, checkTls, describeWay } from './network.ts';
import type { Target } from './network.ts';
import { doubtful, good, startSheet } from './check-runner.ts';
import type { Finding, Found, Outcome, Result, Sheet } from './check-runner.ts';
import { checkCommand, checkContext, checkStanza, resolveCommand, runAsKubectl, setsAnything } from './exec-stanza.ts';
import type { Stanza } from './exec-stanza.ts';
import type { Painter } from '../colors.ts';

const MARKS: Readonly<Record<Result, readonly [mark: string, paint: keyof Painter]>> = {
  good: ['✓', 'good'],
  bad: ['✗', 'bad'],
  doubtful: ['!', 'doubtful'],
  skipped: ['–', 'faint'],
};

function render(findings: readonly Finding[], paint: Painter): string {
  const width = Math.max(...findings.map(({ check }) => check.length));
  const lines = findings.flatMap(({ check, result, found, fix }) => {
    const [mark, colour] = MARKS[result];
    const line = `${paint[colour](mark)} ${check.padEnd(width)}  ${makePrintable(redact(found))}`;
    return fix === undefined ? [line] : [line, `${' '.repeat(width + 4)}→ ${makePrintable(redact(fix))}`];
  });
  return lines.join('\n');
}

/** What is warned of while a run goes on; here each warning belongs to a check. */
interface Heard {
  readonly lines: string[];
  readonly run: Call['run'];
}

function listen({ run, reporter }: Call): Heard {
  const lines: string[] = [];
  const warn = (line: string): void => {
    lines.push(line);
  };
  return { lines, run: { ...run, reporter: { ...reporter, warn } } };
}

async function checkSettings({ lines, run }: Heard, stanza: Stanza | undefined): Promise<Outcome<LoginContext>> {
  const login = await openLoginContext(stanza === undefined ? run : runAsKubectl(run, stanza));
  // Of the cache and of TLS there are checks of their own.
  lines.length = 0;
  warnAboutSettings(login);
  const whose = stanza !== undefined && setsAnything(stanza) ? ', with what the kubeconfig sets' : '';
  const found = `${login.method.names[0] ?? ''}, ${chooseMethodWithReason(login.config).because}${whose}`;
  const warnings = lines.splice(0);
  if (warnings.length === 0) return good(found, login);
  const fix = 'correct that; "client-keystone-auth explain" shows where each setting comes from';
  return doubtful(`${found}; ${warnings.join('; ')}`, fix, login);
}

async function checkFiles(sheet: Sheet, login: Found<LoginContext>): Promise<void> {
  await sheet.check('secret files', { login }, (known) => checkSecretFiles(known.login));
  await sheet.check('authorities', { login }, (known) => checkAuthorities(known.login));
  await sheet.check('cache', { login }, (known) => checkCache(known.login));
  if (login.value?.config.text('cache-storage') === 'keyring') {
    await sheet.check('keyring', { login }, (known) => checkKeyring(known.login));
  }
}

async function checkWay(sheet: Sheet, login: Found<LoginContext>, target: Found<Target>): Promise<Found<true>> {
  await sheet.check('proxy', { target }, (known) => describeWay(known.target));
  const named = await sheet.check('DNS', { target }, (known) => checkName(known.target));
  const reached = await sheet.check('TCP', { target, named }, (known) => checkPort(known.target));
  return sheet.check('TLS', { login, target, reached }, (known) => {
    const { tls, config, host } = known.login;
    const insecureBecause = config.origin(config.isOn('insecure') ? 'insecure' : 'verify');
    return checkTls({ target: known.target, tls, now: host.now(), insecureBecause });
  });
}

/** What a login has led to. */
interface LoggedIn {
  readonly login: Found<LoginContext>;
  readonly record: Found<TokenRecord>;
  readonly scope: Found<Scoped>;
}

async function examineKeystone(sheet: Sheet, heard: Heard, stanza: Stanza | undefined): Promise<LoggedIn> {
  const login = await sheet.check('settings', {}, () => checkSettings(heard, stanza));
  await checkFiles(sheet, login);
  const target = await sheet.check('Keystone URL', { login }, (known) => checkUrl(known.login));
  const trusted = await checkWay(sheet, login, target);
  const greeting = await sheet.check('Keystone', { login, target, trusted }, (known) =>
    checkVersion(known.login, known.target),
  );
  await sheet.check('methods', { login, greeting }, (known) => checkMethods(known.login, known.greeting));
  await sheet.check('clock', { greeting }, (known) => checkClock(known.greeting));
  // A method may do without Keystone; one that needs it is spared a login that cannot work.
  const alone =
    target.value === undefined && login.value?.method.worksWithoutKeystoneUrl?.(login.value.config) === true;
  const record = await sheet.check('login', { login, ready: alone ? login : greeting }, (known) =>
    checkLogin(known.login, heard.lines),
  );
  const scope = await sheet.check('scope', { login, record }, (known) => checkScope(known.login, known.record));
  await sheet.check('token lifetime', { login, record }, (known) =>
    checkLifetime(known.record, known.login.host.now()),
  );
  return { login, record, scope };
}

async function examineCluster(sheet: Sheet, stanza: Found<Stanza>, known: LoggedIn, host: Host): Promise<void> {
  await sheet.check('exec section', { stanza }, (found) => checkStanza(found.stanza));
  await sheet.check('command', { stanza }, (found) => checkCommand(found.stanza, host));
  await sheet.check('kuberc', { stanza }, (found) => checkKuberc(resolveCommand(found.stanza, host), host));
  const cluster = await sheet.check('cluster', { stanza }, (found) => checkCluster(host, found.stanza.context.cluster));
  const trusted = await sheet.check('TLS of the cluster', { cluster }, ({ cluster: { target, tls, trustIt } }) =>
    checkTls({ target, tls, now: host.now(), insecureBecause: 'insecure-skip-tls-verify', trustIt }),
  );
  await sheet.check('API server', { ...known, cluster, trusted }, ({ login, record, scope, ...found }) =>
    checkApiServer(login, found.cluster, { record, flaw: scope.flaw }),
  );
}

const own = { group: 'Command', file: 'nowhere' } as const;

/** Finds out what is wrong, from the settings to the cluster. */
export const doctor: Command = {
  words: ['doctor'],
  about: 'check everything from the settings to the cluster, and say how to mend what is wrong',
  details: [
    'It does what kubectl would have this program do, with the settings of the kubeconfig if that runs this program. It logs in once, unless a token is kept, and shows the token to Keystone and to the cluster of the context.',
    'The exit status is 0 if nothing is wrong, else what get-token would end with.',
  ],
  options: [
    KUBECONFIG,
    { ...own, name: 'context', help: 'context to check instead of the current one' },
    { ...own, name: 'no-cluster', kind: 'switch', help: 'leave the kubeconfig and the cluster out' },
    OUTPUT,
  ],
  takes: 'login',
  examples: [
    { line: 'doctor', about: 'every check with what was found, and the fix' },
    { line: 'doctor --no-cluster -o json', about: 'settings and Keystone alone, for programs' },
  ],
  async run(call): Promise<Answer> {
    const { host, own: given } = call;
    const sheet = startSheet(call.reporter);
    const wanted = { kubeconfig: given.text('kubeconfig'), context: given.text('context') };
    const stanza = given.isOn('no-cluster')
      ? undefined
      : await sheet.check('kubeconfig', {}, () => checkContext(host, wanted));
    const known = await examineKeystone(sheet, listen(call), stanza?.value);
    if (stanza !== undefined) await examineCluster(sheet, stanza, known, host);
    const { findings } = sheet;
    return {
      text: render(findings, call.paint),
      data: findings.map(({ check, result, found, fix }) => ({
        check,
        result,
        found: redact(found),
        fix: fix === undefined ? null : redact(fix),
      })),
      status: findings.find(({ result }) => result === 'bad')?.status ?? 0,
    };
  },
};
