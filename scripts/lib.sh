# Shared by the scripts beside it; sourced, never run.
# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
set -euo pipefail

# shellcheck disable=SC2034  # for those who source this
RBC_ROOT="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"

say() { printf '== %s\n' "$*"; }
die() {
  printf 'error: %s\n' "$*" >&2
  exit 1
}

# Runs a command as root, by sudo where we are somebody else.
as_root() {
  if [ "$(id -u)" = 0 ]; then
    "$@"
  elif command -v sudo >/dev/null; then
    sudo "$@"
  else
    die "'$1' needs root and this machine has no sudo; run the script as root"
  fi
}

# The code name of this Debian, 12 or later; stops with a message on anything else.
debian_codename() {
  [ -r /etc/os-release ] || die "/etc/os-release is missing; this project supports Debian 12 or later"
  local id version codename
  id="$(. /etc/os-release && echo "${ID:-}")"
  version="$(. /etc/os-release && echo "${VERSION_ID:-0}")"
  codename="$(. /etc/os-release && echo "${VERSION_CODENAME:-}")"
  if [ "$id" != debian ] || [ "${version%%.*}" -lt 12 ] || ! command -v apt-get >/dev/null; then
    die "this machine runs '$id $version'; this project supports Debian 12 or later with apt"
  fi
  echo "$codename"
}

# Waits until `condition...` succeeds, at most the given number of seconds.
wait_until() {
  local seconds="$1" end
  shift
  end=$((SECONDS + seconds))
  until "$@"; do
    [ "$SECONDS" -lt "$end" ] || return 1
    sleep 0.05
  done
}
