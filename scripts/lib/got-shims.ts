/**
 * Bundled with got in the place of globals of Node's: reading those takes a tenth of a login's time each, for what no
 * request of ours uses.
 */

/** Of FormData, Headers and ReadableStream, whose first mention loads all of Node's fetch: nothing is one of these. */
export const Never = { [Symbol.hasInstance]: (): boolean => false };

/** Of Intl.ListFormat, which reads the whole list of locales: got makes two when it is loaded, for messages of its own. */
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
