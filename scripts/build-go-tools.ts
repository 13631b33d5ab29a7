// Builds the tools in Go that check a release and install it, once, into the user's cache. It takes some minutes.
//
// usage: node scripts/setup.mjs scripts/build-go-tools.ts

import { buildGoTools, KREW } from './lib/go-tools.ts';

await buildGoTools(KREW);
