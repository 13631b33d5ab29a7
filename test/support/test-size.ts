/** The size of tests that can be as large as wanted: with CKA_STRESS=full (`npm run stress`) they run in full size. */

/** Whether the tests run in full size. */
export const FULL_SIZE: boolean = process.env['CKA_STRESS'] === 'full';

/** How long each property is checked by `npm run fuzz`, in seconds; undefined in other runs. */
export const FUZZ_SECONDS: number | undefined =
  process.env['CKA_FUZZ_SECONDS'] === undefined ? undefined : Number(process.env['CKA_FUZZ_SECONDS']);

/** Picks a size for this run. */
export const pickSize = (full: number, short: number): number => (FULL_SIZE ? full : short);
