/**
 * Records a session of a new user on a terminal: real bash, the built plugin and real kubectl. Keystone and the cluster
 * are the stand-ins of the tests, on loopback. What differs from run to run is replaced afterward: ports, the home folder
 * and times.
 */
import { copyFileSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { startStandInApiServer } from '../../test/support/stand-in-api-server.ts';
import { startStandInKeystone } from '../../test/support/stand-in-keystone.ts';
import { recordedUsers } from '../../test/support/stand-in-keystone/users.ts';
import { openTerminal } from '../../test/support/terminal.ts';
import type { Terminal } from '../../test/support/terminal.ts';
import { makePki } from '../lib/pki.ts';
import type { Pki } from '../lib/pki.ts';
import { renderScreen } from './screen.ts';
import type { ScreenLine } from './screen.ts';

/** What the user types: from an openrc to pods, and a check of everything. */
const COMMANDS = [
  '. ./openrc.sh',
  'client-keystone-auth kubeconfig add --set-current',
  'kubectl get pods',
  'client-keystone-auth doctor',
] as const;

export const COLUMNS = 124;

const USER = 'alice';

/** Ends each prompt, and occurs nowhere else. */
const PROMPT = '$ ';

/** A command with what it printed. */
export interface RecordedStep {
  readonly command: string;
  readonly lines: readonly ScreenLine[];
}

interface Addresses {
  readonly keystone: string;
  readonly cluster: string;
}

function writeHome(home: string, kubectl: string, pki: Pki, { keystone, cluster }: Addresses): void {
  const bin = join(home, 'bin');
  mkdirSync(bin);
  symlinkSync(process.execPath, join(bin, 'node'));
  symlinkSync(resolve('dist/client-keystone-auth.cjs'), join(bin, 'client-keystone-auth'));
  symlinkSync(kubectl, join(bin, 'kubectl'));
  copyFileSync(pki.ca, join(home, 'ca.pem'));
  const settings = {
    OS_AUTH_URL: `${keystone}/v3`,
    OS_USERNAME: USER,
    OS_USER_DOMAIN_NAME: 'acme',
    OS_PASSWORD: recordedUsers.find(({ name }) => name === USER)?.password ?? '',
    OS_PROJECT_NAME: 'web',
    OS_PROJECT_DOMAIN_NAME: 'acme',
    OS_CACERT: join(home, 'ca.pem'),
  };
  const lines = Object.entries(settings).map(([name, value]) => `export ${name}='${value}'`);
  writeFileSync(join(home, 'openrc.sh'), `${lines.join('\n')}\n`, { mode: 0o600 });
  mkdirSync(join(home, '.kube'));
  const kubeconfig = {
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [{ name: 'prod', cluster: { server: cluster, 'certificate-authority': join(home, 'ca.pem') } }],
  };
  writeFileSync(join(home, '.kube', 'config'), JSON.stringify(kubeconfig), { mode: 0o600 });
}

/** Replaces what differs from run to run, and what only this machine has. */
function normalize(text: string, home: string, { keystone, cluster }: Addresses): string {
  const port = (url: string): RegExp => new RegExp(`\\b${new URL(url).port}\\b`, 'g');
  return (
    text
      .replaceAll(home, '~')
      .replaceAll(port(keystone), '5000')
      .replaceAll(port(cluster), '6443')
      .replaceAll(/\b\d+ min \d+ s\b/g, '59 min 58 s')
      // A slow machine prints it.
      .replaceAll(/^client-keystone-auth: (?:waiting for|checking:) .*\r\n/gm, '')
  );
}

async function runCommands(terminal: Terminal): Promise<readonly string[]> {
  const outputs: string[] = [];
  await terminal.waitFor(PROMPT);
  for (const command of COMMANDS) {
    const start = terminal.raw().length;
    terminal.type(`${command}\r`);
    await terminal.waitFor(`${command}\n`);
    await terminal.waitFor(PROMPT);
    outputs.push(terminal.raw().slice(start));
  }
  terminal.type('exit\r');
  await terminal.ended;
  return outputs;
}

/**
 * Records the session.
 *
 * @param kubectl path of kubectl
 */
export async function recordSession(kubectl: string): Promise<readonly RecordedStep[]> {
  const home = mkdtempSync(join(tmpdir(), 'recording-'));
  const pki = await makePki(join(home, 'pki'));
  const keystone = await startStandInKeystone({ tls: pki.server });
  const cluster = await startStandInApiServer({ ...pki.server, authenticate: () => Promise.resolve(USER) });
  try {
    const addresses = { keystone: keystone.url, cluster: cluster.url };
    writeHome(home, kubectl, pki, addresses);
    const env = {
      HOME: home,
      PATH: `${join(home, 'bin')}:/usr/bin:/bin`,
      TERM: 'xterm-256color',
      PS1: PROMPT,
      LANG: 'C.UTF-8',
    };
    const args = ['--norc', '--noprofile', '-i'];
    const terminal = openTerminal({ file: 'bash', args, env, cwd: home, cols: COLUMNS });
    const outputs = await runCommands(terminal);
    const steps: RecordedStep[] = [];
    for (const [index, command] of COMMANDS.entries()) {
      const lines = await renderScreen(normalize(outputs[index] ?? '', home, addresses), COLUMNS);
      // Without the line of the command, and the next prompt.
      steps.push({ command, lines: lines.slice(1, -1) });
    }
    return steps;
  } finally {
    await Promise.all([keystone.close(), cluster.close()]);
    rmSync(home, { recursive: true, force: true });
  }
}
