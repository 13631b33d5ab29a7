#!/bin/sh
# Installs client-keystone-auth for Linux (glibc) or macOS from a folder of releases, which holds what `npm run package`
# writes to out/. Nothing is installed unless its SHA-256 is the one in SHA256SUMS. Both come from one place: this finds
# what was damaged or exchanged on the way, not a place that lies. For that, say the sum yourself: --sha256.
#
# usage: install.sh [--base-url URL] [--prefix DIR] [--sha256 SUM]
set -eu

name=client-keystone-auth
plugin_name=kubectl-keystone_auth
# `npm run package` writes the address of its release here.
default_url=''

fail() {
  printf 'install.sh: %s\n' "$1" >&2
  exit 1
}

has() {
  command -v "$1" >/dev/null 2>&1
}

sum_of() {
  if has sha256sum; then
    sha256sum <"$1"
  elif has shasum; then
    shasum -a 256 <"$1"
  else
    fail 'neither sha256sum nor shasum is here'
  fi | cut -d ' ' -f 1
}

# Only https, also after a redirect; http is for this machine.
fetch() {
  case $1 in
    *@*) fail 'the base URL must name no user' ;;
    https://*) protocol=https ;;
    http://127.0.0.1[:/]* | http://localhost[:/]*) protocol=http ;;
    *) fail 'the base URL must be https://' ;;
  esac
  if has curl; then
    curl --fail --silent --show-error --location --proto "=$protocol" --output "$2" -- "$1"
  elif has wget; then
    # It cannot be told to refuse http:// after a redirect, so it follows none.
    wget --quiet --max-redirect=0 --output-document="$2" -- "$1"
  else
    fail 'neither curl nor wget is here'
  fi || fail "cannot load $1"
}

find_target() {
  case $(uname -s) in
    Linux) system=linux ;;
    Darwin) system=darwin ;;
    *) fail "nothing is made for $(uname -s)" ;;
  esac
  case $(uname -m) in
    x86_64 | amd64) processor=x64 ;;
    aarch64 | arm64) processor=arm64 ;;
    *) fail "nothing is made for $(uname -m)" ;;
  esac
  printf '%s-%s' "$system" "$processor"
}

download=''
staged=''
clean_up() {
  if [ -n "$download" ]; then rm -rf "$download"; fi
  if [ -n "$staged" ]; then rm -f "$staged"; fi
}
trap clean_up EXIT
trap 'exit 1' HUP INT TERM

# In a function, so that a script that was cut off on its way does nothing.
main() {
  base_url=$default_url
  prefix=''
  wanted=''
  while [ $# -gt 0 ]; do
    case $1 in
      --base-url | --prefix | --sha256)
        [ $# -gt 1 ] && [ -n "$2" ] || fail "$1 needs a value"
        case $1 in
          --base-url) base_url=${2%/} ;;
          --prefix) prefix=$2 ;;
          --sha256) wanted=$2 ;;
        esac
        shift 2
        ;;
      *) fail 'usage: install.sh [--base-url URL] [--prefix DIR] [--sha256 SUM]' ;;
    esac
  done
  [ -n "$base_url" ] || fail 'say with --base-url where the release is'
  folder=${prefix:-${HOME:?HOME is not set}/.local}/bin

  file=$(find_target)/$name
  download=$(mktemp -d)
  if [ -z "$wanted" ]; then
    fetch "$base_url/SHA256SUMS" "$download/SHA256SUMS"
    wanted=$(awk -v file="$file" '$2 == file { print $1 }' "$download/SHA256SUMS")
  fi
  printf '%s\n' "$wanted" | grep -Eqx '[0-9a-f]{64}' || fail "there is no checksum of $file"
  fetch "$base_url/$file" "$download/$name"
  [ "$(sum_of "$download/$name")" = "$wanted" ] || fail "$file does not have the checksum $wanted; nothing is installed"

  mkdir -p "$folder"
  # Beside what it replaces: from there it is put in place in one step, while the old one may be running.
  staged=$(mktemp "$folder/.$name.XXXXXX")
  cp "$download/$name" "$staged"
  chmod 0755 "$staged"
  version=$("$staged" --version) || fail 'it does not run here (on Linux it needs glibc 2.28 and libstdc++); nothing is installed'
  mv -f "$staged" "$folder/$name"
  staged=''
  ln -sf "$name" "$folder/$plugin_name"
  printf 'installed %s %s in %s\n' "$name" "$version" "$folder"
  case :$PATH: in
    *":$folder:"*) ;;
    *) printf '%s is not on your PATH; kubectl finds the program there only by its full path\n' "$folder" >&2 ;;
  esac
}

main "$@"
