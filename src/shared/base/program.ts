import manifest from '../../../package.json' with { type: 'json' };

/** The name of the plugin's executable. */
export const PROGRAM_NAME = 'client-keystone-auth';

/** The version of this program, from package.json. */
export const VERSION: string = manifest.version;

/** The plugin's `User-Agent` header. */
export const USER_AGENT = `${PROGRAM_NAME}/${VERSION}`;
