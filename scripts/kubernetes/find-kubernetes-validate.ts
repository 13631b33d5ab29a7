// Finds kubernetes-validate, which has the schemas of many versions of Kubernetes.

import { findPythonPackages } from '../lib/python-packages.ts';
import type { PythonPackages } from '../lib/python-packages.ts';

/** The newest, so the newest schemas. */
const VERSION = '1.37.0';

/** The versions of Kubernetes whose schemas the chart is checked with. */
export const CHECKED_VERSIONS = ['1.29', '1.30', '1.31', '1.32', '1.33', '1.34', '1.35', '1.36', '1.37'];

/** Finds it, and installs it the first time. */
export function findKubernetesValidate(): Promise<PythonPackages> {
  return findPythonPackages(`kubernetes-validate-${VERSION}`, [`kubernetes-validate==${VERSION}`]);
}
