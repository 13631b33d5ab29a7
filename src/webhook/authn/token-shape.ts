/**
 * Whether text can be a token of Keystone's at all, told without asking. Nothing is proven by it: it only keeps what
 * strangers send to the API server from becoming requests to Keystone.
 */
import { numberAt, parseJsonObject } from '../../shared/base/json.ts';

/** Version, time, IV and MAC of a Fernet token (its specification, "Token Format"), in bytes. */
const FERNET_FRAME = 57;
const FERNET_BLOCK = 16;
const FERNET = /^gAAAA[A-Za-z0-9_-]+={0,2}$/;
const JWS = /^[A-Za-z0-9_-]+\.([A-Za-z0-9_-]+)\.[A-Za-z0-9_-]+$/;

/** Longer ones would not fit into Keystone's request line of headers. */
const LONGEST = 8_192;

function isFernet(token: string): boolean {
  if (!FERNET.test(token)) return false;
  const bytes = Math.floor((token.replace(/=+$/, '').length * 3) / 4);
  const sealed = bytes - FERNET_FRAME;
  return sealed > 0 && sealed % FERNET_BLOCK === 0;
}

/** Keystone's JWS tokens say of themselves what they are; a service account's do not. */
function isKeystoneJws(token: string, now: number): boolean {
  const [, payload = ''] = JWS.exec(token) ?? [];
  if (payload === '') return false;
  const claims = parseJsonObject(Buffer.from(payload, 'base64url').toString('utf8'));
  if (claims === undefined || !Object.hasOwn(claims, 'openstack_methods')) return false;
  const expiry = numberAt(claims, 'exp');
  return expiry === undefined || expiry * 1000 > now - SKEW_MS;
}

/** How far Keystone's clock may be behind ours before its tokens look too old; in ms. */
const SKEW_MS = 300_000;

/** Keystone's tokens live for hours; nobody lets them live longer than this. */
const LONGEST_LIFE_MS = 30 * 24 * 3_600_000;

/** When a Fernet token says that it was made; ms since 1970, UTC. */
function readFernetTime(token: string): number {
  return Number(Buffer.from(token.slice(0, 12), 'base64url').readBigUInt64BE(1)) * 1000;
}

/**
 * Whether Keystone could have made this: Fernet or JWS. `odd` is what it could have made but hardly has, being from the
 * future or from long ago: random bytes nearly always are. Anybody can write another time into it, so this decides who goes first,
 * and nothing else.
 *
 * @param now ms since 1970, UTC
 */
export function classifyTokenShape(token: string, now: number): 'likely' | 'odd' | 'impossible' {
  if (token.length > LONGEST) return 'impossible';
  if (isKeystoneJws(token, now)) return 'likely';
  if (!isFernet(token)) return 'impossible';
  const madeAt = readFernetTime(token);
  return madeAt < now + SKEW_MS && madeAt > now - LONGEST_LIFE_MS ? 'likely' : 'odd';
}
