/**
 * The facts of the profiles that openstacksdk 4.22 contains, as far as a login needs them: where the Keystone of a
 * provider is, which regions it has, and which domains its users are in.
 */
import type { YamlMapping, YamlValue } from '../../shared/options/yaml.ts';

interface Facts {
  /** Undefined if each customer has a Keystone. */
  readonly url?: string;
  readonly regions?: readonly string[];
  /** Of users and projects, by name. */
  readonly domain?: string;
  /** Undefined if the profile does not say that it is 3. */
  readonly version?: string;
  /** Why nobody can use the provider any more. */
  readonly ended?: string;
  /** What the provider warns of. */
  readonly warning?: string;
}

const V3 = { version: '3' };

/** By name. */
const FACTS: Readonly<Record<string, Facts>> = {
  auro: { ...V3, url: 'https://api.van2.auro.io:5000/v3', regions: ['RegionOne'], domain: 'Default' },
  betacloud: { ended: 'the provider has closed' },
  binero: { ...V3, url: 'https://auth.binero.cloud:5000/v3', regions: ['europe-se-1'] },
  bluebox: { regions: ['RegionOne'] },
  // The profile names version 2 in the URL; this plugin adds version 3 itself.
  catalyst: { url: 'https://api.cloud.catalyst.net.nz:5000', regions: ['nz-por-1', 'nz_wlg_2'] },
  citycloud: {
    ...V3,
    url: 'https://{region_name}.citycloud.com:5000/v3/',
    regions: ['Buf1', 'Fra1', 'Sto2', 'Kna1', 'dx1', 'tky1'],
  },
  conoha: { version: '2', url: 'https://identity.{region_name}.conoha.io', regions: ['sin1', 'sjc1', 'tyo1'] },
  dreamcompute: { ...V3, url: 'https://iad2.dream.io:5000', regions: ['RegionOne'] },
  elastx: { ...V3, url: 'https://ops.elastx.cloud:5000/v3', regions: ['se-sto'] },
  entercloudsuite: { ...V3, url: 'https://api.entercloudsuite.com/', regions: ['it-mil1', 'nl-ams1', 'de-fra1'] },
  fuga: {
    ...V3,
    url: 'https://identity.api.fuga.io:5000',
    regions: ['cystack'],
    domain: 'Default',
    warning: 'its Keystone no longer answers',
  },
  ibmcloud: { ended: 'its Keystone no longer answers' },
  internap: { ended: 'the provider has another name now' },
  limestonenetworks: { ...V3, url: 'https://auth.cloud.lstn.net:5000/v3', regions: ['us-dfw-1', 'us-slc'] },
  otc: { ...V3, url: 'https://iam.{region_name}.otc.t-systems.com/v3', regions: ['eu-de', 'eu-nl'] },
  // The profile has no https:// before the host.
  'otc-swiss': { ...V3, url: 'https://iam-pub.eu-ch2.sc.otc.t-systems.com/v3', regions: ['eu-ch2'] },
  'ovh-us': {
    ...V3,
    url: 'https://auth.cloud.ovh.us/',
    regions: ['US-EAST-VA-1', 'US-WEST-OR-1', 'US-EAST-VA', 'US-WEST-OR'],
    domain: 'Default',
  },
  rackspace: {
    version: '2.0',
    url: 'https://identity.api.rackspacecloud.com/v2.0/',
    regions: ['DFW', 'HKG', 'IAD', 'ORD', 'SYD', 'LON'],
  },
  switchcloud: { ...V3, url: 'https://identity.compute.cloud.switch.ch/v3', regions: ['zhw', 'zhc'] },
  switchengines: { ...V3, url: 'https://keystone.cloud.switch.ch:5000/v3', regions: ['LS', 'ZH'] },
  ultimum: { ended: 'the provider has closed' },
  unitedstack: { ended: 'its Keystone no longer answers' },
  zetta: { ...V3, url: 'https://identity.api.zetta.io/v3', regions: ['no-osl1'] },
};

/** Profiles that only name an address where the provider publishes its settings. */
const PUBLISHED: Readonly<Record<string, string>> = {
  ovh: 'https://ovhcloud.com',
  vexxhost: 'https://vexxhost.com',
};

const asMapping = (values: Readonly<Record<string, YamlValue | undefined>>): YamlMapping =>
  new Map(Object.entries(values).flatMap(([name, value]) => (value === undefined ? [] : [[name, value] as const])));

function makeEntry({ url, regions, domain, version }: Facts): YamlMapping {
  return asMapping({
    auth: asMapping({ auth_url: url, user_domain_name: domain, project_domain_name: domain }),
    regions,
    identity_api_version: version,
  });
}

/** A profile that the plugin contains. */
export type ProviderProfile =
  /** As clouds-public.yaml would hold it. */
  | { readonly mapping: YamlMapping; readonly warning: string | undefined }
  /** Why it cannot be used, as a clause. */
  | { readonly unusable: string };

/** Finds a profile by its name; undefined if there is none. */
export function findProviderProfile(name: string): ProviderProfile | undefined {
  const address = Object.hasOwn(PUBLISHED, name) ? PUBLISHED[name] : name;
  if (address !== undefined && /^[a-z][a-z0-9+.-]*:\/\//i.test(address)) {
    return {
      unusable: `its settings are published at ${address}, and the plugin fetches no settings from the network`,
    };
  }
  const facts = Object.hasOwn(FACTS, name) ? FACTS[name] : undefined;
  if (facts === undefined) return undefined;
  if (facts.ended !== undefined) return { unusable: facts.ended };
  return { mapping: makeEntry(facts), warning: facts.warning };
}
