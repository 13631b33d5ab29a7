import { UsageError } from '../../shared/base/errors.ts';
import type { TokenRecord } from '../cache/token-record.ts';
import { getExchangedToken } from '../login/cluster-token.ts';
import { openLoginContext } from '../login/open-login-context.ts';
import { makeCommandOption } from './command.ts';
import type { CommandResult, Command, Invocation } from './command.ts';
import { warnAboutShownToken } from './shown-token.ts';
import { openSession } from './session.ts';

type Format = (token: string) => string;

/** The header lines that services read a token from. */
const HEADERS: ReadonlyMap<string, Format> = new Map<string, Format>([
  ['authorization', (token) => `Authorization: Bearer ${token}`],
  ['x-auth-token', (token) => `X-Auth-Token: ${token}`],
]);

function chooseFormat(header: string | undefined, raw: boolean): Format {
  if (header !== undefined && raw) {
    throw new UsageError('--header and --raw-authorization exclude each other', { hint: 'remove one of them' });
  }
  // The API of Krake expects the token without a scheme.
  if (raw) return (token) => `Authorization: ${token}`;
  return HEADERS.get(header ?? '') ?? ((token) => token);
}

/** @throws UsageError if the settings have no token exchange: the Keystone token must not take the place of the JWT */
async function exchange({ runContext }: Invocation): Promise<TokenRecord> {
  const login = await openLoginContext(runContext);
  if (login.exchange !== undefined) return getExchangedToken(login, login.exchange);
  throw new UsageError('--exchanged needs a token exchange, which is not set', {
    hint: 'name the context of the cluster with --context, or set OS_TOKEN_EXCHANGE_URL and OS_TOKEN_EXCHANGE_AUDIENCE',
  });
}

/** Prints the token itself. */
export const tokenCommand: Command = {
  words: ['token'],
  task: 'Find out',
  summary: 'print the token, or a header line with the token for curl and other programs',
  details: [
    'With a token exchange (--token-exchange-url), this is the Keystone token, for OpenStack. --exchanged prints ' +
      'the JWT that the cluster gets.',
    'Anyone who has the token can act as you until it expires. Do not leave it in a file, an argument or a log.',
  ],
  options: [
    makeCommandOption({
      name: 'header',
      choices: [...HEADERS.keys()],
      help: 'print a header line: authorization (Authorization: Bearer TOKEN) or x-auth-token (X-Auth-Token: TOKEN)',
    }),
    makeCommandOption({
      name: 'raw-authorization',
      kind: 'switch',
      help: 'print an Authorization line without "Bearer", as the API of Krake expects it',
    }),
    makeCommandOption({
      name: 'exchanged',
      kind: 'switch',
      help: 'print the JWT that the cluster gets, instead of the Keystone token',
    }),
  ],
  getTokenOptions: 'login',
  examples: [
    {
      line: 'token --header x-auth-token | curl -H @- "$OS_AUTH_URL/auth/projects"',
      summary: 'call Keystone with curl',
    },
  ],
  async run(call): Promise<CommandResult> {
    const format = chooseFormat(call.ownConfig.text('header'), call.ownConfig.isOn('raw-authorization'));
    const record = call.ownConfig.isOn('exchanged') ? await exchange(call) : (await openSession(call)).record;
    warnAboutShownToken(call, record.expiresAt, 'pass it to another program through a pipe');
    return { lines: [format(record.token)] };
  },
};
