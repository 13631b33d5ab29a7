/** The versions of kube-apiserver that the tests use. */

/** A version, and what it is built from. */
export interface KubernetesVersion {
  readonly version: string;
  /** Debian's source package, or modules that the Go module proxy serves. */
  readonly source: 'debian' | 'modules';
}

/** The newest minor version first, and the oldest that the webhook supports last. */
export const KUBERNETES_VERSIONS: readonly KubernetesVersion[] = [
  { version: '1.36.3', source: 'modules' },
  // The version in Debian 12.
  { version: '1.20.2', source: 'debian' },
];

/** Returns the number of a minor version, such as 36 for 1.36.3 or v1.36.3. */
export function readMinor(version: string): number {
  return Number(/^v?1\.(\d+)/.exec(version)?.[1]);
}
