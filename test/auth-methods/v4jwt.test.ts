// Against: a stand-in for Rust Keystone's v4, which no distribution contains yet.

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import type { Test } from 'tap';
import { checkSuccess, EXIT_STATUS, startKeystoneForTest } from '../support/check-run.ts';
import { runPlugin } from '../support/run-plugin.ts';
import { makeTestHome } from '../support/home.ts';
import type { StandInKeystone } from '../support/stand-in-keystone.ts';
import { findRecordedUser } from '../support/stand-in-keystone/users.ts';
import { fetchTokenFacts, makeJwt, serveV4 } from '../support/stand-in-v4.ts';
import type { JwtProvider } from '../support/stand-in-v4.ts';
import { openStandInLog, checkFailedLogin, logInTwice } from '../support/log-in-twice.ts';
import type { RequestLog } from '../support/log-in-twice.ts';

t.setTimeout(120_000);

const WEB = { project: { name: 'web', domain: { name: 'acme' } } };
const onWeb = { OS_PROJECT_NAME: 'web', OS_PROJECT_DOMAIN_NAME: 'acme' };

const provider: JwtProvider = {
  id: 'ci',
  isOldVersion: false,
  rules: [
    { name: 'plain', subject: 'repo:acme/app', user: findRecordedUser('alice') },
    { name: 'fixed', subject: 'repo:acme/app', user: findRecordedUser('alice'), scope: WEB },
    { name: 'bobs', subject: 'repo:acme/other', user: findRecordedUser('bob'), scope: WEB },
  ],
};
const old: JwtProvider = { ...provider, id: 'old', isOldVersion: true };

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

interface V4JwtFixture {
  readonly standIn: StandInKeystone;
  readonly requestLog: RequestLog;
  readonly env: Record<string, string>;
}

async function setUpV4Jwt(t: Test): Promise<V4JwtFixture> {
  const standIn = await startKeystoneForTest(t);
  serveV4(standIn, { providers: [provider, old] });
  const env = { OS_AUTH_TYPE: 'v4jwt', OS_AUTH_URL: `${standIn.url}/v3`, OS_IDENTITY_PROVIDER: 'ci' };
  return { standIn, requestLog: openStandInLog(standIn), env };
}

void t.test('without a scope: the token unchanged', async (t) => {
  const { standIn, requestLog, env } = await setUpV4Jwt(t);
  const jwt = makeCiJwt();
  const attempt = { env: { ...env, OS_JWT: jwt }, requestLog, requests: [login('ci')], secrets: [jwt] };
  const { token } = await logInTwice(t, attempt, ['the token has no scope']);
  t.match(await fetchTokenFacts(standIn, token), { user: { name: 'alice' }, project: undefined });
  const [{ headers, body } = { headers: {}, body: null }] = standIn.requests;
  t.equal(headers.authorization, `bearer ${jwt}`);
  t.notOk('openstack-mapping' in headers, 'an unset mapping is not sent');
  t.equal(body, undefined);
});

void t.test('with a scope: exchanged, unless the mapping gives that scope', async (t) => {
  for (const id of ['ci', 'old']) {
    for (const [mapping, requests] of [
      ['plain', [login(id), RESCOPE]],
      ['fixed', [login(id)]],
    ] as const) {
      await t.test(`${id}, ${mapping}`, async (t) => {
        const { standIn, requestLog, env } = await setUpV4Jwt(t);
        const jwt = makeCiJwt();
        const more = { OS_IDENTITY_PROVIDER: id, OS_JWT: jwt, OS_ATTRIBUTE_MAPPING_NAME: mapping };
        const attempt = { env: { ...env, ...onWeb, ...more }, requestLog, requests, secrets: [jwt] };
        const { token } = await logInTwice(t, attempt);
        t.match(await fetchTokenFacts(standIn, token), { user: { name: 'alice' }, project: { name: 'web' } });
        t.equal(standIn.requests[0]?.headers['openstack-mapping'], mapping);
      });
    }
  }
});

void t.test('finds v4 next to v3 without a version in the URL', async (t) => {
  const { standIn, requestLog, env } = await setUpV4Jwt(t);
  const all = { ...env, ...onWeb, OS_AUTH_URL: standIn.url, OS_JWT: makeCiJwt() };
  await logInTwice(t, { env: all, requestLog, requests: [login('ci'), RESCOPE] });
});

void t.test('a renewed JWT uses the cache, and a JWT with other claims does not', async (t) => {
  const { standIn, env } = await setUpV4Jwt(t);
  const home = makeTestHome(t);
  const file = join(home.path, 'jwt');
  const run = async (given: Readonly<Record<string, string>>): Promise<{ token: string; logins: number }> => {
    const before = standIn.requests.length;
    const all = { ...env, OS_ATTRIBUTE_MAPPING_NAME: 'fixed', ...given };
    const { token } = checkSuccess(t, await runPlugin({ home, env: all }));
    return { token, logins: standIn.requests.length - before };
  };
  const put = (jwt: string): Record<string, string> => {
    writeFileSync(file, jwt, { mode: 0o600 });
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

void t.test('logins that Keystone rejects', async (t) => {
  const { standIn, requestLog, env } = await setUpV4Jwt(t);
  const refused = async (
    name: string,
    settings: Readonly<Record<string, string>>,
    says: readonly string[],
    requests = [login(settings['OS_IDENTITY_PROVIDER'] ?? 'ci')],
  ): Promise<void> => {
    await t.test(name, async (t) => {
      const jwt = settings['OS_JWT'] ?? makeCiJwt();
      const all = { ...env, OS_JWT: jwt, ...settings };
      await checkFailedLogin(
        t,
        { env: all, requestLog, requests, secrets: [jwt] },
        { status: EXIT_STATUS.refused, says },
      );
    });
  };
  await refused('an unknown provider', { OS_IDENTITY_PROVIDER: 'nobody' }, [
    'Keystone has no identity provider nobody',
    'check OS_IDENTITY_PROVIDER',
  ]);
  await refused('an unknown mapping', { OS_IDENTITY_PROVIDER: 'old', OS_ATTRIBUTE_MAPPING_NAME: 'none' }, [
    'Keystone has no identity provider old with a mapping none',
  ]);
  await refused('an old server without a mapping', { OS_IDENTITY_PROVIDER: 'old' }, [
    'requires `openstack-mapping` header',
  ]);
  await refused('a stranger', { OS_JWT: makeCiJwt({ sub: 'repo:evil/app' }) }, [
    'Keystone refused the JWT of repo:evil/app',
    'the mapping of identity provider ci',
  ]);
  await refused('a forged one', { OS_JWT: `${makeCiJwt().slice(0, -4)}AAAA` }, ['Error in claims verification']);
  await refused(
    'no role there',
    { OS_PROJECT_ID: 'f'.repeat(32) },
    ['Keystone accepted the login, but not for repo:acme/app on project ffff'],
    [login('ci'), RESCOPE],
  );
  t.equal(standIn.countLogins(), 1);
});

void t.test('JWTs that are not sent', async (t) => {
  const { requestLog, env } = await setUpV4Jwt(t);
  const useless = async (
    name: string,
    settings: Readonly<Record<string, string | undefined>>,
    says: readonly string[],
    status: number = EXIT_STATUS.config,
  ): Promise<void> => {
    await t.test(name, (t) =>
      checkFailedLogin(t, { env: { ...env, ...settings }, requestLog, requests: [] }, { status, says }),
    );
  };
  await useless('no JWT', { OS_JWT: 'canary-of-something-else' }, [
    'the JWT of OS_JWT is not a JWT',
    'set OS_JWT_FILE',
  ]);
  await useless('an expired one', { OS_JWT: makeCiJwt({ exp: 1 }) }, ['the JWT of OS_JWT expired at 1970-01-01']);
  await useless('two', { OS_JWT: makeCiJwt(), OS_JWT_FILE: '/x' }, ['OS_JWT and OS_JWT_FILE are both set']);
  await useless('no file', { OS_JWT_FILE: '/nowhere' }, ['cannot read the JWT of OS_JWT_FILE from /nowhere (ENOENT)']);
  await useless('a mapping with a line break', { OS_JWT: makeCiJwt(), OS_ATTRIBUTE_MAPPING_NAME: 'a\r\nb: c' }, [
    'OS_ATTRIBUTE_MAPPING_NAME contains characters that are not valid in an HTTP header',
  ]);
  await useless('neither', {}, ['jwt is not set', 'set OS_JWT'], EXIT_STATUS.interaction);
  await useless(
    'no provider',
    { OS_JWT: makeCiJwt(), OS_IDENTITY_PROVIDER: undefined },
    ['identity provider is not set', 'set OS_IDENTITY_PROVIDER (--identity-provider)'],
    EXIT_STATUS.interaction,
  );
});

void t.test('a clouds.yaml in the current folder does not get the JWT of a file', async (t) => {
  const { standIn, requestLog } = await setUpV4Jwt(t);
  const home = makeTestHome(t);
  writeFileSync(join(home.path, 'jwt'), makeCiJwt(), { mode: 0o600 });
  const cloud = { auth_type: 'v4jwt', auth: { auth_url: `${standIn.url}/v3`, identity_provider: 'ci' } };
  writeFileSync(join(home.path, 'clouds.yaml'), JSON.stringify({ clouds: { evil: cloud } }));
  const env = { OS_CLOUD: 'evil', OS_JWT_FILE: join(home.path, 'jwt') };
  const says = ['clouds.yaml', 'current folder'];
  await checkFailedLogin(t, { env, home, requestLog, requests: [] }, { status: EXIT_STATUS.config, says });
});
