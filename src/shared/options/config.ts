import { Secret } from '../base/secret.ts';
import type { Layer, Setting } from './layer.ts';

/** One value for each option that is set. `Name` is the union of the options that the reader may ask for. */
export interface Config<in Name extends string> {
  /** The value of an option that is not secret. */
  readonly text: (name: Name) => string | undefined;
  /** The value of a secret option. */
  readonly secret: (name: Name) => Secret | undefined;
  /** Whether a switch is on. */
  readonly isOn: (name: Name) => boolean;
  readonly has: (name: Name) => boolean;
  /** Where the value comes from, as text for messages; the option's name if it is not set. */
  readonly origin: (name: Name) => string;
  /** The value together with its origin. */
  readonly setting: (name: Name) => Setting | undefined;
}

/** Makes a config of the settings that take effect. */
export function makeConfig<Name extends string>(settings: Layer<Name>): Config<Name> {
  const value = (name: Name): string | Secret | undefined => settings.get(name)?.value;
  return {
    text(name) {
      const text = value(name);
      return typeof text === 'string' ? text : undefined;
    },
    secret(name) {
      const secret = value(name);
      return secret instanceof Secret ? secret : undefined;
    },
    isOn: (name) => value(name) === 'true',
    has: (name) => settings.has(name),
    origin: (name) => settings.get(name)?.origin ?? name,
    setting: (name) => settings.get(name),
  };
}
