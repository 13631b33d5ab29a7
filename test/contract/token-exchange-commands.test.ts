/** What the commands say and do about a token exchange, with a real Keystone and a stand-in issuer. */
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Test } from 'tap';
import { setUpAlice } from '../support/alice.ts';
import { checkFailure, checkSuccess, EXIT_STATUS } from '../support/check-run.ts';
import { checkNoSecretShown, findCheck, listFailedChecks } from '../support/doctor.ts';
import type { DoctorCheck } from '../support/doctor.ts';
import type { Fixture } from '../support/fixture.ts';
import { watchRequests } from '../support/request-log.ts';
import { runBundles } from '../support/run-bundles.ts';
import type { RunResult } from '../support/run-plugin.ts';
import { startStandInApiServer } from '../support/stand-in-api-server.ts';
import {
  ANY_JWT,
  ISSUER_DISCOVERY,
  ISSUER_EXCHANGE,
  ISSUER_KEYS,
  makeExchangeSettings,
  readClaims,
  startStandInExchange,
} from '../support/stand-in-exchange.ts';
import type { StandInExchange } from '../support/stand-in-exchange.ts';
import { makeIssuerKey } from '../support/stand-in-issuer.ts';
import { validateToken } from '../support/tenancy.ts';
import { testWithKeystone } from '../support/test-environment.ts';
import type { TestEnvironment } from '../support/test-environment.ts';

interface Setting {
  readonly alice: Fixture;
  readonly issuer: StandInExchange;
}

async function setUpExchange(t: Test, environment: TestEnvironment, hasTls = false): Promise<Setting> {
  const { http, pki } = environment;
  const issuer = await startStandInExchange(t, { keystone: http.url, ...(hasTls ? { tls: pki.server } : {}) });
  const settings = makeExchangeSettings(issuer);
  const alice = setUpAlice(t, environment, { keystone: watchRequests(http), settings, runner: runBundles });
  return { alice, issuer };
}

/** The output as JSON of the commands that are run here. */
interface Output {
  readonly exchange: Record<string, unknown>;
  readonly identities: readonly Record<string, unknown>[];
  readonly current: Record<string, unknown>;
  readonly cluster: Record<string, unknown>;
  readonly tokens: readonly { token: string; scope: string }[];
  readonly status: { readonly token: string };
}

const parse = ({ stdout }: RunResult): Output => JSON.parse(stdout) as Output;

const without = (alice: Fixture): Fixture =>
  alice.with({ OS_TOKEN_EXCHANGE_URL: undefined, OS_TOKEN_EXCHANGE_AUDIENCE: undefined });

testWithKeystone('status, explain, whoami and token tell the two tokens apart', async (t, environment) => {
  const { alice, issuer } = await setUpExchange(t, environment);
  const before = await alice.run('explain');
  checkNoSecretShown(t, environment, before);
  t.match(before.stdout, `exchanges the Keystone token for a JWT for prod: ${issuer.url}`);
  t.match(before.stdout, /^Cached JWT +none$/m);
  t.equal(issuer.requests.length, 0, 'explain sends nothing');

  const keystoneToken = (await alice.run('token')).stdout.trim();
  t.match((await alice.run('status')).stdout, 'the next command exchanges it for prod');
  const { token: jwt } = checkSuccess(t, await alice.run());
  t.equal((await validateToken(environment.http, keystoneToken))?.user.name, 'alice', 'token prints that of Keystone');
  t.equal((await alice.run('token', '--exchanged')).stdout.trim(), jwt);
  t.equal(
    (await alice.run('token', '--exchanged', '--header', 'authorization')).stdout,
    `Authorization: Bearer ${jwt}\n`,
  );
  checkFailure(t, await without(alice).run('token', '--exchanged'), 2, {
    says: ['with --context', 'OS_TOKEN_EXCHANGE_URL'],
  });

  const explanation = parse(await alice.run('explain', '-o', 'json'));
  t.match(explanation.exchange, {
    issuer: issuer.url,
    audience: 'prod',
    cache: { fresh: true },
    tls: { insecure: false },
  });

  const status = await alice.run('status');
  checkNoSecretShown(t, environment, status);
  t.match(status.stdout, /^\* +alice +My Domain +project demo/m);
  t.match(status.stdout, /^\* +alice +- +cluster prod +password +- +file/m);
  t.match(status.stdout, 'the cluster gets the one for prod');
  t.notMatch(status.stdout, ANY_JWT);
  const report = parse(await alice.run('status', '-o', 'json'));
  t.match(
    report.identities.find(({ audience }) => audience === 'prod'),
    { issuer: issuer.url, current: true },
  );
  t.match(report.current, { exchange: { issuer: issuer.url, audience: 'prod' }, loggedIn: true });

  const who = parse(await alice.run('whoami', '-o', 'json'));
  t.match(who.cluster, { username: 'alice', groups: ['admins', 'members'], issuer: issuer.url, audience: 'prod' });
  t.match((await alice.run('whoami')).stdout, /^Groups in the cluster +admins, members$/m);
  t.same([alice.countLogins(), issuer.countExchanges()], [1, 1]);
});

testWithKeystone('logout revokes the Keystone token and forgets the JWTs of all clusters', async (t, environment) => {
  const { alice, issuer } = await setUpExchange(t, environment);
  checkSuccess(t, await alice.run());
  checkSuccess(t, await alice.with(makeExchangeSettings(issuer, 'test')).run());
  const keystoneToken = (await alice.run('token')).stdout.trim();
  const result = await alice.run('logout', '-o', 'json');
  t.equal(result.status, 0, result.stderr);
  const { tokens } = parse(result);
  t.same(tokens.map(({ token, scope }) => `${scope}: ${token}`).toSorted(), [
    'cluster prod: exchanged',
    'cluster test: exchanged',
    'project demo (My Domain): revoked',
  ]);
  t.equal(await validateToken(environment.http, keystoneToken), undefined, 'Keystone no longer accepts it');
  const left = readdirSync(alice.home.cache).filter((name) => /\.(?:token|alias|about)$/.test(name));
  t.same(left, []);

  checkSuccess(t, await alice.run());
  t.match((await without(alice).run('logout')).stdout, /cluster prod .*the cluster accepts it until/, 'also without');
  checkSuccess(t, await alice.run());
  t.equal((await alice.run('logout', '--all')).status, 0);
  t.match((await alice.run('status')).stdout, 'No token is cached.');
});

testWithKeystone('kubeconfig add writes an exchange, for one cluster at a time', async (t, environment) => {
  const { alice, issuer } = await setUpExchange(t, environment);
  const path = join(alice.home.path, 'kubeconfig');
  const preview = await alice.run('kubeconfig', 'add', `--kubeconfig=${path}`, '--server=https://c.test', '--dry-run');
  t.match(preview.stdout, '--token-exchange-audience=prod', 'the audience is no secret, and worth a look');
  const added = await alice.run(
    'kubeconfig',
    'add',
    `--kubeconfig=${path}`,
    '--server=https://cluster.test',
    '--name=c',
  );
  t.equal(added.status, 0, added.stderr);
  const text = readFileSync(path, 'utf8');
  t.match(text, `--token-exchange-url=${issuer.url}`);
  t.match(text, '--token-exchange-audience=prod');

  const unset = { OS_TOKEN_EXCHANGE_URL: undefined, OS_TOKEN_EXCHANGE_AUDIENCE: undefined };
  const ofContext = await alice.with(unset).run('get-token', '--context=c', `--kubeconfig=${path}`);
  t.equal(ofContext.status, 0, ofContext.stderr);
  t.match(readClaims(parse(ofContext).status.token), { aud: 'prod' });

  const half = await alice.with({ OS_TOKEN_EXCHANGE_AUDIENCE: undefined }).run('kubeconfig', 'add', '--dry-run');
  checkFailure(t, half, EXIT_STATUS.config, { says: ['OS_TOKEN_EXCHANGE_AUDIENCE'] });
  alice.writeFile('list.yaml', { clusters: [{ name: 'a', server: 'https://a.test' }] });
  const many = await alice.run('kubeconfig', 'add', '--from-list=list.yaml', `--kubeconfig=${path}`);
  checkFailure(t, many, 2, { says: ['its own --token-exchange-audience'] });
});

testWithKeystone('doctor checks the issuer, and sends the cluster only the JWT', async (t, environment) => {
  const { alice, issuer } = await setUpExchange(t, environment);
  const received: string[] = [];
  let accepts = true;
  const api = await startStandInApiServer({
    ...environment.pki.server,
    authenticate: async (token) => {
      received.push(token);
      return accepts && token.startsWith('eyJ') ? 'alice' : undefined;
    },
  });
  t.teardown(() => api.close());
  const kubeconfig = join(alice.home.path, 'kubeconfig');
  const server = [`--server=${api.url}`, `--certificate-authority=${environment.pki.ca}`, '--set-current'];
  const plugin = alice.writeFile('client-keystone-auth', '#!/bin/sh\n', 0o700);
  const add = ['kubeconfig', 'add', `--kubeconfig=${kubeconfig}`, ...server, `--command=${plugin}`];
  t.equal((await alice.run(...add)).status, 0);
  const examine = async (...args: string[]): Promise<DoctorCheck[]> => {
    const result = await alice.run('doctor', `--kubeconfig=${kubeconfig}`, '-o', 'json', ...args);
    checkNoSecretShown(t, environment, result);
    t.notMatch(result.stdout + result.stderr, ANY_JWT, 'no JWT is shown');
    return JSON.parse(result.stdout) as DoctorCheck[];
  };

  const good = await examine();
  t.same(listFailedChecks(good), []);
  t.match(findCheck(good, 'issuer').found, `${issuer.url} exchanges tokens`);
  t.match(findCheck(good, 'clock of the issuer').found, 'the clocks of this machine and the issuer agree');
  t.match(findCheck(good, 'token exchange').found, /^the issuer gave a JWT for prod, .* left/);
  t.match(findCheck(good, 'keys of the issuer').found, 'key key-1 verifies the JWT');
  t.match(findCheck(good, 'API server').found, 'authenticates you as alice');

  accepts = false;
  const rejected = await examine();
  t.same(listFailedChecks(rejected), ['API server']);
  t.match(findCheck(rejected, 'API server').fix, 'AuthenticationConfiguration');
  accepts = true;

  const { kid, publicKey } = issuer.key;
  const own = { ...publicKey.export({ format: 'jwk' }), kid, alg: 'RS256' };
  const forged = { ...makeIssuerKey('key-1').publicKey.export({ format: 'jwk' }), kid, alg: 'RS256' };
  const keySets: readonly (readonly [body: object, found: RegExp])[] = [
    [{ keys: [{ ...own, kid: 'key-2' }] }, /key key-1 of the JWT is not among its keys/],
    [{ keys: [forged] }, /do not verify the JWT: its signature is wrong/],
    [{ keys: [] }, /not among its keys/],
    [{ error: 'none' }, /not a key set/],
  ];
  for (const [body, found] of keySets) {
    issuer.answer = ({ line }) => (line === ISSUER_KEYS ? { body } : undefined);
    const findings = await examine();
    t.same(listFailedChecks(findings), ['keys of the issuer']);
    t.match(findCheck(findings, 'keys of the issuer').found, found);
  }
  issuer.answer = ({ line }) =>
    line === ISSUER_DISCOVERY
      ? {
          headers: { date: new Date(Date.now() - 3_600_000).toUTCString() },
          body: { issuer: issuer.url, token_endpoint: `${issuer.url}/token` },
        }
      : undefined;
  const late = await examine();
  t.same(listFailedChecks(late), ['clock of the issuer', 'keys of the issuer']);

  issuer.answer = ({ line }) =>
    line === ISSUER_EXCHANGE ? { status: 403, body: { error: 'access_denied' } } : undefined;
  const before = received.length;
  const refused = await examine('--force-refresh');
  t.same(listFailedChecks(refused), ['token exchange']);
  t.match(findCheck(refused, 'API server'), { result: 'skipped', found: 'not checked, because of "token exchange"' });
  t.equal(received.length, before, 'the cluster gets nothing');
  t.ok(received.length > 0 && received.every((token) => token.startsWith('eyJ')));
});

testWithKeystone('the certificate of the issuer is always checked, by its own authorities', async (t, environment) => {
  const { pki, http } = environment;
  const { alice, issuer } = await setUpExchange(t, environment, true);
  const untrusted = { says: ['the issuer', 'set OS_TOKEN_EXCHANGE_CACERT (--token-exchange-cacert) to'] };
  checkFailure(t, await alice.run(), EXIT_STATUS.unreachable, untrusted);
  const insecure = await alice.with({ OS_INSECURE: 'true' }).run();
  t.equal(insecure.status, EXIT_STATUS.unreachable, 'OS_INSECURE is for Keystone only');
  t.equal(insecure.stdout, '');
  t.equal(issuer.requests.length, 0);
  checkSuccess(t, await alice.with({ OS_TOKEN_EXCHANGE_CACERT: pki.ca }).run());
  checkSuccess(t, await alice.with({ OS_CACERT: pki.ca }).run());
  const both = await alice.with({ OS_INSECURE: 'true', OS_TOKEN_EXCHANGE_CACERT: pki.ca }).run();
  t.equal(both.status, 0, both.stderr);
  t.equal(alice.countLogins(), 3, 'the settings of Keystone make three logins');
  t.match(
    await alice
      .with({
        OS_TOKEN_EXCHANGE_URL: undefined,
        OS_TOKEN_EXCHANGE_AUDIENCE: undefined,
        OS_TOKEN_EXCHANGE_CACERT: pki.ca,
      })
      .run('--force-refresh'),
    {
      status: 0,
      stderr: /OS_TOKEN_EXCHANGE_CACERT is not used/,
    },
  );

  const list = join(t.testdir(), '.config', 'client-keystone-auth');
  mkdirSync(list, { recursive: true });
  const allow = (text: string): void => writeFileSync(join(list, 'trusted-origins'), text, { mode: 0o600 });
  const careful = setUpAlice(t, environment, {
    settings: makeExchangeSettings(issuer),
    runner: (run) => runBundles(run, { accountHome: t.testdirName }),
  });
  const seen = issuer.requests.length;
  allow(`${new URL(http.url).origin}\n`);
  const unlisted = await careful.run();
  t.match(unlisted, { status: EXIT_STATUS.config, stdout: '', stderr: /trusted-origins/ });
  t.equal(issuer.requests.length, seen, 'nothing is sent to an issuer that the list does not have');
  allow(`${new URL(http.url).origin}\n${issuer.url} ca=${pki.ca}\n`);
  checkSuccess(t, await careful.run());
  const other = await careful.with({ OS_TOKEN_EXCHANGE_CACERT: pki.client.cert }).run();
  t.match(other, { status: EXIT_STATUS.config, stdout: '', stderr: /OS_TOKEN_EXCHANGE_CACERT cannot replace/ });
});
