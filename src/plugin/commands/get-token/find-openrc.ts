import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import type { Host } from '../../../shared/base/host.ts';

/** The names that dashboards and manuals give to such files: `openrc`, `demo-openrc.sh`, `admin.openrc`. */
const NAME = /^(?:[\w.-]*[-_.])?openrc(?:\.sh)?$/i;

const MAX_FILES = 5;

function listNames(folder: string): readonly string[] {
  try {
    return readdirSync(folder, { withFileTypes: true }).flatMap((entry) =>
      entry.isFile() && NAME.test(entry.name) ? [entry.name] : [],
    );
  } catch {
    return [];
  }
}

/** Lists openrc files where a person has them, without reading them: as a shell would name them. */
export function findOpenrcFiles(host: Host): readonly string[] {
  const home = host.home();
  const inFolder = listNames(host.cwd).map((name) => `./${name}`);
  if (home === undefined) return inFolder.slice(0, MAX_FILES);
  const folders = [home, join(home, 'Downloads'), join(home, '.config', 'openstack')];
  const elsewhere = folders
    .filter((folder) => folder !== host.cwd)
    .flatMap((folder) => listNames(folder).map((name) => join(folder, name)));
  return [...inFolder, ...elsewhere].slice(0, MAX_FILES);
}
