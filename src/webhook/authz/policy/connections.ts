/** Whether an entry covers a subresource in any namespace, or one of the whole cluster. */
export type SubresourceTest = (resource: string, subresource: string, isNamespaced: boolean) => boolean;

/**
 * Subresources that run a program, forward a port or reach another server. kubectl 1.30 and newer open them with a
 * WebSocket, whose request is a GET (Kubernetes enhancement 4006), and `nodes/proxy` runs programs through the kubelet.
 */
const CONNECTIONS: readonly (readonly [resource: string, subresource: string, isNamespaced: boolean])[] = [
  ['pods', 'exec', true],
  ['pods', 'attach', true],
  ['pods', 'portforward', true],
  ['pods', 'proxy', true],
  ['services', 'proxy', true],
  ['nodes', 'proxy', false],
];

/** Verbs that show that the author means more than reading. */
const CREATION_VERBS = ['create', '*'];

/**
 * Reports the connections that `get` opens.
 *
 * @param where the part of the entry, for the message
 */
export function reportConnections(
  where: string,
  verbs: ReadonlySet<string>,
  covers: SubresourceTest,
  report: (kind: 'odd', message: string) => void,
): void {
  if (!verbs.has('get') || CREATION_VERBS.some((verb) => verbs.has(verb))) return;
  const names = CONNECTIONS.filter((connection) => covers(...connection)).map(([resource, subresource]) =>
    [resource, subresource].join('/'),
  );
  if (names.length === 0) return;
  const list = names.join(', ');
  report('odd', `${where} with "get" allows ${list}: since Kubernetes 1.30 a GET opens them; list what it is for`);
}
