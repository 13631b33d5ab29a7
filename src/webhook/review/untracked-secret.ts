import { Secret } from '../../shared/base/secret.ts';

/**
 * A secret of a client, such as the token of a review. It is as hard to print as any secret, but `redact` does not
 * remember it: a server would otherwise collect ever more of them.
 */
export class UntrackedSecret extends Secret {
  readonly #value: string;

  constructor(value: string) {
    super('');
    this.#value = value;
  }

  override reveal(): string {
    return this.#value;
  }
}
