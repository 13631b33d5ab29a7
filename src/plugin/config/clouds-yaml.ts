/**
 * clouds.yaml, secure.yaml and clouds-public.yaml as openstacksdk has them: one named cloud makes up to three layers, its
 * region's, its own, and its provider's.
 */
import { ConfigError } from '../../shared/base/errors.ts';
import type { FileStamp } from '../../shared/base/file-stamp.ts';
import type { Host } from '../../shared/base/host.ts';
import { suggestCloudFolder, findCloudFile } from './cloud-files.ts';
import type { CloudFile, CloudFileName } from './cloud-files.ts';
import { findSelector, inheritConsentHint, makeCloudLayer } from './cloud-entry.ts';
import type { CloudEntry } from './cloud-entry.ts';
import { describeChoices } from './list-names.ts';
import { mergeLayers } from '../../shared/options/layer.ts';
import type { Setting } from '../../shared/options/layer.ts';
import type { Layer } from './option.ts';
import { mappingAt } from './yaml-mapping.ts';
import { unifyKeys } from '../../shared/options/yaml.ts';
import { isBelowAuth } from './option.ts';
import type { Option, OptionName } from './option.ts';
import { chooseRegion } from './region.ts';

/** What the files say of the cloud that is meant. */
export interface CloudSettings {
  /** Strongest first; none where no cloud is meant. */
  readonly layers: readonly Layer[];
  /** Every file that this depends on, those included that are not there. */
  readonly files: readonly FileStamp[];
  readonly warnings: readonly string[];
}

const NOTHING: CloudSettings = { layers: [], files: [], warnings: [] };

function firstOf(given: readonly Layer[], name: OptionName): Setting | undefined {
  return given.map((layer) => layer.get(name)).find((setting) => setting !== undefined);
}

/** Whether anything is said of where or as whom to log in; then a cloud is meant only if it is named. */
function isTold(given: readonly Layer[], options: readonly Option[]): boolean {
  const telling = options.filter((option) => isBelowAuth(option) || option.name === 'auth-type');
  return telling.some(({ name }) => given.some((layer) => layer.has(name)));
}

/** The files' own words for their list of clouds. */
const LISTS: Readonly<Record<CloudFileName, string>> = {
  clouds: 'clouds',
  secure: 'clouds',
  'clouds-public': 'public-clouds',
};

/** How a person says that a file in the current folder is theirs. */
const CONSENT: Readonly<Record<CloudFileName, (path: string) => string>> = {
  clouds: (path) => `set OS_CLIENT_CONFIG_FILE to ${path} if you trust that file`,
  secure: (path) => `set OS_CLIENT_SECURE_FILE to ${path} if you trust that file`,
  'clouds-public': (path) => `move ${path} to your own folder of OpenStack settings if you trust that file`,
};

/** One of the files, with what it lists. */
interface Listing {
  readonly name: CloudFileName;
  readonly file: CloudFile;
  readonly names: readonly string[];
  entry(name: string, kind: string): CloudEntry | undefined;
}

function makeListing(name: CloudFileName, file: CloudFile | undefined): Listing | undefined {
  if (file === undefined) return undefined;
  const { path, content, isInCurrentFolder } = file;
  const list = mappingAt(content, LISTS[name], path);
  const consentHint = isInCurrentFolder ? CONSENT[name](path) : undefined;
  return {
    name,
    file,
    names: [...list.keys()],
    entry(wanted, kind) {
      if (!list.has(wanted)) return undefined;
      const location = `${kind} ${wanted} in ${path}`;
      const mapping = unifyKeys(mappingAt(list, wanted, path), location);
      return { mapping, location, consentHint };
    },
  };
}

function warnOf({ name, file }: Listing): string[] {
  const { path, isInCurrentFolder, isReadableByOthers } = file;
  return [
    ...(isInCurrentFolder ? [`${path} in the current folder is used`] : []),
    ...(name === 'secure' && isReadableByOthers
      ? [`${path} can be read by others; take that right from them (chmod go-r)`]
      : []),
  ];
}

const namesIn = (listings: readonly Listing[]): string[] => [...new Set(listings.flatMap(({ names }) => names))];

/** The cloud that is named, else the only one there is. */
function chooseCloud(named: Setting | undefined, listings: readonly Listing[], host: Host): string | undefined {
  const known = namesIn(listings);
  if (named === undefined) return known.length === 1 ? known[0] : undefined;
  const name = String(named.value);
  if (known.includes(name)) return name;
  const files = listings.map(({ file }) => file.path);
  if (files.length === 0) {
    throw new ConfigError(`${named.origin} names cloud "${name}", but there is no clouds.yaml`, {
      hint: `put one into ${suggestCloudFolder(host)}, or set OS_CLIENT_CONFIG_FILE`,
    });
  }
  throw new ConfigError(`${named.origin} names cloud "${name}", which is not in ${files.join(' or ')}`, {
    hint: `set it to ${describeChoices(known)}`,
  });
}

async function readProfile(
  entries: readonly CloudEntry[],
  host: Host,
): Promise<{ listing: Listing; entry: CloudEntry; stamps: readonly FileStamp[] } | undefined> {
  const named = findSelector(entries, 'profile', 'cloud');
  if (named === undefined) return undefined;
  const { file, stamps } = await findCloudFile('clouds-public', undefined, host);
  const listing = makeListing('clouds-public', file);
  if (listing === undefined) {
    throw new ConfigError(`${named.origin} names profile "${named.text}", but there is no clouds-public.yaml`, {
      hint: `put one into ${suggestCloudFolder(host)}, or replace the profile by what it stands for`,
    });
  }
  const entry = listing.entry(named.text, 'profile');
  if (entry === undefined) {
    throw new ConfigError(`${named.origin} names profile "${named.text}", which is not in ${listing.file.path}`, {
      hint: `set it to ${describeChoices(listing.names)}`,
    });
  }
  return { listing, entry: inheritConsentHint(named, entry), stamps };
}

async function findListings(
  host: Host,
  given: readonly Layer[],
): Promise<{ listings: readonly Listing[]; files: readonly FileStamp[] }> {
  const secure = await findCloudFile('secure', firstOf(given, 'client-secure-file'), host);
  const clouds = await findCloudFile('clouds', firstOf(given, 'client-config-file'), host);
  // What is secret is laid over the rest.
  const listings = [makeListing('secure', secure.file), makeListing('clouds', clouds.file)];
  return { listings: listings.flatMap((listing) => listing ?? []), files: [...secure.stamps, ...clouds.stamps] };
}

/**
 * Names of the clouds that can be chosen.
 *
 * @param given flags and variables, strongest first
 * @throws ConfigError when a file cannot be used
 */
export async function listCloudNames(host: Host, given: readonly Layer[]): Promise<readonly string[]> {
  const { listings } = await findListings(host, given);
  return namesIn(listings);
}

/**
 * Reads the cloud that is meant, if any: the one that is named, or the only one there is where nothing else is said.
 *
 * @param given flags and variables, strongest first
 * @throws ConfigError when a file cannot be used, or does not know the cloud, its profile or its region
 */
export async function readCloudSettings(
  host: Host,
  given: readonly Layer[],
  options: readonly Option[],
): Promise<CloudSettings> {
  const named = firstOf(given, 'os-cloud');
  if (named === undefined && isTold(given, options)) return NOTHING;
  const { listings, files } = await findListings(host, given);
  const cloud = chooseCloud(named, listings, host);
  if (cloud === undefined) return { ...NOTHING, files };

  const used = listings.filter(({ names }) => names.includes(cloud));
  const own = used.flatMap((listing) => listing.entry(cloud, 'cloud') ?? []);
  const profile = await readProfile(own, host);
  const provider = profile === undefined ? [] : [profile.entry];
  const region = chooseRegion([...own, ...provider], firstOf(given, 'region-name'), findSelector(own, 'region_name'));
  const read = (entry: CloudEntry): Layer => makeCloudLayer(entry, options, region.selector);
  return {
    layers: [...region.entries.map(read), mergeLayers(own.map(read), options), ...provider.map(read)],
    files: [...files, ...(profile?.stamps ?? [])],
    warnings: [...used, ...(profile === undefined ? [] : [profile.listing])].flatMap(warnOf),
  };
}
