import { format, resolveConfig } from 'prettier';

const HEADER = `# Rendered from packaging/chart with ci/manifests-values.yaml by scripts/render-manifests.ts, for clusters without Helm.
# Set the image, the URL of Keystone, the cluster IP and the addresses. See docs/webhook/install.md.
`;

/** What only Helm reads. */
const HELM_ONLY =
  /^\s*(?:helm\.sh\/chart|app\.kubernetes\.io\/(?:managed-by|version)): .*\n|^# Source: .*\n|^\n+(?=---$)/gm;

/** Makes the plain manifests from what helm has rendered. */
export async function renderManifests(rendered: string): Promise<string> {
  const style = await resolveConfig('packaging/webhook/manifests.yaml', { editorconfig: true });
  return format(HEADER + rendered.replaceAll(HELM_ONLY, ''), { ...style, parser: 'yaml' });
}
