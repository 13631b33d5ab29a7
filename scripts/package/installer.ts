/** The script for `curl … | sh`: packaging/install.sh, which is told here where a release is. */
import type { Release } from './product.ts';

const UNSET = "default_url=''";

/** @throws where the script has no place for the URL */
export function renderInstaller(script: string, { baseUrl }: Release): string {
  if (script.split(UNSET).length !== 2) throw new Error(`packaging/install.sh must hold ${UNSET} once`);
  return script.replace(UNSET, `default_url='${baseUrl}'`);
}
