/** Whose secret a prompt asks for. */
import { readReference } from '../config/option-readers.ts';
import type { OptionName } from '../config/option.ts';
import type { ResolvedConfig } from '../config/resolve-config.ts';
import { describeReference } from '../../shared/keystone/scope.ts';
import { describeUser } from './user.ts';

type DescribeOwner = (config: ResolvedConfig) => string | undefined;

const describeKnownUser: DescribeOwner = (config) =>
  readReference(config, 'user') === undefined ? undefined : describeUser(config);

const describeCredential: DescribeOwner = (config) => {
  const credential = readReference(config, 'application-credential');
  return credential === undefined ? undefined : describeReference(credential);
};

const OWNERS: Readonly<Partial<Record<OptionName, DescribeOwner>>> = {
  password: describeKnownUser,
  passcode: describeKnownUser,
  'application-credential-secret': describeCredential,
  'client-secret': (config) => config.text('client-id'),
  'oauth2-client-secret': (config) => config.text('oauth2-client-id'),
};

/** Describes whose secret an option is, for a prompt: "alice (domain Default)"; undefined if that is not known. */
export function describeOwner(name: OptionName, config: ResolvedConfig): string | undefined {
  return OWNERS[name]?.(config);
}
