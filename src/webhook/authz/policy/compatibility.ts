/** Faults of the Go program that a cluster may depend on; `--compatibility` brings each back by its name. */
export const COMPATIBILITIES = {
  'v2-subresources': 'version 2 ignores subresources: `pods` grants `pods/exec`, `pods/log` and all others',
  'spaced-negation': "`! ['secrets']` with a space after the `!` matches everything, including secrets",
  'wrong-users': '`users` of a wrong type, such as a list, restricts no one',
  'mapped-system-names': 'role mappings may give names that begin with `system:`',
} as const;

export type Compatibility = keyof typeof COMPATIBILITIES;

export type Compatibilities = ReadonlySet<Compatibility>;
