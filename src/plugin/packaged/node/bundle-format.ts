/**
 * How a bundle is compiled. V8 accepts compiled code only if the packager and the executable do this in the same way.
 */

/** The parameters of the function that wraps a bundle, as in CommonJS. */
export const BUNDLE_PARAMETERS = ['exports', 'require', 'module', '__filename', '__dirname'];

/** Name of the asset with the compiled code of the asset `name`. */
export const compiledAssetName = (name: string): string => `${name}.code`;
