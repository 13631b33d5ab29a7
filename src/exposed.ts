const LOOPBACK = /^(localhost|127(\.\d{1,3}){3}|\[::1\])$/;

/** Whether what is sent to a URL crosses the network unencrypted. */
export function isExposed(url: URL): boolean {
  return url.protocol === 'http:' && !LOOPBACK.test(url.hostname);
}
