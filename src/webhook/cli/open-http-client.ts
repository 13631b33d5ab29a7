/** Opens the HTTP clients of the authenticators, which follow changes of their files of authorities. */
import type { Clock } from '../../shared/base/clock.ts';
import { ConfigError } from '../../shared/base/errors.ts';
import type { Host } from '../../shared/base/host.ts';
import { areAuthorities } from '../../shared/http/authorities.ts';
import { openHttpClient as openSharedHttpClient } from '../../shared/http/http-client.ts';
import type { SharedHttpClient } from '../../shared/http/http-client.ts';
import { trustAuthorities } from '../../shared/http/tls-settings.ts';
import type { Log } from '../observability/log.ts';
import type { NamedFile } from '../sources/read-text-file.ts';
import type { SourceWatcher } from '../sources/source-watcher.ts';
import type { SharedSettings } from './shared-settings.ts';

export interface HttpClientContext {
  readonly host: Host;
  readonly settings: Pick<SharedSettings, 'chooseProxy' | 'userAgent' | 'keystoneTimeoutMs'>;
  readonly log: Log;
  readonly clock: Clock;
  readonly sources: SourceWatcher;
  /** Takes what to do when the server has stopped, or if it does not start. */
  readonly onClose: (close: () => void) => void;
}

export interface Authorities {
  /** Names the file in the log and as a label of the metrics. */
  readonly what: string;
  /** Undefined for the authorities of the system. */
  readonly file: NamedFile | undefined;
}

function checkAuthorities(text: string, { origin, path }: NamedFile): string {
  if (areAuthorities(text)) return text;
  throw new ConfigError(`${origin}: ${path} contains no PEM certificate, or one that cannot be read`, {
    hint: `set ${origin} to a file of whole certificates, each from -----BEGIN CERTIFICATE----- to its end`,
  });
}

/**
 * Opens an HTTP client. When its file of authorities changes, the next requests trust the new ones, unless the file is
 * invalid.
 *
 * @throws ConfigError if the file is invalid now
 */
export async function openHttpClient(
  context: HttpClientContext,
  { what, file }: Authorities,
): Promise<SharedHttpClient> {
  const { host, settings, log, clock, sources, onClose } = context;
  const open = (ca: string | undefined): Promise<SharedHttpClient> =>
    openSharedHttpClient({
      host,
      tls: trustAuthorities(ca),
      trustedOrigins: undefined,
      chooseProxy: settings.chooseProxy,
      userAgent: settings.userAgent,
      deadlineMs: settings.keystoneTimeoutMs,
      resumesTlsSessions: true,
      clock,
      log: (line) => {
        log.debug(line);
      },
    });
  const replace = async (ca: string): Promise<void> => {
    const next = await open(ca);
    current.close();
    current = next;
  };
  const ca =
    file &&
    sources.watchFiles({
      what,
      files: [file],
      parse: ([text = '']) => checkAuthorities(text, file),
      apply: (nextCa) => void replace(nextCa),
    });
  let current = await open(ca);
  const client: SharedHttpClient = {
    send: (request) => current.send(request),
    separate: () => current.separate(),
    close: () => {
      current.close();
    },
  };
  onClose(() => {
    client.close();
  });
  return client;
}
