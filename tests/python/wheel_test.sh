#!/usr/bin/env bash
# The wheel alone: built, unpacked to a folder, and a farm started from it: wheel_test.sh SOURCE. Takes minutes.
# SPDX-License-Identifier: Apache-2.0
set -euo pipefail
source="$1"
folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
"$source/scripts/wheel"
"$source/.venv/bin/pip" install --quiet --disable-pip-version-check --no-deps --target "$folder" "$source"/build/wheel/*.whl
cd /
# The tag says which glibc it needs: no symbol is newer.
floor="$(basename "$source"/build/wheel/*.whl | sed -n 's/.*manylinux_2_\([0-9]*\)_.*/\1/p')"
newest="$(objdump -T "$folder"/rbc/bin/* "$folder"/rbc/_core*.so "$folder"/rbc.libs/* | sed -n 's/.*GLIBC_2\.\([0-9]*\)[.) ].*/\1/p' |
  sort -n | tail -1)"
[ "$newest" -le "$floor" ] || { echo "needs glibc 2.$newest, the tag says 2.$floor" >&2; exit 1; }
PATH=/usr/bin:/bin PYTHONPATH="$folder" "$source/.venv/bin/python" - "$folder" <<'PYTHON'
import os, sys
import rbc
from rbc._server import find_program
assert rbc.__file__.startswith(sys.argv[1]), rbc.__file__
assert find_program() == os.path.join(sys.argv[1], "rbc", "bin", "rbc-farm"), find_program()
assert os.path.exists(os.path.join(sys.argv[1], "rbc", "py.typed"))
with rbc.RemoteJIT().start_server(background=True, port=0) as rjit:
    f = eval("lambda x, s: x * len(s)")
    assert rjit("float64(float64, string)")(f)(1.5, "ab") == 3.0
print(f"the wheel works; glibc floor: {os.popen('ldd --version').readline().strip()} here")
PYTHON
