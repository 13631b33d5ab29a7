/** What the packager and an executable must agree on: how a bundle is compiled. Code in another form is not taken. */

/** What a bundle's code is given, as in CommonJS. */
export const BUNDLE_PARAMETERS = ['exports', 'require', 'module', '__filename', '__dirname'];

/** The asset that holds the compiled form of the asset `name`. */
export const compiledAssetName = (name: string): string => `${name}.code`;
