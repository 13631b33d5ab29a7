/** Logins: POST /v3/auth/tokens with an application credential, a token, or the factors of a user. */
import { asObject, isObject } from './json.ts';
import type { Json } from './json.ts';
import { findReceipt, issueReceipt } from './receipts.ts';
import { Refusal, refuseIncomplete, refuseLogin } from './responses.ts';
import type { StandInResponse } from './responses.ts';
import { describeProjectScope, findScope, TOKEN_LENGTHS } from './scopes.ts';
import type { RecordedRequest } from './server.ts';
import { addSeconds } from './state.ts';
import type { StandInState } from './state.ts';
import { beginSession, findSession, issue } from './tokens.ts';
import { findApplicationCredential, findUser } from './users.ts';
import type { StandInUser } from './users.ts';

const METHODS = ['password', 'token', 'totp', 'application_credential', 'external', 'oauth1', 'mapped', 'openid'];

/** A login request with a known method. */
interface Login {
  readonly identity: Json;
  readonly methods: readonly string[];
  readonly scope: unknown;
  readonly catalog: boolean;
  /** The receipt in the header of the request. */
  readonly receipt: string | string[] | undefined;
}

/** Answers a login. */
export function logIn(state: StandInState, request: RecordedRequest): StandInResponse {
  const login = readLogin(request);
  if (login.methods.includes('application_credential')) return logInWithCredential(state, login);
  if (login.methods.includes('token')) return exchangeToken(state, login);
  return logInWithFactors(state, login);
}

function readLogin({ path, body, headers }: RecordedRequest): Login {
  if (typeof body === 'string') throw refuseIncomplete('valid JSON', 'request body');
  const auth = asObject(body)['auth'];
  if (!isObject(auth)) throw refuseIncomplete('auth', 'request body');
  const identity = auth['identity'];
  if (!isObject(identity)) throw refuseIncomplete('identity', 'auth');
  const methods = Array.isArray(identity['methods']) ? identity['methods'].map(String) : [];
  if (methods.some((method) => !METHODS.includes(method))) {
    throw new Refusal(401, 'Attempted to authenticate with an unsupported method.', { identity: { methods: METHODS } });
  }
  for (const method of methods) {
    if (!isObject(identity[method])) throw refuseIncomplete(method, 'identity');
  }
  const receipt = headers['openstack-auth-receipt'];
  return { identity, methods, scope: auth['scope'], catalog: !path.includes('nocatalog'), receipt };
}

function logInWithCredential(state: StandInState, { identity, methods, scope, catalog }: Login): StandInResponse {
  // Keystone checks the scope when it parses the request, before the secret.
  if (scope !== undefined) {
    throw new Refusal(
      401,
      'Error authenticating with application credential: Application credentials cannot request a scope.',
      { identity: {} },
    );
  }
  const credential = findApplicationCredential(state, asObject(identity['application_credential']));
  const { id, name, project, roleNames } = credential;
  const session = {
    ...beginSession(state),
    methods,
    user: findUser(state, { id: credential.userId }),
    expiresAt: pickEarlier(addSeconds(state, state.lifetimeSeconds), credential.expiresAt),
    scope: { ...describeProjectScope(project), application_credential: { id, name, restricted: true } },
    roleNames,
    delegated: true,
  };
  return issue(state, session, { length: TOKEN_LENGTHS.application_credential, catalog });
}

function exchangeToken(state: StandInState, { identity, scope: wanted, catalog }: Login): StandInResponse {
  const parent = findSession(state, String(asObject(identity['token'])['id']));
  if (parent.delegated) {
    throw new Refusal(
      403,
      'You are not authorized to perform the requested action: ' +
        'Using a delegated token to create another token is not allowed..',
    );
  }
  const { user, expiresAt } = parent;
  const { scope, roleNames, tokenLength } = findScope(user, wanted);
  const begun = beginSession(state);
  const methods = [...new Set([...parent.methods, 'token'])];
  const auditIds = [...begun.auditIds, ...parent.auditIds.slice(-1)];
  const session = { ...begun, user, expiresAt, scope, roleNames, methods, auditIds };
  const length = tokenLength === TOKEN_LENGTHS.project ? TOKEN_LENGTHS.rescoped : tokenLength;
  return issue(state, session, { length, catalog });
}

function logInWithFactors(state: StandInState, login: Login): StandInResponse {
  const receipt = login.receipt === undefined ? undefined : findReceipt(state, String(login.receipt));
  const user = checkFactors(state, login);
  if (receipt !== undefined && receipt.user !== user) throw refuseLogin();
  const methods = [...new Set([...(receipt?.methods ?? []), ...login.methods])];
  const rules = user.multiFactorRules;
  if (rules !== undefined && !rules.some((rule) => rule.every((method) => methods.includes(method)))) {
    return issueReceipt(state, user, methods, rules);
  }
  const { scope, roleNames, tokenLength } = findScope(user, login.scope);
  const expiresAt = addSeconds(state, state.lifetimeSeconds);
  const session = { ...beginSession(state), user, expiresAt, scope, roleNames, methods };
  return issue(state, session, { length: tokenLength, catalog: login.catalog });
}

/** Checks each factor, and returns the user to whom all of them belong. */
function checkFactors(state: StandInState, { identity, methods }: Login): StandInUser {
  const checked = methods.map((method) => {
    const given = asObject(asObject(identity[method])['user']);
    const user = findUser(state, given);
    const { password, passcode } = given;
    if (method === 'password' && password !== user.password) throw refuseLogin();
    if (method === 'totp' && (passcode === undefined || passcode !== user.passcode)) throw refuseLogin();
    if (method !== 'password' && method !== 'totp') throw refuseLogin();
    if (method === 'password' && user.passwordExpired === true) {
      throw new Refusal(401, `The password is expired and needs to be changed for user: ${user.id}.`);
    }
    return user;
  });
  const [first] = checked;
  if (first === undefined || checked.some((user) => user !== first)) throw refuseLogin();
  return first;
}

function pickEarlier(instant: Date, other: Date | undefined): Date {
  return other !== undefined && other < instant ? other : instant;
}
