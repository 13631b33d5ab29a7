/** The unions of option names equal what the registries declare, and a misspelled name does not compile. */
import t from 'tap';
import { makeConfig } from '../../src/shared/options/config.ts';
import { OPTION_NAMES } from '../../src/plugin/config/option-names.ts';
import type { Option, OptionName } from '../../src/plugin/config/option.ts';
import { OPTIONS } from '../../src/plugin/auth-methods/registry.ts';
import { COMMAND_OPTION_NAMES } from '../../src/plugin/commands/command-option.ts';
import type { CommandOptionName } from '../../src/plugin/commands/command-option.ts';
import { COMMANDS } from '../../src/plugin/commands/registry.ts';
import type { WebhookOptionName } from '../../src/webhook/cli/options.ts';

const namesOf = (options: readonly { readonly name: string }[]): string[] =>
  [...new Set(options.map(({ name }) => name))].toSorted();

void t.test('every declared name has an option', async (t) => {
  t.same(OPTION_NAMES.toSorted(), namesOf(OPTIONS));
  t.same(COMMAND_OPTION_NAMES.toSorted(), namesOf(COMMANDS.flatMap(({ options }) => options)));
});

void t.test('a misspelled name does not compile', async (t) => {
  const login = makeConfig<OptionName>(new Map([['user-name', { value: 'alice', origin: 'OS_USERNAME' }]]));
  t.equal(login.text('user-name'), 'alice');
  // @ts-expect-error: an option of a login
  t.equal(login.text('user-nmae'), undefined);
  const pair = 'user-domain'.slice(0, 4);
  // @ts-expect-error: a template that can be any text
  t.ok(login.has(`${pair}-name`));
  // @ts-expect-error: an option of a command is not one of a login
  t.notOk(login.isOn('dry-run'));
  const own = makeConfig<CommandOptionName>(new Map());
  // @ts-expect-error: an option of a command
  t.notOk(own.isOn('dryrun'));
  const webhook = makeConfig<WebhookOptionName>(new Map());
  // @ts-expect-error: an option of the webhook
  t.notOk(webhook.has('keystone-ur'));
  // @ts-expect-error: the name of a declared option
  const option: Option = { name: 'user-nmae', cacheKey: 'identity', group: 'User', help: 'user, by name' };
  t.ok(option);
});
