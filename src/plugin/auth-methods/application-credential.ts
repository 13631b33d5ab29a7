import { listUnset } from '../config/resolve-config.ts';
import type { ResolvedConfig } from '../config/resolve-config.ts';
import { readReference } from '../config/resolve-scope.ts';
import { buildTokensRequest } from '../../shared/keystone/auth-request.ts';
import type { AuthMethod } from './auth-method.ts';
import { readExpectedUser, describeUser, identifyUser, listMissingUser, readUser, USER_OPTIONS } from './user.ts';

const PAIR = 'application-credential';

/** A name is unique only to its user; an id needs none. */
function isNamed(config: ResolvedConfig): boolean {
  return !config.has(`${PAIR}-id`) && config.has(`${PAIR}-name`);
}

function describe(config: ResolvedConfig): string {
  const name = config.text(`${PAIR}-name`) ?? '';
  const which = isNamed(config) ? `"${name}" of ${describeUser(config)}` : (config.text(`${PAIR}-id`) ?? '');
  return `application credential ${which}`;
}

function identify(config: ResolvedConfig): (string | undefined)[] {
  if (!isNamed(config)) return ['application credential id', config.text(`${PAIR}-id`)];
  return ['application credential name', config.text(`${PAIR}-name`), ...identifyUser(config)];
}

/** Keystone API v3, "Application credentials". */
export const applicationCredential: AuthMethod = {
  name: 'v3applicationcredential',
  aliases: [],
  summary: 'an application credential, for programs',
  options: [
    {
      name: 'application-credential-id',
      group: 'Application credential',
      pair: PAIR,
      env: ['OS_APPLICATION_CREDENTIAL_ID'],
      help: 'application credential, by id',
      prompt: 'Application credential id',
    },
    {
      name: 'application-credential-name',
      group: 'Application credential',
      pair: PAIR,
      env: ['OS_APPLICATION_CREDENTIAL_NAME'],
      help: 'application credential, by name; its user is then needed too',
    },
    {
      name: 'application-credential-secret',
      group: 'Application credential',
      env: ['OS_APPLICATION_CREDENTIAL_SECRET'],
      help: "the application credential's secret",
      secret: true,
      prompt: 'Application credential secret',
    },
    ...USER_OPTIONS,
  ],
  impliedBy: ['application-credential-secret', 'application-credential-id', 'application-credential-name'],
  conflictsWith: ['password'],
  listMissing(config) {
    const which = isNamed(config) ? listMissingUser(config) : listUnset(config, 'application-credential-id');
    return [...which, ...listUnset(config, 'application-credential-secret')];
  },
  identify,
  savableSecret: {
    option: `${PAIR}-secret`,
    identify,
    describe: (config) => `the secret of ${describe(config)}`,
  },
  async prepareRequest(config) {
    const subject = describe(config);
    // Keystone answers 404 to an unknown id, but 401 to an unknown name.
    const unknown = isNamed(config) ? 'there is none of that name, ' : '';
    const content = {
      ...(readReference(config, PAIR) ?? {}),
      secret: config.secret(`${PAIR}-secret`) ?? '',
      ...(isNamed(config) ? { user: readUser(config) } : {}),
    };
    return {
      // Keystone answers 401 to any scope beside an application credential: its project is its scope.
      ...buildTokensRequest([{ method: 'application_credential', content }], undefined),
      expected: {
        ...(isNamed(config) ? readExpectedUser(config) : {}),
        applicationCredential: readReference(config, PAIR),
      },
      subject,
      statusExplanations: {
        401: {
          code: 'auth-rejected',
          message: `Keystone refused ${subject}: ${unknown}its secret is wrong, it has expired, or its user is disabled`,
          hint: 'check OS_APPLICATION_CREDENTIAL_SECRET, or create a new one ("openstack application credential create")',
        },
        404: {
          code: 'credential-unknown',
          message: `Keystone knows no ${subject}`,
          hint: 'check its id or name, or create a new one ("openstack application credential create")',
        },
      },
    };
  },
};
