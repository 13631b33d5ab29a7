/** A running webhook, put together on one page. */
import { X509Certificate } from 'node:crypto';
import { ConfigError } from '../errors.ts';
import type { Host } from '../host.ts';
import { openHttp } from '../keystone/http.ts';
import { VERSION } from '../version.ts';
import { makeAuthenticator } from './authenticate.ts';
import { makeAuthorizer } from './authorize.ts';
import { makeCertificates } from './certificates.ts';
import type { Certificates } from './certificates.ts';
import { makeGate } from './gate.ts';
import { keepFiles } from './kept-files.ts';
import type { KeptFiles } from './kept-files.ts';
import type { Log } from './log.ts';
import { makeMetrics } from './metrics.ts';
import { BadPolicy } from './policy/shape.ts';
import { EMPTY_POLICY, parsePolicy } from './policy/policy.ts';
import type { Policy } from './policy/policy.ts';
import { startServer } from './server.ts';
import type { Settings } from './settings.ts';
import { makeValidator } from './validate.ts';

export interface Webhook {
  readonly port: number;
  /** Looks at all files now. */
  reload(): Promise<void>;
  /** Says that it is not ready, waits for load balancers to notice, answers what it has, and ends. */
  stop(): Promise<void>;
}

/** How often files are looked at. */
const LOOK_MS = 1_000;

/** For a turn at Keystone; the rest of five seconds is Keystone's. */
const PATIENCE_MS = 2_000;

function readAuthority(file: string | undefined): Promise<string | undefined> {
  return file === undefined
    ? Promise.resolve(undefined)
    : keepFiles({ files: [file], parse: ([text = '']) => text, everyMs: LOOK_MS, onChange: () => undefined }).then(
        (kept) => {
          kept.close();
          try {
            new X509Certificate(kept.current());
          } catch {
            throw new ConfigError(`${file} holds no PEM certificate`, { hint: 'check KEYSTONE_CA_FILE' });
          }
          return kept.current();
        },
      );
}

/**
 * Starts a webhook.
 *
 * @throws PluginError where its settings or files cannot be used
 */
export async function startWebhook(host: Host, settings: Settings, log: Log): Promise<Webhook> {
  const now = host.now;
  const closing: (() => void)[] = [];
  let memory = (): { good: number; bad: number } => ({ good: 0, bad: 0 });
  let policy: () => Policy = () => EMPTY_POLICY;
  const metrics = makeMetrics(
    {
      good_tokens: { help: 'Tokens remembered as good', read: () => memory().good },
      refused_tokens: { help: 'Tokens remembered as refused', read: () => memory().bad },
      policy_entries: { help: 'Entries of the policy in force', read: () => policy().entries.length },
    },
    true,
  );

  async function keep<T>(
    what: string,
    files: readonly string[],
    parse: (texts: readonly string[]) => T,
    use: (value: T) => void,
  ): Promise<KeptFiles<T>> {
    const kept = await keepFiles({
      files,
      parse,
      everyMs: LOOK_MS,
      onChange: (result) => {
        metrics.reload(what, 'failure' in result ? 'failed' : 'ok');
        if ('failure' in result)
          log.error({ what, reason: result.failure }, 'reload failed; what was good stays in force');
        else {
          use(result.value);
          log.info({ what }, 'reloaded');
        }
      },
    });
    closing.push(() => {
      kept.close();
    });
    use(kept.current());
    return kept;
  }

  const kept: KeptFiles<unknown>[] = [];
  const certificateFiles = [
    settings.certFile,
    settings.keyFile,
    ...(settings.clientCaFile === undefined ? [] : [settings.clientCaFile]),
  ];
  let certificates: Certificates | undefined;
  let replace: (next: Certificates) => void = () => undefined;
  try {
    kept.push(
      await keep(
        'certificates',
        certificateFiles,
        ([cert = '', key = '', clientCa]) => makeCertificates(cert, key, clientCa),
        (next) => {
          certificates = next;
          replace(next);
        },
      ),
    );
    const { policyFile } = settings;
    if (policyFile !== undefined) {
      const parse = ([text = '']: readonly string[]): Policy => readPolicy(text, settings, policyFile);
      kept.push(
        await keep('policy', [policyFile], parse, (next) => {
          policy = () => next;
          logFindings(log, next);
        }),
      );
    }
    const ca = await readAuthority(settings.keystoneCaFile);
    const http = await openHttp({
      host,
      tls: { insecure: false, ca, cert: undefined, key: undefined, files: [] },
      trusted: undefined,
      proxy: settings.proxy,
      userAgent: `k8s-keystone-auth/${VERSION}`,
      deadlineMs: settings.timeoutMs,
      log: (line) => {
        log.debug(line);
      },
    });
    closing.push(() => {
      http.close();
    });
    const authenticator = makeAuthenticator({
      validate: makeValidator({
        http,
        authUrl: settings.authUrl,
        refuseAccessRules: settings.refuseAccessRules,
        now,
        warn: (message) => {
          log.warn(message);
        },
        count: metrics.keystone,
      }),
      gate: makeGate({
        width: settings.concurrency,
        rate: settings.rate,
        patienceMs: PATIENCE_MS,
        now: () => performance.now(),
      }),
      naming: () => ({
        usernameFormat: settings.usernameFormat,
        groupFormat: settings.groupFormat,
        mappings: [],
        mappedSystemNames: settings.compatibilities.has('mapped-system-names'),
      }),
      anyShape: settings.anyShape,
      goodMs: settings.goodMs,
      timeoutMs: settings.timeoutMs,
      now,
      onDropped: (uid, names) => {
        log.warn({ uid, names }, 'names that begin with "system:" were dropped');
      },
      onConfirmed: () => Promise.resolve(),
    });
    memory = authenticator.memory;
    if (certificates === undefined) throw new Error('certificates are kept');
    let unready: string | undefined;
    const server = await startServer(
      {
        certificates,
        authenticate: authenticator.authenticate,
        authorize: makeAuthorizer(() => policy(), settings.denies),
        metrics,
        log,
        unready: () => unready,
      },
      settings.listen,
    );
    replace = server.replaceCertificates;
    log.info({ port: server.port, keystone: settings.authUrl, version: VERSION }, 'listening');
    return {
      port: server.port,
      reload: async () => {
        await Promise.all(kept.map((files) => files.look()));
      },
      stop: async () => {
        unready = 'shutting down';
        await new Promise((resolve) => setTimeout(resolve, settings.graceMs));
        await server.close();
        for (const close of closing) close();
      },
    };
  } catch (error) {
    for (const close of closing) close();
    throw error;
  }
}

function readPolicy(text: string, { compatibilities }: Settings, file: string): Policy {
  try {
    return parsePolicy(text, compatibilities);
  } catch (error) {
    if (error instanceof BadPolicy) throw new ConfigError(`${file}: ${error.message}`, { hint: 'see "policy lint"' });
    throw error;
  }
}

function logFindings(log: Log, { findings }: Policy): void {
  for (const { entry, kind, message } of findings) log.warn({ entry, kind }, `policy: ${message}`);
}
