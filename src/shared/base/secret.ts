const REDACTED = '[redacted]';

/** Shorter values occur in ordinary words: redacting them would garble every message. */
const MIN_TRACKED_LENGTH = 4;

const trackedValues = new Set<string>();

/** A secret value. Printing, inspecting, joining or serializing it gives `[redacted]`. */
export class Secret {
  readonly #value: string;

  constructor(value: string) {
    this.#value = value;
    if (value.length >= MIN_TRACKED_LENGTH) trackedValues.add(value);
  }

  /** Returns the value. Call it only where the value goes to Keystone, the cache or stdout. */
  reveal(): string {
    return this.#value;
  }

  toString(): string {
    return REDACTED;
  }

  toJSON(): string {
    return REDACTED;
  }

  [Symbol.for('nodejs.util.inspect.custom')](): string {
    return REDACTED;
  }
}

/** Forgets the values of all secrets, which are then no longer redacted: for test files that share a process. */
export function forgetSecrets(): void {
  trackedValues.clear();
}

/** Replaces every secret of this process in `text`: the last defense for text from a library or a server. */
export function redact(text: string): string {
  let clean = text;
  // Longest first, so that a secret inside another one leaves no remainder.
  for (const value of [...trackedValues].sort((a, b) => b.length - a.length)) clean = clean.replaceAll(value, REDACTED);
  return clean;
}

/** Printable ASCII without spaces: anything else would break an HTTP header, or start another one. */
const HEADER_TOKEN = /^[\x21-\x7e]{1,16384}$/;

/** Parses any server's token; undefined if no HTTP header can carry it. */
export function parseHeaderToken(text: string | undefined): Secret | undefined {
  return text !== undefined && HEADER_TOKEN.test(text) ? new Secret(text) : undefined;
}
