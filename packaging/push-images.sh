#!/bin/sh
# Builds the images of a release and pushes them to a registry. The workflow release.yml runs it, with the executables
# in out/ and the bundles in dist/. It appends the names and digests of the images to the file GITHUB_OUTPUT.
#
# usage: push-images.sh REGISTRY REPOSITORY TAG        (for example: HOST organization/project v1.2.3)
set -eu

if [ $# -ne 3 ]; then
  echo 'usage: push-images.sh REGISTRY REPOSITORY TAG' >&2
  exit 2
fi
# Names of images are in lower case.
plugin=$(printf '%s/%s' "$1" "$2" | tr '[:upper:]' '[:lower:]')
webhook=$plugin/k8s-keystone-auth
version=${3#v}
output=${GITHUB_OUTPUT:-/dev/stdout}

digest_of() {
  docker buildx imagetools inspect --format '{{.Manifest.Digest}}' "$1"
}

# One build per platform, because each contains another executable.
for pair in linux-x64:amd64 linux-arm64:arm64; do
  docker buildx build --push --platform "linux/${pair#*:}" --build-arg "TARGET=${pair%:*}" \
    --file packaging/Containerfile --tag "$plugin:$version-${pair#*:}" out
done
docker buildx imagetools create --tag "$plugin:$version" "$plugin:$version-amd64" "$plugin:$version-arm64"
docker buildx build --push --platform linux/amd64,linux/arm64 \
  --file packaging/webhook/Containerfile --tag "$webhook:$version" .

{
  printf 'plugin-name=%s\nplugin-digest=%s\n' "$plugin" "$(digest_of "$plugin:$version")"
  printf 'webhook-name=%s\nwebhook-digest=%s\n' "$webhook" "$(digest_of "$webhook:$version")"
} >>"$output"
