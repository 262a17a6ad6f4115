#!/usr/bin/env bash
# The wheel alone: built, installed into an empty environment, and a farm started from it: wheel_test.sh SOURCE. Takes
# minutes.
# SPDX-License-Identifier: Apache-2.0
set -euo pipefail
source="$1"
folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
"$source/scripts/wheel"
"$source/.venv/bin/python" -m venv "$folder/venv"
python="$folder/venv/bin/python"
platlib='import sysconfig; print(sysconfig.get_path("platlib"))'
site="$("$python" -c "$platlib")"
"$python" -m pip install --quiet --disable-pip-version-check --no-deps "$source"/build/wheel/*.whl
"$source/.venv/bin/python" -c "$platlib" >"$site/dependencies.pth" # numba and NumPy, behind what was installed here
cd /
# The tag says which glibc it needs: no symbol is newer, one is as new. docs/python.md says the same.
floor="$(basename "$source"/build/wheel/*.whl | sed -n 's/.*manylinux_2_\([0-9]*\)_.*/\1/p')"
newest="$(objdump -T "$site"/rbc/bin/* "$site"/rbc/_core*.so "$site"/rbc.libs/* | sed -n 's/.*GLIBC_2\.\([0-9]*\)[.) ].*/\1/p' |
  sort -n | tail -1)"
[ "$newest" -eq "$floor" ] || { echo "needs glibc 2.$newest, the tag says 2.$floor" >&2; exit 1; }
grep -q "It needs glibc 2\.$floor " "$source/docs/python.md" || { echo "docs/python.md names another glibc than 2.$floor" >&2; exit 1; }
# What is not the system's goes along, and is what the programs use.
for library in libthrift libzstd libssl libcrypto libspdlog; do
  compgen -G "$site/rbc.libs/$library*" >/dev/null || { echo "$library is not in the wheel" >&2; exit 1; }
done
if ldd "$site"/rbc/bin/* "$site"/rbc/_core*.so | grep -E 'not found|lib(thrift|zstd|ssl|crypto|spdlog|fmt).* => /(usr/)?lib'; then
  echo "the wheel uses libraries that it does not hold" >&2
  exit 1
fi
cat >"$folder/session.py" <<'PYTHON'
import contextlib, io, os, sys

import numpy as np
import rbc
from rbc._server import find_program

assert rbc.__file__.startswith(sys.argv[1]), rbc.__file__
assert find_program() == os.path.join(sys.argv[1], "rbc", "bin", "rbc-farm"), find_program()
assert os.path.exists(os.path.join(sys.argv[1], "rbc", "py.typed"))


def scaled(x, s):
    return x * len(s)


def told(x):
    print("seen", x)
    return x


def inverse(x):
    return 1.0 / x


port = int(sys.argv[2])
rjit = rbc.RemoteJIT(port=port) if port else rbc.RemoteJIT()
rjit.start_server(background=True)
assert rjit("float64(float64, string)")(scaled)(1.5, "ab") == 3.0
with contextlib.redirect_stdout(io.StringIO()) as printed:
    assert rjit("int64(int64)")(told)(7) == 7
assert printed.getvalue() == "seen 7\n", printed.getvalue()
inverse = rjit("float64(float64)")(inverse)
rows = np.arange(1.0, 100001.0)
assert np.array_equal(inverse(rows), 1.0 / rows)
try:
    inverse(0.0)
except ZeroDivisionError as error:
    assert error.rbc_location[0] == "inverse", error.rbc_location
else:
    raise AssertionError("1.0 / 0.0 raised nothing")
rjit.stop_server()
print("the wheel works")
PYTHON
free_port='import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'
PATH=/usr/bin:/bin "$python" "$folder/session.py" "$site" "$("$python" -c "$free_port")"
# What the README shows.
# shellcheck disable=SC2016
sed -n '/^```python$/,/^```$/p' "$source/README.md" | sed '1d;/^```$/,$d' >"$folder/demo.py"
sed -i 's/^\(hypotenuse(3, 4)\).*/assert \1 == 5.0/' "$folder/demo.py"
grep -q '^assert' "$folder/demo.py"
PATH=/usr/bin:/bin "$python" "$folder/demo.py"
