/** The users, projects and application credentials of the stand-in, and how Keystone finds them. */
import { asObject } from './json.ts';
import type { Json } from './json.ts';
import { Refusal, refuseIncomplete, refuseLogin } from './responses.ts';
import { readClock } from './state.ts';
import type { StandInState } from './state.ts';

export interface NamedEntity {
  id: string;
  name: string;
}

export interface StandInProject extends NamedEntity {
  domain: NamedEntity;
}

export interface StandInUser extends NamedEntity {
  domain: NamedEntity;
  password: string;
  /** The only valid passcode, at any time. */
  passcode?: string;
  /** Combinations of methods, one of which is required. Default: each method alone. */
  multiFactorRules?: string[][];
  disabled?: boolean;
  passwordExpired?: boolean;
  /** Can validate tokens of other users. */
  admin?: boolean;
  defaultProjectId?: string;
  roles: { project?: StandInProject; domain?: NamedEntity; system?: true; names: string[] }[];
}

export interface StandInApplicationCredential extends NamedEntity {
  secret: string;
  userId: string;
  project: StandInProject;
  roleNames: string[];
  expiresAt?: Date;
}

const acme: NamedEntity = { id: 'ad46c8976da647fd85585c4db77c8ca0', name: 'acme' };
const web: StandInProject = { id: 'c8e48b74036546c5b12bfc798932c4e2', name: 'web', domain: acme };
const db: StandInProject = { id: 'b3c86ab0ae364399a0429475e0f753c4', name: 'db', domain: acme };

/** The users of the recorded responses, with the recorded IDs. */
export const recordedUsers: readonly StandInUser[] = [
  {
    id: '97b785ee1b534333bc6bd72787eed648',
    name: 'alice',
    domain: acme,
    password: 's3cret',
    roles: [
      { project: web, names: ['reader', 'member'] },
      { project: db, names: ['reader'] },
      { domain: acme, names: ['reader'] },
      { system: true, names: ['reader'] },
    ],
  },
  {
    id: 'f711c8f92ef941f8a1c1c3e41d7b86fa',
    name: 'bob',
    domain: acme,
    password: 's3cret',
    passcode: '716788',
    multiFactorRules: [['password', 'totp']],
    roles: [{ project: web, names: ['reader', 'member'] }],
  },
  {
    id: '91d1d82787204b5f9c74bfe1bb3863be',
    name: 'carol',
    domain: acme,
    password: 's3cret',
    passwordExpired: true,
    roles: [],
  },
  {
    id: '0b3d1f7c2e9a4c0f8d6b5a4938271605',
    name: 'dave',
    domain: acme,
    password: 's3cret',
    disabled: true,
    roles: [],
  },
  { id: '1c4e2a8d3fab4d1a9e7c6b5a49382716', name: 'frank', domain: acme, password: 's3cret', roles: [] },
];

export const recordedApplicationCredentials: readonly StandInApplicationCredential[] = [
  {
    id: '53d80253fa55494fa87d8246ad06a24a',
    name: 'k8s',
    secret: 'RxAlm8XHgExRj8gX3JmLl25hJKJGTYPHjxbPw8SZ7IVc5VpxTW7tGDRfTNvRIUuhR1rF8J1ya6xBgIanW59TXA',
    userId: '97b785ee1b534333bc6bd72787eed648',
    project: web,
    roleNames: ['member'],
  },
];

/** Finds a recorded user by name. */
export function findRecordedUser(name: string): StandInUser {
  const user = recordedUsers.find((one) => one.name === name);
  if (user === undefined) throw new Error(`${name} is not recorded`);
  return user;
}

/** @throws Refusal if there is no such user, or if the user is disabled */
export function findUser({ users }: StandInState, given: unknown): StandInUser {
  const user = asObject(given);
  const { id, name } = user;
  if (id === undefined && name === undefined) throw refuseIncomplete('id or name', 'user');
  if (id === undefined && user['domain'] === undefined) throw refuseIncomplete('domain', 'user');
  const domain = asObject(user['domain']);
  const found = users.find((candidate) =>
    id === undefined ? candidate.name === name && isSame(candidate.domain, domain) : candidate.id === id,
  );
  if (found === undefined || found.disabled === true) throw refuseLogin();
  return found;
}

/** @throws Refusal if it does not exist, has expired, or has another secret */
export function findApplicationCredential(state: StandInState, given: Json): StandInApplicationCredential {
  const { id, name, secret } = given;
  if (id === undefined && name === undefined) throw refuseIncomplete('id or name', 'application credential');
  const owner = id === undefined ? findUser(state, given['user']).id : undefined;
  const found = state.applicationCredentials.find((candidate) =>
    id === undefined ? candidate.name === name && candidate.userId === owner : candidate.id === id,
  );
  if (found === undefined && id === undefined) {
    // Keystone reads the first element of an empty list and reports the error.
    throw new Refusal(500, 'An unexpected error prevented the server from fulfilling your request.');
  }
  if (found === undefined) throw new Refusal(404, `Could not find Application Credential: ${String(id)}.`);
  if (found.secret !== secret) throw refuseLogin();
  if (found.expiresAt !== undefined && found.expiresAt <= readClock(state)) throw refuseLogin();
  return found;
}

/** Whether a request means this thing, by its ID or by its name. */
export function isSame(thing: NamedEntity, given: Json): boolean {
  return given['id'] === undefined ? given['name'] === thing.name : given['id'] === thing.id;
}
