#!/usr/bin/env bash
# The installed package as a stranger uses it: package_test.sh BUILD_DIR SOURCE_DIR. Installs to a temporary prefix.
# SPDX-License-Identifier: Apache-2.0
set -euo pipefail
build="$1"
source="$2"
work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT
prefix="$work/prefix"
cmake --install "$build" --component client --prefix "$prefix" >"$work/install.log"

# Headers alone: each compiles by itself, sees nothing of this tree, names none of what is private.
for header in "$prefix"/include/rbc/*.h; do
  [ "$(basename "$header")" = llvm.h ] && continue
  echo "#include \"rbc/$(basename "$header")\"" | c++ -std=c++20 -Wall -Wextra -Werror -fsyntax-only -I"$prefix/include" -x c++ -
done
if grep -nE '#include [<"](thrift|gen|fmt|llvm|types|client|base)/' "$prefix"/include/rbc/*.h | grep -v '/llvm.h:'; then
  echo "a public header includes what is private" >&2
  exit 1
fi

# The adapter, with every LLVM that is here.
for llvm in /usr/lib/llvm-*/include; do
  [ -e "$llvm/llvm/Bitcode/BitcodeWriter.h" ] || continue
  printf '#include "rbc/llvm.h"\nrbc::Source f(const llvm::Module& m) { return rbc::FromLlvm(m); }\n' |
    c++ -std=c++20 -fsyntax-only -I"$prefix/include" -isystem "$llvm" -x c++ -
done

# find_package and pkg-config.
cmake -S "$source/examples/cpp" -B "$work/cmake" -DCMAKE_PREFIX_PATH="$prefix" >"$work/configure.log"
cmake --build "$work/cmake" --target quickstart >"$work/build.log"
flags="$(PKG_CONFIG_PATH="$(dirname "$(find "$prefix" -name rbc.pc)")" pkg-config --cflags --libs rbc)"
# shellcheck disable=SC2086
c++ -std=c++20 "$source/examples/cpp/quickstart.cc" -o "$work/quickstart" $flags

# It starts, and says what is wrong where no farm is.
library="$(dirname "$(find "$prefix" -name librbc.so)")"
for program in "$work/cmake/quickstart" "$work/quickstart"; do
  if LD_LIBRARY_PATH="$library" "$program" "unix:$work/none" 2>"$work/error"; then exit 1; fi
  grep -q '^error: ConnectionLost: ' "$work/error"
done

# Nothing but our own names is shown (the C++ library's inline ones aside), and the soname is versioned.
shown="$(nm -DC --defined-only "$library/librbc.so")"
foreign="$(grep -vE ' (W|V|u|A) | rbc::|typeinfo|vtable' <<<"$shown" || true)"
[ -z "$foreign" ] || { printf 'librbc.so shows names that are not ours:\n%s\n' "$foreign" >&2; exit 1; }
grep -q ' rbc::' <<<"$shown"
[[ "$(readelf -d "$library/librbc.so")" == *SONAME*librbc.so.0]* ]]
echo "the package works"
