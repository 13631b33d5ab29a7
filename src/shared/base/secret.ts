const REDACTED = '[redacted]';

/** Values short enough to occur in ordinary words would make redaction garble every message. */
const MIN_TRACKED_LENGTH = 4;

const known = new Set<string>();

/** A value that never shows itself: printing, inspecting, joining or serialising it gives `[redacted]`. */
export class Secret {
  readonly #value: string;

  constructor(value: string) {
    this.#value = value;
    if (value.length >= MIN_TRACKED_LENGTH) known.add(value);
  }

  /** Gives the value itself; call it only where it leaves for Keystone, the cache or stdout. */
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

/** Replaces every secret this process has met in `text`: the last defence for text that came from a library or a server. */
export function redact(text: string): string {
  let clean = text;
  // Longest first, so that a secret that is part of another leaves no remainder.
  for (const value of [...known].sort((a, b) => b.length - a.length)) clean = clean.replaceAll(value, REDACTED);
  return clean;
}

/** Printable ASCII without spaces: anything else would break an HTTP header, or start another one. */
const HEADER_TOKEN = /^[\x21-\x7e]{1,16384}$/;

/** Parses any server's token; undefined if no HTTP header can carry it. */
export function parseHeaderToken(text: string | undefined): Secret | undefined {
  return text !== undefined && HEADER_TOKEN.test(text) ? new Secret(text) : undefined;
}
