/** What the log says when a user gets fewer names than Keystone gives. */
export const NAMES_DROPPED =
  'names were dropped: they are reserved, contain a colon without a prefix or --allowed-colon-names, are ambiguous, or ' +
  'look like the ID of another project';
