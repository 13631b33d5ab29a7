/**
 * Runs the commands of the issuer. A bundle of its own, which reports its own errors: the classes of another bundle are
 * others.
 */
import type { Clock } from '../../../shared/base/clock.ts';
import { ConfigError } from '../../../shared/base/errors.ts';
import type { Host } from '../../../shared/base/host.ts';
import { escapeJson, renderLines } from '../../../shared/base/terminal-text.ts';
import type { Layer } from '../../../shared/options/layer.ts';
import { computePublicationEnd, findSigningKey, hasWaitingKey, sortKeys } from '../../issuer/key-schedule.ts';
import { makeSigningKey } from '../../issuer/signing-key.ts';
import type { SigningKey } from '../../issuer/signing-key.ts';
import { addKey } from '../../issuer/signing-keys.ts';
import { openLog } from '../../observability/log.ts';
import { reportError } from '../report-error.ts';
import { runServer } from '../run-server.ts';
import { ISSUER_OPTIONS, KEY_OPTIONS, ROTATE_OPTIONS } from './issuer-options.ts';
import { readIssuerSettings, readKeyPlace, readRotation, resolveIssuerConfig } from './issuer-settings.ts';
import { openKeyStore } from './open-key-store.ts';
import { startIssuer } from './start-issuer.ts';

/** What a command of the issuer gets. */
export interface IssuerCall {
  readonly host: Host;
  readonly flags: Layer<string>;
  readonly clock: Clock;
}

type IssuerCommandName = 'serve' | 'keys' | 'rotate';

async function serve({ host, flags, clock }: IssuerCall): Promise<number> {
  const settings = readIssuerSettings(host, resolveIssuerConfig(host, flags, ISSUER_OPTIONS));
  const log = openLog(settings.logLevel, (line) => host.writeOut(escapeJson(line)));
  return runServer(host, log, () => startIssuer(host, settings, log, clock));
}

const formatTime = (ms: number): string => (ms === Infinity ? '-' : new Date(ms).toISOString());

function describeState(keys: readonly SigningKey[], index: number, now: number): string {
  const key = keys[index];
  if (key === undefined) return '';
  if (key === findSigningKey(keys, now)) return 'signs';
  if (key.signsFrom > now) return 'waits';
  return computePublicationEnd(keys, index) > now ? 'published' : 'withdrawn';
}

/** Renders the keys as a table, without anything secret. */
function renderKeys(stored: readonly SigningKey[], now: number): readonly string[] {
  const keys = sortKeys(stored);
  const rows = keys.map((key, index) => [
    key.kid,
    key.algorithm,
    describeState(keys, index, now),
    formatTime(key.signsFrom),
    formatTime(computePublicationEnd(keys, index)),
  ]);
  const table = [['KEY', 'ALGORITHM', 'STATE', 'SIGNS FROM', 'PUBLISHED UNTIL'], ...rows];
  const widths = [0, 1, 2, 3].map((column) => Math.max(...table.map((row) => (row[column] ?? '').length)));
  return table.map((row) =>
    row
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join('  ')
      .trimEnd(),
  );
}

async function showKeys({ host, flags, clock }: IssuerCall): Promise<number> {
  const config = resolveIssuerConfig(host, flags, KEY_OPTIONS);
  const store = await openKeyStore(readKeyPlace(config, host.cwd), host, clock);
  host.writeOut(renderLines(renderKeys(await store.read(), host.now())));
  return 0;
}

async function rotate({ host, flags, clock }: IssuerCall): Promise<number> {
  const config = resolveIssuerConfig(host, flags, ROTATE_OPTIONS);
  const rotation = readRotation(config);
  const store = await openKeyStore(readKeyPlace(config, host.cwd), host, clock);
  const now = host.now();
  const makeFirst = (): Promise<SigningKey> => makeSigningKey(rotation.algorithm, { createdAt: now, signsFrom: now });
  if (config.isOn('create') && config.isOn('compromised')) {
    throw new ConfigError('--create and --compromised exclude each other', { hint: 'leave out one of them' });
  }
  if (config.isOn('create')) {
    const keys = [await makeFirst()];
    await store.create(keys);
    host.writeOut(renderLines(renderKeys(keys, now)));
    return 0;
  }
  const keys = await store.update(async (stored) => {
    if (config.isOn('compromised')) return [await makeFirst()];
    if (!hasWaitingKey(stored, now)) return addKey(stored, now, rotation);
    throw new ConfigError('a new key already waits for its time to sign', {
      hint: 'see "issuer keys"; if the keys are compromised, use --compromised',
    });
  });
  host.writeOut(renderLines(renderKeys(keys, now)));
  return 0;
}

const COMMANDS: Readonly<Record<IssuerCommandName, (call: IssuerCall) => Promise<number>>> = {
  serve,
  keys: showKeys,
  rotate,
};

/** Runs a command of the issuer, and returns the exit status. */
export async function runIssuer(name: IssuerCommandName, call: IssuerCall): Promise<number> {
  try {
    return await COMMANDS[name](call);
  } catch (error) {
    return reportError(call.host, error);
  }
}
