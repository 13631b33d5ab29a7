import { stampFile } from '../../shared/base/file-stamp.ts';
import type { AuthMethod } from '../auth-methods/auth-method.ts';
import { describeChoices } from '../config/cloud-entry.ts';
import type { ResolvedConfig } from '../config/resolve-config.ts';
import { chooseMethod } from '../auth-methods/choose-method.ts';
import { OPTIONS } from '../auth-methods/registry.ts';
import { openTokenCache } from '../cache/token-cache.ts';
import { readLoginTimeoutMs } from '../config/option-readers.ts';
import { readCloudNames, readConfig } from '../config/read-config.ts';
import type { RunConfig } from '../config/read-config.ts';
import { rejectUntrustedForMachineIdentity } from '../config/untrusted-settings.ts';
import { parseApiVersion } from '../exec/exec-credential.ts';
import { makeTerminalUser } from '../terminal/terminal-user.ts';
import { computeCacheKey } from './cache-key.ts';
import { readKeystoneTls } from './keystone-tls.ts';
import type { LoginContext, RunContext, Reporter } from './login-context.ts';
import { listUnusedSettings, readTokenExchange } from './token-exchange.ts';

const DEFAULT_DEADLINE_SECONDS = 30;

/** The storage that `--cache-storage` names: a name of `STORES`. */
export function readCacheStorage(config: ResolvedConfig): string {
  return config.text('cache-storage') ?? 'file';
}

function warnAboutInsecure(config: ResolvedConfig, reporter: Reporter): void {
  const isInsecure = config.isOn('insecure');
  const unused = config.has('cacert') && !isInsecure ? `, and ${config.origin('cacert')} is not used` : '';
  const origin = config.origin(isInsecure ? 'insecure' : 'verify');
  reporter.warn(`Keystone's certificate is not checked, because of ${origin}${unused}`);
}

/** Says which clouds there are if nothing says where Keystone is: the choice of one is missing, most likely. */
async function warnOfUnusedClouds(
  { host, flags }: RunContext,
  { config, cloud }: RunConfig,
  method: AuthMethod,
): Promise<string[]> {
  if (cloud !== undefined || config.has('os-cloud') || config.has('keystone-url')) return [];
  if (method.worksWithoutKeystoneUrl?.(config) === true) return [];
  const names = await readCloudNames(host, flags, OPTIONS);
  if (names.length === 0) return [];
  return [`no cloud of clouds.yaml is used; to use one, set OS_CLOUD (--os-cloud) to ${describeChoices(names)}`];
}

/**
 * Reads the settings of a run and opens its cache.
 *
 * @throws ConfigError
 */
export async function openLoginContext(run: RunContext): Promise<LoginContext> {
  const { host, execInfo, flags, reporter } = run;
  const startedAt = host.now();
  const runConfig = await readConfig(host, flags, OPTIONS);
  const { config: settings, files } = runConfig;
  const { method, warnings } = chooseMethod(settings);
  const tls = readKeystoneTls(settings, host);
  const exchange = readTokenExchange(settings, host);
  const config = {
    ...settings,
    warnings: [
      ...settings.warnings,
      ...(await warnOfUnusedClouds(run, runConfig, method)),
      ...warnings,
      ...(tls.warnings ?? []),
      ...listUnusedSettings(settings),
    ],
  };
  const apiVersionText = config.text('api-version');
  const apiVersion = apiVersionText === undefined ? undefined : parseApiVersion(apiVersionText, '--api-version');
  if (method.usesMachineIdentity) rejectUntrustedForMachineIdentity(config, OPTIONS);
  if (tls.insecure) warnAboutInsecure(config, reporter);
  // Stamp the files before computing the key, which reads them: a change in between then makes the stamp void.
  const identityFiles =
    method.listIdentityFiles === undefined ? [] : method.listIdentityFiles(config, host)?.map(stampFile);
  const storage = readCacheStorage(config);
  const deadlineMs = Number(config.text('timeout') ?? DEFAULT_DEADLINE_SECONDS) * 1000;
  const cache = await openTokenCache({
    ...{ host, storage, isForKubectl: execInfo !== undefined, warn: reporter.warn, waitFor: reporter.waitFor },
  });
  return {
    ...run,
    config,
    apiVersion,
    method,
    tls,
    exchange,
    fileStamps:
      identityFiles === undefined
        ? undefined
        : [...files, ...tls.files, ...(exchange?.tls.files ?? []), ...identityFiles],
    cache,
    cacheKey: computeCacheKey(config, method, tls, host),
    startedAt,
    deadlineMs,
    maxLoginMs: method.waitsForUser?.(config) === true ? deadlineMs + readLoginTimeoutMs(config) : deadlineMs,
    user: makeTerminalUser({
      host,
      canPrompt: execInfo?.isInteractive !== false,
      writeLine: reporter.info,
      turn: cache.terminalTurns,
    }),
  };
}
