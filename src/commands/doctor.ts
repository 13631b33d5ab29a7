import { warnOfInput, openLogin } from '../login/login.ts';
import type { Login } from '../login/login.ts';
import { explainChoice } from '../methods/choose.ts';
import { makePrintable } from '../printable.ts';
import { redact } from '../secret.ts';
import { OUTPUT } from './command.ts';
import type { Answer, Call, Command } from './command.ts';
import { checkCache, checkKeyring, checkSecretFiles } from './doctor/files.ts';
import { checkClock, checkLifetime, checkLogin, checkScope, checkUrl, checkVersion } from './doctor/keystone.ts';
import { checkName, checkPort, checkTls, describeWay } from './doctor/network.ts';
import { doubtful, good, startSheet } from './doctor/sheet.ts';
import type { Finding, Outcome, Result, Sheet } from './doctor/sheet.ts';
import type { Painter } from './paint.ts';

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

async function checkSettings({ lines, run }: Heard): Promise<Outcome<Login>> {
  const login = await openLogin(run);
  // Of the cache and of TLS there are checks of their own.
  lines.length = 0;
  warnOfInput(login);
  const found = `${login.method.names[0] ?? ''}, ${explainChoice(login.given).because}`;
  const warnings = lines.splice(0);
  if (warnings.length === 0) return good(found, login);
  const fix = 'correct that; "client-keystone-auth explain" shows where each setting comes from';
  return doubtful(`${found}; ${warnings.join('; ')}`, fix, login);
}

async function examineKeystone(sheet: Sheet, heard: Heard): Promise<void> {
  const login = await sheet.check('settings', {}, () => checkSettings(heard));
  await sheet.check('secret files', { login }, (known) => checkSecretFiles(known.login));
  await sheet.check('cache', { login }, (known) => checkCache(known.login));
  if (login?.given.text('cache-storage') === 'keyring') {
    await sheet.check('keyring', { login }, (known) => checkKeyring(known.login));
  }
  const target = await sheet.check('Keystone URL', { login }, (known) => checkUrl(known.login));
  await sheet.check('proxy', { target }, (known) => describeWay(known.target));
  const named = await sheet.check('DNS', { target }, (known) => checkName(known.target));
  const reached = await sheet.check('TCP', { target, named }, (known) => checkPort(known.target));
  const trusted = await sheet.check('TLS', { login, target, reached }, (known) => {
    const { tls, given, host } = known.login;
    const insecureBecause = given.origin(given.on('insecure') ? 'insecure' : 'verify');
    return checkTls({ target: known.target, tls, now: host.now(), insecureBecause });
  });
  const greeting = await sheet.check('Keystone', { login, target, trusted }, (known) =>
    checkVersion(known.login, known.target),
  );
  await sheet.check('clock', { greeting }, (known) => checkClock(known.greeting));
  // A method may do without Keystone; one that needs it is spared a login that cannot work.
  const ready = target === undefined && login?.method.withoutKeystone?.(login.given) === true ? login : greeting;
  const record = await sheet.check('login', { login, ready }, (known) => checkLogin(known.login, heard.lines));
  await sheet.check('scope', { login, record }, (known) => checkScope(known.login, known.record));
  await sheet.check('token lifetime', { login, record }, (known) =>
    checkLifetime(known.record, known.login.host.now()),
  );
}

/** Finds out what is wrong, from the settings to the cluster. */
export const doctor: Command = {
  words: ['doctor'],
  about: 'check everything from the settings to the cluster, and say how to mend what is wrong',
  details: ['It logs in once, unless a token is kept. The exit status is 0 if nothing is wrong, else 1.'],
  options: [
    {
      name: 'no-cluster',
      group: 'Command',
      kind: 'switch',
      file: 'nowhere',
      help: 'leave the kubeconfig and the cluster out',
    },
    OUTPUT,
  ],
  takes: 'login',
  examples: [{ line: 'doctor', about: 'every check with what was found, and the fix' }],
  async run(call): Promise<Answer> {
    const sheet = startSheet(call.reporter);
    await examineKeystone(sheet, listen(call));
    const { findings } = sheet;
    return {
      text: render(findings, call.paint),
      data: findings.map(({ check, result, found, fix }) => ({
        check,
        result,
        found: redact(found),
        fix: fix === undefined ? null : redact(fix),
      })),
      status: findings.some(({ result }) => result === 'bad') ? 1 : 0,
    };
  },
};
