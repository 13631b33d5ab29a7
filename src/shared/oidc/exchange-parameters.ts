/** Values of the parameters of a token exchange (RFC 8693, sections 2.1 and 3). */

/** `grant_type`. */
export const EXCHANGE_GRANT = 'urn:ietf:params:oauth:grant-type:token-exchange';

/** The type of the token that is returned. */
export const ID_TOKEN_TYPE = 'urn:ietf:params:oauth:token-type:id_token';

/** The type of a Keystone token. It is of this project, because no standard has one. */
export const KEYSTONE_TOKEN_TYPE = 'urn:openstack:params:oauth:token-type:keystone';
