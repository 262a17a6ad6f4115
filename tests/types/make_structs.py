#!/usr/bin/env python3
# Writes some hundred C++ structs, and a table of their layouts as the compiler has them, for layout_test.cc.
# SPDX-License-Identifier: Apache-2.0
import random
import sys

SCALARS = [
    ("bool", "bool"), ("char8", "char"), ("char16", "char16_t"), ("char32", "char32_t"), ("wchar_t", "wchar_t"),
    ("int8", "int8_t"), ("int16", "int16_t"), ("int32", "int32_t"), ("int64", "int64_t"), ("int128", "Int128"),
    ("uint8", "uint8_t"), ("uint16", "uint16_t"), ("uint32", "uint32_t"), ("uint64", "uint64_t"),
    ("uint128", "Uint128"), ("long", "long"), ("size_t", "size_t"), ("float16", "HalfStandIn"), ("float32", "float"),
    ("float64", "double"), ("float128", "long double"), ("complex64", "std::complex<float>"),
    ("complex128", "std::complex<double>"), ("complex256", "std::complex<long double>"), ("string", "const char*"),
    ("int16*", "int16_t*"), ("void*", "void*"),
]
COUNT = 400


def main(path):
    rng = random.Random(20240229)
    made = []  # (type text, C++ name)
    lines = []
    rows = []
    for index in range(COUNT):
        members = []
        for _ in range(rng.randint(1, 8)):
            pool = made if made and rng.random() < 0.2 else SCALARS
            members.append(rng.choice(pool[-40:]))
        text = "{" + ", ".join(member[0] for member in members) + "}"
        if len(text) > 2000:
            continue
        name = f"Generated{index}"
        body = " ".join(f"{cxx} m{i};" for i, (_, cxx) in enumerate(members))
        lines.append(f"struct {name} {{ {body} }};")
        offsets = ", ".join(f"offsetof({name}, m{i})" for i in range(len(members)))
        rows.append(f'    {{"{text}", sizeof({name}), alignof({name}), {{{offsets}}}}},')
        made.append((text, name))
    with open(path, "w", encoding="utf-8") as out:
        out.write("// Written by make_structs.py.\n")
        out.write("\n".join(lines))
        out.write("\nconst std::vector<Row> kRows = {\n" + "\n".join(rows) + "\n};\n")


if __name__ == "__main__":
    main(sys.argv[1])
