import { UsageError } from '../../shared/base/errors.ts';
import type { CommandResult, Command } from './command.ts';
import { openSession } from './session.ts';

type Dress = (token: string) => string;

/** The header lines that services take a token in. */
const HEADERS: ReadonlyMap<string, Dress> = new Map<string, Dress>([
  ['authorization', (token) => `Authorization: Bearer ${token}`],
  ['x-auth-token', (token) => `X-Auth-Token: ${token}`],
]);

function chooseDress(header: string | undefined, raw: boolean): Dress {
  if (header !== undefined && raw) {
    throw new UsageError('--header and --raw-authorization ask for different lines', { hint: 'leave one of them out' });
  }
  // Krake's API takes the token without a scheme.
  if (raw) return (token) => `Authorization: ${token}`;
  return HEADERS.get(header ?? '') ?? ((token) => token);
}

/** Prints the token itself. */
export const tokenCommand: Command = {
  words: ['token'],
  summary: 'print the token alone, or as a header for curl and other programs',
  details: ['Whoever has the token is you until it ends: do not leave it in a file, an argument or a log.'],
  options: [
    {
      name: 'header',
      group: 'Command',
      file: 'nowhere',
      choices: [...HEADERS.keys()],
      help: 'print a header line: authorization (Authorization: Bearer …) or x-auth-token (X-Auth-Token: …)',
    },
    {
      name: 'raw-authorization',
      group: 'Command',
      kind: 'switch',
      file: 'nowhere',
      help: 'print an Authorization line without "Bearer", as the API of Krake takes it',
    },
  ],
  getTokenOptions: 'login',
  examples: [
    {
      line: 'token --header x-auth-token | curl -H @- "$OS_AUTH_URL/auth/projects"',
      summary: 'ask Keystone with curl',
    },
  ],
  async run(call): Promise<CommandResult> {
    const dress = chooseDress(call.ownConfig.text('header'), call.ownConfig.isOn('raw-authorization'));
    const { record } = await openSession(call);
    return { text: dress(record.token) };
  },
};
