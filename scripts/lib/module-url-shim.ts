/** Replaces `import.meta.url`, which CommonJS does not have, in the bundles that read it. */
import { pathToFileURL } from 'node:url';

/** The URL of the bundle. A call that esbuild can leave out if nothing reads the result. */
export const moduleUrl = /* @__PURE__ */ ((): string => pathToFileURL(__filename).href)();
