/**
 * Reads clouds.yaml, secure.yaml and clouds-public.yaml as openstacksdk does: one cloud makes up to three layers, for
 * its region, for the cloud and for the profile of its provider.
 */
import { ConfigError } from '../../shared/base/errors.ts';
import type { FileStamp } from '../../shared/base/file-stamp.ts';
import type { Host } from '../../shared/base/host.ts';
import { suggestCloudFolder, findCloudFile } from './cloud-files.ts';
import type { CloudFile, CloudFileName } from './cloud-files.ts';
import { describeChoices, findSelector, inheritConsentHint, makeCloudLayer } from './cloud-entry.ts';
import type { CloudEntry } from './cloud-entry.ts';
import { mergeLayers } from '../../shared/options/layer.ts';
import type { Setting } from '../../shared/options/layer.ts';
import type { Layer, Option, OptionName } from './option.ts';
import { mappingAt } from './yaml-mapping.ts';
import { unifyKeys } from '../../shared/options/unify-keys.ts';
import { isBelowAuth } from './option.ts';
import { chooseRegion } from './region.ts';

/** The settings of the selected cloud. */
export interface CloudSettings {
  /** Strongest first; empty when no cloud is selected. */
  readonly layers: readonly Layer[];
  /** Every file that the result depends on, including files that do not exist. */
  readonly files: readonly FileStamp[];
  readonly warnings: readonly string[];
}

const NOTHING: CloudSettings = { layers: [], files: [], warnings: [] };

function findSetting(layers: readonly Layer[], name: OptionName): Setting | undefined {
  return layers.map((layer) => layer.get(name)).find((setting) => setting !== undefined);
}

/** Whether flags or variables set a login; then only a named cloud is used. */
function hasLoginSettings(layers: readonly Layer[], options: readonly Option[]): boolean {
  const loginOptions = options.filter((option) => isBelowAuth(option) || option.name === 'auth-type');
  return loginOptions.some(({ name }) => layers.some((layer) => layer.has(name)));
}

/** The key of the list in each file. */
const LIST_KEYS: Readonly<Record<CloudFileName, string>> = {
  clouds: 'clouds',
  secure: 'clouds',
  'clouds-public': 'public-clouds',
};

/** How a user confirms trust in a file of the current folder. */
const CONSENT_HINTS: Readonly<Record<CloudFileName, (path: string) => string>> = {
  clouds: (path) => `set OS_CLIENT_CONFIG_FILE to ${path} if you trust that file`,
  secure: (path) => `set OS_CLIENT_SECURE_FILE to ${path} if you trust that file`,
  'clouds-public': (path) => `move ${path} to your own folder of OpenStack settings if you trust that file`,
};

/** One of the files and its list. */
interface Listing {
  readonly name: CloudFileName;
  readonly file: CloudFile;
  readonly names: readonly string[];
  entry(name: string, kind: string): CloudEntry | undefined;
}

function makeListing(name: CloudFileName, file: CloudFile | undefined): Listing | undefined {
  if (file === undefined) return undefined;
  const { path, content, isInCurrentFolder } = file;
  const list = mappingAt(content, LIST_KEYS[name], path);
  const consentHint = isInCurrentFolder ? CONSENT_HINTS[name](path) : undefined;
  return {
    name,
    file,
    names: [...list.keys()],
    entry(cloud, kind) {
      if (!list.has(cloud)) return undefined;
      const location = `${kind} ${cloud} in ${path}`;
      const mapping = unifyKeys(mappingAt(list, cloud, path), location);
      return { mapping, location, consentHint };
    },
  };
}

function listWarnings({ name, file }: Listing): string[] {
  const { path, isInCurrentFolder, isReadableByOthers } = file;
  return [
    ...(isInCurrentFolder ? [`the settings come from ${path} in the current folder`] : []),
    ...(name === 'secure' && isReadableByOthers
      ? [`other users can read ${path}; remove their permission (chmod go-r)`]
      : []),
  ];
}

const listNames = (listings: readonly Listing[]): string[] => [...new Set(listings.flatMap(({ names }) => names))];

/** Chooses the cloud that is named, or the only one. */
function chooseCloud(selection: Setting | undefined, listings: readonly Listing[], host: Host): string | undefined {
  const names = listNames(listings);
  if (selection === undefined) return names.length === 1 ? names[0] : undefined;
  const name = String(selection.value);
  if (names.includes(name)) return name;
  const files = listings.map(({ file }) => file.path);
  if (files.length === 0) {
    throw new ConfigError(`${selection.origin} names cloud "${name}", but there is no clouds.yaml`, {
      hint: `put one into ${suggestCloudFolder(host)}, or set OS_CLIENT_CONFIG_FILE`,
    });
  }
  throw new ConfigError(`${selection.origin} names cloud "${name}", which is not in ${files.join(' or ')}`, {
    hint: `set it to ${describeChoices(names)}`,
  });
}

async function readProfile(
  entries: readonly CloudEntry[],
  host: Host,
): Promise<{ listing: Listing; entry: CloudEntry; stamps: readonly FileStamp[] } | undefined> {
  const selector = findSelector(entries, 'profile', 'cloud');
  if (selector === undefined) return undefined;
  const { file, stamps } = await findCloudFile('clouds-public', undefined, host);
  const listing = makeListing('clouds-public', file);
  if (listing === undefined) {
    throw new ConfigError(`${selector.origin} names profile "${selector.text}", but there is no clouds-public.yaml`, {
      hint: `put one into ${suggestCloudFolder(host)}, or copy the settings of the profile into the cloud`,
    });
  }
  const entry = listing.entry(selector.text, 'profile');
  if (entry === undefined) {
    throw new ConfigError(`${selector.origin} names profile "${selector.text}", which is not in ${listing.file.path}`, {
      hint: `set it to ${describeChoices(listing.names)}`,
    });
  }
  return { listing, entry: inheritConsentHint(selector, entry), stamps };
}

async function findListings(
  host: Host,
  commandLayers: readonly Layer[],
): Promise<{ listings: readonly Listing[]; files: readonly FileStamp[] }> {
  const secure = await findCloudFile('secure', findSetting(commandLayers, 'client-secure-file'), host);
  const clouds = await findCloudFile('clouds', findSetting(commandLayers, 'client-config-file'), host);
  // secure.yaml takes precedence.
  const listings = [makeListing('secure', secure.file), makeListing('clouds', clouds.file)];
  return { listings: listings.flatMap((listing) => listing ?? []), files: [...secure.stamps, ...clouds.stamps] };
}

/**
 * Lists the names of the clouds to choose from.
 *
 * @param commandLayers flags and variables, strongest first
 * @throws ConfigError when a file cannot be read or parsed
 */
export async function listCloudNames(host: Host, commandLayers: readonly Layer[]): Promise<readonly string[]> {
  const { listings } = await findListings(host, commandLayers);
  return listNames(listings);
}

/**
 * Reads the settings of the cloud that is named or, without other login settings, of the only cloud.
 *
 * @param commandLayers flags and variables, strongest first
 * @throws ConfigError when a file cannot be read or parsed, or does not contain the cloud, its profile or its region
 */
export async function readCloudSettings(
  host: Host,
  commandLayers: readonly Layer[],
  options: readonly Option[],
): Promise<CloudSettings> {
  const selection = findSetting(commandLayers, 'os-cloud');
  if (selection === undefined && hasLoginSettings(commandLayers, options)) return NOTHING;
  const { listings, files } = await findListings(host, commandLayers);
  const cloud = chooseCloud(selection, listings, host);
  if (cloud === undefined) return { ...NOTHING, files };

  const usedListings = listings.filter(({ names }) => names.includes(cloud));
  const cloudEntries = usedListings.flatMap((listing) => listing.entry(cloud, 'cloud') ?? []);
  const profile = await readProfile(cloudEntries, host);
  const profileEntries = profile === undefined ? [] : [profile.entry];
  const region = chooseRegion(
    [...cloudEntries, ...profileEntries],
    findSetting(commandLayers, 'region-name'),
    findSelector(cloudEntries, 'region_name'),
  );
  const makeLayer = (entry: CloudEntry): Layer => makeCloudLayer(entry, options, region.selector);
  return {
    layers: [
      ...region.entries.map(makeLayer),
      mergeLayers(cloudEntries.map(makeLayer), options),
      ...profileEntries.map(makeLayer),
    ],
    files: [...files, ...(profile?.stamps ?? [])],
    warnings: [...usedListings, ...(profile === undefined ? [] : [profile.listing])].flatMap(listWarnings),
  };
}
