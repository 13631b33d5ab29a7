#!/bin/sh
# Installs client-keystone-auth for Linux or macOS from a release folder, which contains the files that `npm run
# package` writes to out/release/. It installs the program only if its SHA-256 matches the one in SHA256SUMS. Both come from the
# same server, so this detects damage and changes in transit, but not a malicious server. To detect that too, use --sha256.
#
# usage: install.sh [--base-url URL] [--prefix DIR] [--sha256 SUM]
set -eu

name=client-keystone-auth
plugin_name=kubectl-keystone_auth
# `npm run package` writes the URL of its release here.
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
    fail 'sha256sum or shasum is required'
  fi | cut -d ' ' -f 1
}

# Allows only https, also after a redirect. http is allowed only to this machine.
fetch() {
  case $1 in
    *@*) fail 'the base URL must not contain a user' ;;
    https://*) protocol=https ;;
    http://127.0.0.1[:/]* | http://localhost[:/]*) protocol=http ;;
    *) fail 'the base URL must start with https://' ;;
  esac
  if has curl; then
    curl --fail --silent --show-error --location --proto "=$protocol" --output "$2" -- "$1"
  elif wget --help 2>&1 | grep -q -e --max-redirect; then
    # wget cannot refuse http:// after a redirect, so it must not follow redirects. That of BusyBox follows them always.
    wget --quiet --max-redirect=0 --output-document="$2" -- "$1"
  else
    fail 'curl or GNU wget is required'
  fi || fail "cannot download $1"
}

find_target() {
  case $(uname -s) in
    Linux) system=linux ;;
    Darwin) system=darwin ;;
    *) fail "no program for the operating system $(uname -s)" ;;
  esac
  case $(uname -m) in
    x86_64 | amd64) processor=x64 ;;
    aarch64 | arm64) processor=arm64 ;;
    *) fail "no program for the processor $(uname -m)" ;;
  esac
  # The dynamic linker of musl prints its name, and fails.
  case $system-$(ldd --version 2>&1 || :) in
    linux-*musl*) printf '%s-%s-musl' "$system" "$processor" ;;
    *) printf '%s-%s' "$system" "$processor" ;;
  esac
}

needs_of() {
  case $1 in
    *-musl) printf 'it needs libstdc++ and libgcc, as "apk add libstdc++" installs them' ;;
    *) printf 'Linux needs glibc 2.17 or newer and /proc' ;;
  esac
}

download=''
staged=''
clean_up() {
  if [ -n "$download" ]; then rm -rf "$download"; fi
  if [ -n "$staged" ]; then rm -f "$staged"; fi
}
trap clean_up EXIT
trap 'exit 1' HUP INT TERM

# In a function, so that a partly downloaded script does nothing.
main() {
  base_url=$default_url
  prefix=''
  expected_sum=''
  while [ $# -gt 0 ]; do
    case $1 in
      --base-url | --prefix | --sha256)
        [ -n "${2:-}" ] || fail "$1 needs a value"
        case $1 in
          --base-url) base_url=${2%/} ;;
          --prefix) prefix=$2 ;;
          --sha256) expected_sum=$2 ;;
        esac
        shift 2
        ;;
      *) fail 'usage: install.sh [--base-url URL] [--prefix DIR] [--sha256 SUM]' ;;
    esac
  done
  [ -n "$base_url" ] || fail 'set the URL of the release with --base-url'
  folder=${prefix:-${HOME:?HOME is not set}/.local}/bin

  file=$name-$(find_target)
  download=$(mktemp -d)
  if [ -z "$expected_sum" ]; then
    fetch "$base_url/SHA256SUMS" "$download/SHA256SUMS"
    expected_sum=$(awk -v file="$file" '$2 == file { print $1 }' "$download/SHA256SUMS")
  fi
  printf '%s\n' "$expected_sum" | grep -Eqx '[0-9a-f]{64}' || fail "no checksum for $file"
  fetch "$base_url/$file" "$download/$name"
  [ "$(sum_of "$download/$name")" = "$expected_sum" ] ||
    fail "$file does not have the checksum $expected_sum; nothing is installed"

  mkdir -p "$folder"
# In the same folder, so that it replaces the old version in one step, even while that is running.
  staged=$(mktemp "$folder/.$name.XXXXXX")
  cp "$download/$name" "$staged"
  chmod 0755 "$staged"
  version=$("$staged" --version) ||
    fail "$file does not run on this machine ($(needs_of "$file")); nothing is installed"
  mv -f "$staged" "$folder/$name"
  staged=''
  ln -sf "$name" "$folder/$plugin_name"
  printf 'installed %s %s in %s\n' "$name" "$version" "$folder"
  case :$PATH: in
    *":$folder:"*) ;;
    *) printf '%s is not in your PATH; a kubeconfig must name the program by its full path\n' "$folder" >&2 ;;
  esac
}

main "$@"
