/**
 * Replaces Node globals in the bundle of got. Loading each of these globals takes a tenth of a login, and the plugin
 * uses none of them.
 */

/** Replaces FormData, Headers and ReadableStream, which load all of Node's fetch. No value is an instance of it. */
export const Never = { [Symbol.hasInstance]: (): boolean => false };

/**
 * Replaces Intl.ListFormat, which reads all locales. got creates two when it is loaded; this one waits until it is
 * used.
 */
export class LateListFormat {
  readonly #options: ConstructorParameters<typeof Intl.ListFormat>;

  constructor(...options: ConstructorParameters<typeof Intl.ListFormat>) {
    this.#options = options;
  }

  format(list: Iterable<string>): string {
    const { ListFormat } = Intl;
    return new ListFormat(...this.#options).format(list);
  }
}
