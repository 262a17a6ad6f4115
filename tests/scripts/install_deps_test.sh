#!/usr/bin/env bash
# A machine that has never heard of some packages: scripts/install-deps asks apt for exactly these, and what apt does not
# bring is an error. dpkg-query and apt-get are stand-ins; the former fails for unknown names, as the real one does.
# SPDX-License-Identifier: Apache-2.0
. "$(dirname "$0")/../../scripts/lib.sh"

UNKNOWN=(libfmt-dev llvm-22-dev)
work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT

# What the machine has: the names in this file.
installed="$work/installed"
dpkg-query -W -f '${Package} ${db:Status-Status}\n' | awk '$2 == "installed" {print $1}' | sort -u >"$work/all"
grep -Fvx "$(printf '%s\n' "${UNKNOWN[@]}")" "$work/all" >"$installed"

mkdir "$work/bin"
cat >"$work/bin/dpkg-query" <<EOF
#!/bin/sh
[ ! -e "$work/broken" ] || exit 2
shift 3  # -W -f FORMAT
status=0
[ "\$#" != 0 ] || set -- \$(cat "$installed")
for name; do
  if grep -qx "\$name" "$installed"; then echo "\$name installed"; else status=1; fi
done
exit \$status
EOF
cat >"$work/bin/apt-get" <<EOF
#!/bin/sh
echo "\$@" >>"$work/apt"
EOF
printf '#!/bin/sh\n[ "$1" != -n ] || shift\nexec "$@"\n' >"$work/bin/sudo"
chmod +x "$work/bin/"*

# refused TEXT: the script fails and says TEXT.
refused() {
  if PATH="$work/bin:$PATH" "$RBC_ROOT/scripts/install-deps" >"$work/out" 2>&1; then
    die "install-deps succeeds, and says: $(cat "$work/out")"
  fi
  grep -q "$1" "$work/out" || die "no '$1' in what install-deps says: $(cat "$work/out")"
}

refused "still missing after apt-get install: ${UNKNOWN[*]}"
grep -q 'update' "$work/apt" || die "the package lists were not brought up to date"
grep -q "install .* ${UNKNOWN[*]}\$" "$work/apt" || die "apt-get was asked for something else: $(cat "$work/apt")"

touch "$work/broken"
refused 'dpkg-query cannot list'
say "install-deps installs what is missing"
