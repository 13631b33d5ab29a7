/** How long a client may take, in ms. The limits are the same for HTTP/1.1 and for HTTP/2. */

/** For a TLS handshake. */
export const HANDSHAKE_MS = 10_000;

/** Until the headers of the first request are complete; kube-apiserver sends its requests without delay. */
export const HEADERS_MS = 10_000;

/** Until a request is complete, and until its answer is read. */
export const REQUEST_MS = 15_000;

/**
 * How long a connection stays open without a request. Longer than the 90 s of kube-apiserver, so that the server never
 * closes a connection that a request is about to use.
 */
export const KEEP_ALIVE_MS = 120_000;

/** How often the limits are checked. */
export const CONNECTION_CHECK_MS = 1_000;
