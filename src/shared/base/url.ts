const LOOPBACK = /^(localhost|127(\.\d{1,3}){3}|\[::1\])$/;

/** Whether a URL leads to this machine, unencrypted, and to nothing else. */
export function isPlaintextLoopback({ protocol, hostname }: URL): boolean {
  return protocol === 'http:' && LOOPBACK.test(hostname);
}

/** Whether what is sent to a URL crosses the network unencrypted. */
export function isPlaintextRemote(url: URL): boolean {
  return url.protocol === 'http:' && !isPlaintextLoopback(url);
}
