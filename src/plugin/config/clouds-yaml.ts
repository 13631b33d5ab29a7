/**
 * Reads clouds.yaml, secure.yaml and clouds-public.yaml as openstacksdk does: one cloud makes up to three layers, for
 * its region, for the cloud and for the profile of its provider.
 */
import { ConfigError } from '../../shared/base/errors.ts';
import type { FileStamp } from '../../shared/base/file-stamp.ts';
import type { Host } from '../../shared/base/host.ts';
import { suggestCloudFolder, findCloudFile } from './cloud-files.ts';
import type { CloudFile, CloudFileName } from './cloud-files.ts';
import { findSelector, inheritConsentHint, makeCloudLayer, suggestChoice } from './cloud-entry.ts';
import type { CloudEntry, Selector } from './cloud-entry.ts';
import { findSetting, mergeLayers } from '../../shared/options/layer.ts';
import type { Setting } from '../../shared/options/layer.ts';
import type { Layer, Option } from './option.ts';
import { mappingAt } from './yaml-mapping.ts';
import { unifyKeys } from '../../shared/options/unify-keys.ts';
import { isBelowAuth } from './option.ts';
import { rejectAllExchangeKeys } from './exchange-keys.ts';
import { findProviderProfile } from './provider-profiles.ts';
import { chooseRegion } from './region.ts';

/** The settings of the selected cloud. */
export interface CloudSettings {
  /** The name of the cloud; undefined when none is selected. */
  readonly cloud: string | undefined;
  /** Strongest first; empty when no cloud is selected. */
  readonly layers: readonly Layer[];
  /** Every file that the result depends on, including files that do not exist. */
  readonly files: readonly FileStamp[];
  readonly warnings: readonly string[];
}

const NOTHING: CloudSettings = { cloud: undefined, layers: [], files: [], warnings: [] };

/**
 * Whether only a named cloud is used: variables set a login, as in openstacksdk, or a flag names another Keystone, to
 * which nothing of a cloud may go by accident.
 */
function needsNoCloud({ flags, variables }: GivenLayers, options: readonly Option[]): boolean {
  const loginOptions = options.filter((option) => isBelowAuth(option) || option.name === 'auth-type');
  return flags.has('keystone-url') || loginOptions.some(({ name }) => variables.has(name));
}

/** What the command line and the environment set. */
export interface GivenLayers {
  readonly flags: Layer;
  readonly variables: Layer;
}

const inOrder = ({ flags, variables }: GivenLayers): readonly Layer[] => [flags, variables];

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
  rejectAllExchangeKeys(unifyKeys(content, path), path);
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

/** The name by which openstacksdk calls the settings in variables. */
const CLOUD_OF_VARIABLES = 'envvars';

/** Chooses the cloud that is named, or the only one. */
function chooseCloud(selection: Setting | undefined, listings: readonly Listing[], host: Host): string | undefined {
  const names = listNames(listings);
  if (selection === undefined) return names.length === 1 ? names[0] : undefined;
  const name = String(selection.value);
  if (names.includes(name)) return name;
  if (name === CLOUD_OF_VARIABLES) return undefined;
  const files = listings.map(({ file }) => file.path);
  if (files.length === 0) {
    throw new ConfigError(`${selection.origin} names cloud "${name}", but there is no clouds.yaml`, {
      hint: `put one into ${suggestCloudFolder(host)}, or set OS_CLIENT_CONFIG_FILE`,
    });
  }
  throw new ConfigError(`${selection.origin} names cloud "${name}", which is not in ${files.join(' or ')}`, {
    hint: suggestChoice(name, names),
  });
}

/**
 * Names settings below `auth` that beat a setting next to `auth` in a weaker entry: openstacksdk would use what is next
 * to it, wherever that is.
 */
function warnOfOtherOrder(layers: readonly Layer[]): string[] {
  return layers.flatMap((layer, index) =>
    [...layer].flatMap(([name, { origin }]) => {
      const isSetBefore = layers.slice(0, index).some((stronger) => stronger.has(name));
      const other = layers.slice(index + 1).map((weaker) => weaker.get(name));
      const preferred = other.find((setting) => setting?.origin.startsWith('auth.') === false);
      if (isSetBefore || !origin.startsWith('auth.') || preferred === undefined) return [];
      return [`${origin} is used instead of ${preferred.origin}, which openstack would use`];
    }),
  );
}

/** A profile of a cloud, and what it depends on. */
interface Profile {
  readonly entries: readonly CloudEntry[];
  readonly listings: readonly Listing[];
  readonly stamps: readonly FileStamp[];
  readonly warnings: readonly string[];
}

const NO_PROFILE: Profile = { entries: [], listings: [], stamps: [], warnings: [] };

/** Finds a profile in the table of the plugin. */
function findBuiltInProfile(selector: Selector): Pick<Profile, 'entries' | 'warnings'> {
  const { text, origin } = selector;
  const profile = findProviderProfile(text);
  if (profile === undefined) {
    const warning = `${origin} names profile "${text}", which the plugin does not know; it is not used`;
    return { entries: [], warnings: [warning] };
  }
  if ('unusable' in profile) {
    throw new ConfigError(`${origin} names profile "${text}", which cannot be used: ${profile.unusable}`, {
      hint: `copy auth_url and the other settings of the provider into the cloud, and remove ${origin}`,
    });
  }
  const entry = { mapping: profile.mapping, location: `profile ${text}`, consentHint: undefined };
  const warnings = profile.warning === undefined ? [] : [`profile ${text}: ${profile.warning}`];
  return { entries: [inheritConsentHint(selector, entry)], warnings };
}

/** Reads the profile of a cloud: from clouds-public.yaml, or else from the table of the plugin. */
async function readProfile(entries: readonly CloudEntry[], host: Host): Promise<Profile> {
  const selector = findSelector(entries, 'profile', 'cloud');
  if (selector === undefined || selector.text === CLOUD_OF_VARIABLES) return NO_PROFILE;
  const { file, stamps } = await findCloudFile('clouds-public', undefined, host);
  const listing = makeListing('clouds-public', file);
  const entry = listing?.entry(selector.text, 'profile');
  if (listing === undefined || entry === undefined) {
    return { ...findBuiltInProfile(selector), listings: [], stamps };
  }
  return { entries: [inheritConsentHint(selector, entry)], listings: [listing], stamps, warnings: [] };
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
 * @throws ConfigError when a file cannot be read or parsed
 */
export async function listCloudNames(host: Host, given: GivenLayers): Promise<readonly string[]> {
  const { listings } = await findListings(host, inOrder(given));
  return listNames(listings);
}

/**
 * Reads the settings of the cloud that is named or, unless variables set a login, of the only cloud.
 *
 * @throws ConfigError when a file cannot be read or parsed, or does not contain the cloud or its region, or when its
 *   profile cannot be used
 */
export async function readCloudSettings(
  host: Host,
  given: GivenLayers,
  options: readonly Option[],
): Promise<CloudSettings> {
  const givenLayers = inOrder(given);
  const selection = findSetting(givenLayers, 'os-cloud');
  if (selection === undefined && needsNoCloud(given, options)) return NOTHING;
  const { listings, files } = await findListings(host, givenLayers);
  const cloud = chooseCloud(selection, listings, host);
  if (cloud === undefined) return { ...NOTHING, files };

  const usedListings = listings.filter(({ names }) => names.includes(cloud));
  const cloudEntries = usedListings.flatMap((listing) => listing.entry(cloud, 'cloud') ?? []);
  const profile = await readProfile(cloudEntries, host);
  const region = chooseRegion(
    { cloud: cloudEntries, profile: profile.entries },
    findSetting(givenLayers, 'region-name'),
  );
  const makeLayer = (entry: CloudEntry): Layer => makeCloudLayer(entry, options, region.selector);
  const ofRegion = region.entries.map(makeLayer);
  const ofCloud = cloudEntries.map(makeLayer);
  const ofProfile = profile.entries.map(makeLayer);
  return {
    cloud,
    // secure.yaml completes the cloud key by key: they are one source, in which an ID and a name can stand together.
    layers: [...ofRegion, mergeLayers(ofCloud, []), ...ofProfile],
    files: [...files, ...profile.stamps],
    warnings: [
      ...[...usedListings, ...profile.listings].flatMap(listWarnings),
      ...profile.warnings,
      ...region.warnings,
      ...warnOfOtherOrder([...ofRegion, ...ofCloud, ...ofProfile]),
    ],
  };
}
