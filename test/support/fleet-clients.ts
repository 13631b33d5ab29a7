/** The packages of PyPI that the examples for fleets use. */
import { findPythonPackages } from '../../scripts/lib/python-packages.ts';
import type { PythonPackages } from '../../scripts/lib/python-packages.ts';

/** Finds the Python that has them. */
export function findFleetClients(): Promise<PythonPackages> {
  return findPythonPackages('fleet-clients-37.0.2-2.19', ['kubernetes==37.0.2', 'ansible-core~=2.19.0']);
}
