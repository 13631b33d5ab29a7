import type { ResolvedConfig } from '../config/resolve-config.ts';
import { readReference } from '../config/option-readers.ts';
import { listUnset } from '../config/resolve-config.ts';
import { buildTokensRequest } from '../../shared/keystone/auth-request.ts';
import type { StatusExplanation } from '../../shared/keystone/auth-request.ts';
import type { AuthMethod } from './auth-method.ts';
import { readExpectedUser, describeUser, identifyUser, listMissingUser, readUser, USER_OPTIONS } from './user.ts';

const PAIR = 'application-credential';

/** Whether the credential is set by name, which is unique only for one user. */
function isNamed(config: ResolvedConfig): boolean {
  return !config.has(`${PAIR}-id`) && config.has(`${PAIR}-name`);
}

function describe(config: ResolvedConfig): string {
  const name = config.text(`${PAIR}-name`) ?? '';
  const reference = isNamed(config) ? `"${name}" of ${describeUser(config)}` : (config.text(`${PAIR}-id`) ?? '');
  return `application credential ${reference}`;
}

function identify(config: ResolvedConfig): (string | undefined)[] {
  if (!isNamed(config)) return ['application credential ID', config.text(`${PAIR}-id`)];
  return ['application credential name', config.text(`${PAIR}-name`), ...identifyUser(config)];
}

/** Keystone API v3, "Application credentials". */
export const applicationCredential: AuthMethod = {
  name: 'v3applicationcredential',
  aliases: [],
  use: 'Program',
  summary: 'an application credential, for programs',
  options: [
    {
      name: 'application-credential-id',
      cacheKey: 'identity',
      group: 'Application credential',
      pair: PAIR,
      env: ['OS_APPLICATION_CREDENTIAL_ID'],
      help: 'application credential, by ID',
      prompt: 'Application credential ID',
    },
    {
      name: 'application-credential-name',
      cacheKey: 'identity',
      group: 'Application credential',
      pair: PAIR,
      env: ['OS_APPLICATION_CREDENTIAL_NAME'],
      help: 'application credential, by name; requires its user',
    },
    {
      name: 'application-credential-secret',
      cacheKey: 'proof',
      group: 'Application credential',
      env: ['OS_APPLICATION_CREDENTIAL_SECRET'],
      help: 'secret of the application credential',
      secret: true,
      prompt: 'Application credential secret',
    },
    ...USER_OPTIONS,
  ],
  impliedBy: ['application-credential-secret', 'application-credential-id', 'application-credential-name'],
  conflictsWith: ['password'],
  listMissing(config) {
    const missing = isNamed(config) ? listMissingUser(config) : listUnset(config, `${PAIR}-id`);
    return [...missing, ...listUnset(config, `${PAIR}-secret`)];
  },
  identify,
  savableSecret: {
    option: `${PAIR}-secret`,
    identify,
    describe: (config) => `the secret of ${describe(config)}`,
  },
  async prepareRequest(config) {
    const subject = describe(config);
    // Keystone answers 404 to an unknown ID, but 401 to an unknown name.
    const causeUnknown = isNamed(config) ? 'it does not exist, ' : '';
    const refused: StatusExplanation = {
      code: 'auth-rejected',
      message:
        `Keystone refused ${subject}: ${causeUnknown}its secret is wrong, ` + 'it has expired, or its user is disabled',
      hint:
        'check OS_APPLICATION_CREDENTIAL_SECRET, ' + 'or create a new one ("openstack application credential create")',
    };
    const content = {
      ...(readReference(config, PAIR) ?? {}),
      secret: config.secret(`${PAIR}-secret`) ?? '',
      ...(isNamed(config) ? { user: readUser(config) } : {}),
    };
    return {
      // Keystone answers 401 to a request with a scope, because the credential's project is the scope.
      ...buildTokensRequest([{ method: 'application_credential', content }], undefined),
      expected: {
        ...(isNamed(config) ? readExpectedUser(config) : {}),
        applicationCredential: readReference(config, PAIR),
      },
      subject,
      statusExplanations: {
        401: ({ isFromRustKeystone }) =>
          isFromRustKeystone
            ? {
                ...refused,
                message: `Keystone refused ${subject}: Rust Keystone has no logins with application credentials`,
                hint: 'log in with a password, v4jwt, v4k8s or v4federation',
              }
            : refused,
        404: {
          code: 'credential-unknown',
          message: `Keystone has no ${subject}`,
          hint: 'check its ID or name, or create a new one ("openstack application credential create")',
        },
      },
    };
  },
};
