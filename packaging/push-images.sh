#!/bin/sh
# Pushes the images of a release to a registry. The workflow release.yml runs it, with the images that `npm run package` has
# made in out/images/. It copies them as they are, so their digests are those of the build. It appends the names and digests
# of the images to the file GITHUB_OUTPUT. It needs skopeo, and somebody who is logged in to the registry.
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

# Copies the images for all processors, and the index that names them.
push() {
  skopeo copy --all --preserve-digests --digestfile "$2" "oci:out/images/$3:$version" "docker://$1:$version"
}

digests=$(mktemp -d)
trap 'rm -rf "$digests"' EXIT
push "$plugin" "$digests/plugin" client-keystone-auth
push "$webhook" "$digests/webhook" k8s-keystone-auth

{
  printf 'plugin-name=%s\nplugin-digest=%s\n' "$plugin" "$(cat "$digests/plugin")"
  printf 'webhook-name=%s\nwebhook-digest=%s\n' "$webhook" "$(cat "$digests/webhook")"
} >>"$output"
