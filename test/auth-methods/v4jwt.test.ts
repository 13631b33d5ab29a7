// Against: a stand-in for three versions of Rust Keystone, made from exchanges with the real ones; the published one itself in test/rust-keystone.

import { join } from 'node:path';
import t from 'tap';
import type { Test } from 'tap';
import { checkSuccess, EXIT_STATUS, startKeystoneForTest } from '../support/check-run.ts';
import { damageEnd } from '../support/damaged-token.ts';
import { setUp } from '../support/fixture.ts';
import type { Fixture } from '../support/fixture.ts';
import type { EnvVars } from '../support/home.ts';
import { checkFailedLogin, logInTwice } from '../support/log-in-twice.ts';
import type { StandInKeystone } from '../support/stand-in-keystone.ts';
import { findRecordedUser } from '../support/stand-in-keystone/users.ts';
import { fetchTokenFacts, makeJwt, serveV4 } from '../support/stand-in-v4.ts';
import type { JwtProvider } from '../support/stand-in-v4.ts';
import type { RustKeystoneVersion } from '../support/stand-in-v4-versions.ts';

const WEB = { project: { name: 'web', domain: { name: 'acme' } } };
const onWeb = { OS_PROJECT_NAME: 'web', OS_PROJECT_DOMAIN_NAME: 'acme' };

const provider: JwtProvider = {
  id: 'ci',
  rules: [
    { name: 'plain', subject: 'repo:acme/app', user: findRecordedUser('alice') },
    { name: 'fixed', subject: 'repo:acme/app', user: findRecordedUser('alice'), scope: WEB },
    { name: 'fixed', subject: 'repo:acme/other', user: findRecordedUser('bob'), scope: WEB },
  ],
};

const login = (id: string): string => `POST /v4/federation/identity_providers/${id}/jwt`;
const RESCOPE = 'POST /v3/auth/tokens?nocatalog=true';

function makeCiJwt(claims: Readonly<Record<string, unknown>> = {}): string {
  const now = Math.floor(Date.now() / 1000);
  return makeJwt({
    iss: 'https://ci.example',
    sub: 'repo:acme/app',
    aud: 'keystone',
    iat: now,
    exp: now + 600,
    ...claims,
  });
}

interface CiJob {
  readonly keystone: StandInKeystone;
  /** The job, with settings for the provider `ci`. */
  readonly job: Fixture;
}

async function setUpJob(t: Test, version: RustKeystoneVersion = 'august'): Promise<CiJob> {
  const keystone = await startKeystoneForTest(t);
  serveV4(keystone, { version, providers: [provider] });
  const settings = { OS_AUTH_TYPE: 'v4jwt', OS_IDENTITY_PROVIDER: 'ci' };
  return { keystone, job: setUp(t, { keystone, settings }) };
}

void t.test('without a scope, the token is used unchanged', async (t) => {
  const { keystone, job } = await setUpJob(t);
  const jwt = makeCiJwt();
  const { token } = await logInTwice(t, job.with({ OS_JWT: jwt }), {
    requests: [login('ci')],
    secrets: [jwt],
    warnings: ['the token has no scope'],
  });
  t.match(await fetchTokenFacts(keystone, token), { user: { name: 'alice' }, project: undefined });
  const [{ headers, body } = { headers: {}, body: null }] = keystone.requests;
  t.equal(headers.authorization, `bearer ${jwt}`);
  t.notOk('openstack-mapping' in headers, 'an unset mapping is not sent');
  t.equal(body, undefined);
});

void t.test('with a scope, the token is exchanged unless the mapping gives that scope', async (t) => {
  const exchanged = [login('ci'), RESCOPE];
  for (const [version, mapping, requests] of [
    ['0.1.1', 'plain', exchanged],
    ['0.1.1', 'fixed', [login('ci')]],
    ['june', 'plain', exchanged],
    ['june', 'fixed', [login('ci')]],
    ['august', 'plain', exchanged],
    // The rule fixes the scope, but this version ignores that here.
    ['august', 'fixed', exchanged],
  ] as const) {
    await t.test(`version ${version} with the mapping ${mapping} causes ${requests.length} requests`, async (t) => {
      const { keystone, job } = await setUpJob(t, version);
      const jwt = makeCiJwt();
      const settings = { ...onWeb, OS_JWT: jwt, OS_ATTRIBUTE_MAPPING_NAME: mapping };
      const { token } = await logInTwice(t, job.with(settings), { requests, secrets: [jwt] });
      t.match(await fetchTokenFacts(keystone, token), { user: { name: 'alice' }, project: { name: 'web' } });
      t.equal(keystone.requests[0]?.headers['openstack-mapping'], mapping);
    });
  }
});

void t.test('v4 is found next to v3 without a version in the URL', async (t) => {
  const { keystone, job } = await setUpJob(t);
  const settings = { ...onWeb, OS_AUTH_URL: keystone.url, OS_JWT: makeCiJwt() };
  await logInTwice(t, job.with(settings), { requests: [login('ci'), RESCOPE] });
});

void t.test('a renewed JWT uses the cache, and a JWT with other claims does not', async (t) => {
  const { job } = await setUpJob(t, 'june');
  const run = async (given: EnvVars): Promise<{ token: string; logins: number }> => {
    const before = job.countRequests();
    const { token } = checkSuccess(t, await job.with({ OS_ATTRIBUTE_MAPPING_NAME: 'fixed', ...given }).run());
    return { token, logins: job.countRequests() - before };
  };
  const put = (jwt: string): EnvVars => {
    job.writeFile('jwt', jwt);
    return { OS_JWT_FILE: '~/jwt' };
  };
  const later = { exp: Math.floor(Date.now() / 1000) + 1200 };
  const { token, logins } = await run({ OS_JWT: makeCiJwt() });
  t.equal(logins, 1);
  t.strictSame(await run({ OS_JWT: makeCiJwt(later) }), { token, logins: 0 }, 'the JWT in a variable');
  t.strictSame(await run(put(makeCiJwt())), { token, logins: 0 }, 'the JWT in a file');
  t.strictSame(await run(put(makeCiJwt(later))), { token, logins: 0 }, 'the JWT in a replaced file');
  t.strictSame(await run({ OS_JWT_FILE: '~/jwt' }), { token, logins: 0 });
  const bobs = await run(put(makeCiJwt({ sub: 'repo:acme/other' })));
  t.equal(bobs.logins, 1, 'another subject');
  t.not(bobs.token, token);
  t.equal((await run({ OS_JWT: makeCiJwt({ environment: 'production' }) })).logins, 1, 'another claim');
  t.equal(
    (await run({ OS_JWT: makeCiJwt(), OS_ATTRIBUTE_MAPPING_NAME: 'plain', ...onWeb })).logins,
    2,
    'another mapping',
  );
  t.strictSame(await run({ OS_JWT: makeCiJwt() }), { token, logins: 0 });
});

void t.test('a login that Keystone rejects gets one message', async (t) => {
  const isRefused = async (
    name: string,
    { version, ...settings }: EnvVars & { version?: RustKeystoneVersion },
    says: readonly string[],
    requests = [login(settings['OS_IDENTITY_PROVIDER'] ?? 'ci')],
  ): Promise<void> => {
    await t.test(name, async (t) => {
      const { job } = await setUpJob(t, version);
      const jwt = settings['OS_JWT'] ?? makeCiJwt();
      const user = job.with({ OS_JWT: jwt, ...settings });
      await checkFailedLogin(t, user, { requests, secrets: [jwt], status: EXIT_STATUS.refused, says });
    });
  };
  await isRefused('the provider is unknown', { OS_IDENTITY_PROVIDER: 'nobody' }, [
    'Keystone has no identity provider nobody',
    'check OS_IDENTITY_PROVIDER',
  ]);
  await isRefused('an old server does not know the mapping', { version: 'june', OS_ATTRIBUTE_MAPPING_NAME: 'none' }, [
    'identity provider ci has no mapping "none"',
    'set OS_ATTRIBUTE_MAPPING_NAME (--attribute-mapping-name)',
  ]);
  await isRefused('a new server does not know the rule', { OS_ATTRIBUTE_MAPPING_NAME: 'none' }, [
    "Keystone refused the JWT of repo:acme/app: requested mapping rule 'none' was not found;",
    'the mapping of identity provider ci',
  ]);
  await isRefused('an old server requires a mapping', { version: '0.1.1' }, [
    'this Keystone requires the name of a mapping',
    'set OS_ATTRIBUTE_MAPPING_NAME (--attribute-mapping-name)',
  ]);
  await isRefused('no mapping matches the subject', { OS_JWT: makeCiJwt({ sub: 'repo:evil/app' }) }, [
    'Keystone refused the JWT of repo:evil/app: no matching rule found',
    'the mapping of identity provider ci',
  ]);
  await isRefused('the JWT is forged', { OS_JWT: damageEnd(makeCiJwt()) }, [
    'Keystone refused the JWT of repo:acme/app: JWT verification error: InvalidSignature;',
    'check its issuer, audience and expiry',
  ]);
  await isRefused(
    'the user has no role in the project',
    { OS_PROJECT_ID: 'f'.repeat(32) },
    ['Keystone accepted the login, but not for repo:acme/app on project ffff'],
    [login('ci'), RESCOPE],
  );
});

void t.test('a JWT that cannot be used is not sent', async (t) => {
  const { job } = await setUpJob(t);
  const isNotSent = async (
    name: string,
    settings: EnvVars,
    says: readonly string[],
    status: number = EXIT_STATUS.config,
  ): Promise<void> => {
    await t.test(name, async (t) => {
      await checkFailedLogin(t, job.onNewMachine().with(settings), { requests: [], status, says });
    });
  };
  await isNotSent('the text is not a JWT', { OS_JWT: 'canary-of-something-else' }, [
    'the JWT of OS_JWT is not a JWT',
    'set OS_JWT_FILE',
  ]);
  await isNotSent('the JWT has expired', { OS_JWT: makeCiJwt({ exp: 1 }) }, [
    'the JWT of OS_JWT expired at 1970-01-01',
  ]);
  await isNotSent('two JWTs are set', { OS_JWT: makeCiJwt(), OS_JWT_FILE: '/x' }, [
    'OS_JWT and OS_JWT_FILE are both set',
  ]);
  await isNotSent('the file does not exist', { OS_JWT_FILE: '/nowhere' }, [
    'cannot read the JWT of OS_JWT_FILE from /nowhere (ENOENT)',
  ]);
  await isNotSent('the mapping has a line break', { OS_JWT: makeCiJwt(), OS_ATTRIBUTE_MAPPING_NAME: 'a\r\nb: c' }, [
    'OS_ATTRIBUTE_MAPPING_NAME contains characters that are not valid in an HTTP header',
  ]);
  await isNotSent('no JWT is set', {}, ['JWT is not set', 'set OS_JWT'], EXIT_STATUS.interaction);
  await isNotSent(
    'no provider is set',
    { OS_JWT: makeCiJwt(), OS_IDENTITY_PROVIDER: undefined },
    ['identity provider is not set', 'set OS_IDENTITY_PROVIDER (--identity-provider)'],
    EXIT_STATUS.interaction,
  );
});

void t.test('a clouds.yaml in the current folder does not get the JWT of a file', async (t) => {
  const { keystone, job } = await setUpJob(t);
  const auth = { auth_url: `${keystone.url}/v3`, identity_provider: 'ci' };
  job.writeFile('jwt', makeCiJwt());
  job.writeFile('clouds.yaml', { clouds: { evil: { auth_type: 'v4jwt', auth } } });
  const user = job.withOnly({ OS_CLOUD: 'evil', OS_JWT_FILE: join(job.home.path, 'jwt') });
  const says = ['clouds.yaml', 'current folder'];
  await checkFailedLogin(t, user, { requests: [], status: EXIT_STATUS.config, says });
});
