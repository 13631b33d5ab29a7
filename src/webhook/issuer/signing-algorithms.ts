/** The algorithms of signatures that the issuer supports (RFC 7518, section 3.1); the first is the default. */
export const SIGNING_ALGORITHMS = ['ES256', 'RS256'] as const;

export type SigningAlgorithm = (typeof SIGNING_ALGORITHMS)[number];
