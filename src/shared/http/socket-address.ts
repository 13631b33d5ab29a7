/** Where a socket connects to for a URL. */

/** Returns the host of a URL as a socket takes it: an IPv6 address without brackets. */
export const getSocketHost = (url: URL): string => url.hostname.replace(/^\[|\]$/g, '');

/** Returns the port of an http or https URL. */
export const getPort = (url: URL): number => Number(url.port || (url.protocol === 'https:' ? 443 : 80));
