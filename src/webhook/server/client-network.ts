/** Expands an IPv6 address (RFC 4291, section 2.2) to its first four groups. */
function findPrefix(address: string): string {
  const [before = '', after = ''] = address.split('::');
  const split = (part: string): readonly string[] => (part === '' ? [] : part.split(':'));
  const [head, tail] = [split(before), split(after)];
  // An IPv4 address at the end counts as two groups.
  const tailLength = tail.length + (tail.at(-1)?.includes('.') === true ? 1 : 0);
  const groups = address.includes('::')
    ? [...head, ...Array<string>(Math.max(0, 8 - head.length - tailLength)).fill('0'), ...tail]
    : head;
  return groups.slice(0, 4).join(':');
}

/**
 * What can be said about who is behind an address: the address of IPv4, and the /64 of IPv6, in which one machine can
 * have as many addresses as it likes.
 */
export function findNetwork(address: string | undefined): string {
  if (address === undefined) return '';
  const [, ipv4] = /^::ffff:([\d.]+)$/i.exec(address) ?? [];
  if (ipv4 !== undefined || !address.includes(':')) return ipv4 ?? address;
  return `${findPrefix(address)}::/64`;
}
