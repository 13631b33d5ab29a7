// One case of `npm run differential`: an environment, a command line and files, and how to write them into a folder.

import { mkdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

/** Settings that both programs know, by their names in clouds.yaml. */
export type Settings = Readonly<Record<string, unknown>>;

/** A value of a case can name files below its folder: this text stands for the folder. */
export const FOLDER = '@FOLDER@';

/** Where a file of settings is. */
export type FilePlace = 'xdg' | 'home' | 'site' | 'named' | 'current';

/** One case. All values can contain {@link FOLDER}. */
export interface Case {
  readonly env: Readonly<Record<string, string>>;
  /** By name without `--os-`, with dashes. */
  readonly flags: Readonly<Record<string, string>>;
  /** Each file that exists, and where it is. */
  readonly files: Partial<Readonly<Record<'clouds' | 'secure' | 'clouds-public', Settings>>>;
  readonly place: FilePlace;
  readonly hasXdgConfigHome: boolean;
}

/** A case in its folder. */
export interface WrittenCase {
  readonly env: Readonly<Record<string, string>>;
  readonly flags: Readonly<Record<string, string>>;
  readonly folder: string;
}

/** The files that a case can name, by their path below the folder. */
export interface Fixtures {
  readonly ca: string;
  readonly cert: string;
  readonly key: string;
}

/** Names of files below the folder of a case. */
export const CASE_FILES = {
  ca: `${FOLDER}/ca.pem`,
  otherCa: `${FOLDER}/other-ca.pem`,
  hashedFolder: `${FOLDER}/hashed`,
  missing: `${FOLDER}/missing.pem`,
  certAndKey: `${FOLDER}/client-and-key.pem`,
  key: `${FOLDER}/client-key.pem`,
} as const;

const PLACES: Readonly<Record<FilePlace, string>> = {
  xdg: 'xdg/openstack',
  home: 'home/.config/openstack',
  site: 'site/openstack',
  named: 'elsewhere',
  current: 'work',
};

const fill = (text: string, folder: string): string => text.replaceAll(FOLDER, folder);

const fillAll = (values: Readonly<Record<string, string>>, folder: string): Record<string, string> =>
  Object.fromEntries(Object.entries(values).map(([name, value]) => [name, fill(value, folder)]));

/** Prepares a folder for cases: the certificates that they name. */
export function prepareFolder(folder: string, { ca, cert, key }: Fixtures): void {
  mkdirSync(join(folder, 'hashed'), { recursive: true });
  writeFileSync(join(folder, 'ca.pem'), ca);
  writeFileSync(join(folder, 'other-ca.pem'), ca);
  writeFileSync(join(folder, 'client-key.pem'), key, { mode: 0o600 });
  writeFileSync(join(folder, 'client-and-key.pem'), `${cert}\n${key}`, { mode: 0o600 });
  symlinkSync('../ca.pem', join(folder, 'hashed', '0a1b2c3d.0'));
}

/** Writes the files of a case, instead of those of the case before. */
export function writeCase({ env, flags, files, place, hasXdgConfigHome }: Case, folder: string): WrittenCase {
  for (const name of ['xdg', 'home', 'site', 'elsewhere', 'work']) {
    rmSync(join(folder, name), { recursive: true, force: true });
  }
  mkdirSync(join(folder, 'home'));
  mkdirSync(join(folder, 'work'));
  const named: Record<string, string> = {};
  for (const [name, content] of Object.entries(files)) {
    const path = join(folder, PLACES[place], `${name}.yaml`);
    mkdirSync(dirname(path), { recursive: true });
    // JSON is YAML too.
    writeFileSync(path, fill(JSON.stringify(content, null, 2), folder), { mode: 0o600 });
    if (place !== 'named') continue;
    if (name === 'clouds') named['OS_CLIENT_CONFIG_FILE'] = path;
    if (name === 'secure') named['OS_CLIENT_SECURE_FILE'] = path;
  }
  return {
    env: {
      HOME: join(folder, 'home'),
      ...(hasXdgConfigHome || place === 'xdg' ? { XDG_CONFIG_HOME: join(folder, 'xdg') } : {}),
      ...(place === 'site' ? { XDG_CONFIG_DIRS: join(folder, 'site') } : {}),
      ...named,
      ...fillAll(env, folder),
    },
    flags: fillAll(flags, folder),
    folder: join(folder, 'work'),
  };
}
