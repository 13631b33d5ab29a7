import { Secret } from '../../shared/base/secret.ts';

/**
 * A stranger's secret on its way through the server. It shows itself as little as any, but `redact` does not know it: a
 * server would come to know ever more of them.
 */
export class UntrackedSecret extends Secret {
  readonly #passing: string;

  constructor(value: string) {
    super('');
    this.#passing = value;
  }

  override reveal(): string {
    return this.#passing;
  }
}
