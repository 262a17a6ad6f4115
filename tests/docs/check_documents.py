"""Checks the documents: check_documents.py text ROOT | fragments ROOT CXX | commands ROOT BIN.
text: relative links and the headings that they name exist, and so do files that are named; what README and the quick
start show of C++ is in an example. fragments: the C++ of the other documents compiles. commands: `rbc` lines of console
blocks print what they say, against a farm of our own.
SPDX-License-Identifier: Apache-2.0
"""

import collections
import os
import pathlib
import re
import subprocess
import sys
import tempfile

FENCE = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
# Fragments may be indented, as parts of a list are.
CPP_FRAGMENT = re.compile(r"^ *```cpp\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)
HEADING = re.compile(r"^#+ (.*)$", re.MULTILINE)
LINK = re.compile(r"\]\(([^)#:]*)(?:#([^)]*))?\)")
CODE = re.compile(r"`([^`\n]+)`")
TREE = "base|client|cmake|cuda|deploy|docs|examples|packing|scripts|server|targets|tests|thrift|types|worker"
FILE_OF_TREE = re.compile(rf"(?<![\w/.~:-])(?:{TREE})/[\w./-]*\w")
# These show code of an example,
CPP_DOCUMENTS = ("README.md", "docs/quickstart-cpp.md")
# and these fragments, each in the scope of those before it, with what a reader has by then.
CPP_FRAGMENTS = {
    "docs/chains.md": "const rbc::Caller& scale, const rbc::Caller& add, const rbc::Caller& smooth, "
    "const std::vector<double>& prices",
    "docs/data.md": "const rbc::Source& source",
    "docs/maps.md": "const rbc::RemoteJIT& rjit, const rbc::Source& source",
}


def documents(root):
    return [root / "README.md", *sorted((root / "docs").glob("*.md"))]


def blocks(path, language):
    return [body for kind, body in FENCE.findall(path.read_text()) if kind == language]


def anchors(path):
    """The headings as links name them: in small letters, words joined by hyphens, the rest of the marks left out."""
    headings = HEADING.findall(FENCE.sub("", path.read_text()))
    return [re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings]


def check_links(path):
    failures = [f"{path.name} has two headings '{name}'" for name, n in collections.Counter(anchors(path)).items() if n > 1]
    for link, anchor in LINK.findall(FENCE.sub("", path.read_text())):
        target = path.parent / link if link else path
        if not target.exists():
            failures.append(f"{path.name} links to '{link}', which does not exist")
        elif anchor and anchor not in anchors(target):
            failures.append(f"{path.name} links to '{link}#{anchor}', a heading that does not exist")
    return failures


def check_files(root, path):
    """`server/batch.cc` in a document is a file, and `server/batch` one or more with some ending."""
    named = [name for code in CODE.findall(path.read_text()) for name in FILE_OF_TREE.findall(code)]
    return [f"{path.name} names '{name}', which does not exist" for name in named if not list(root.glob(name + "*"))]


def check_tour(root):
    """start-here.md names all folders and scripts."""
    tour = (root / "docs/start-here.md").read_text()
    scripts = [path.name for path in (root / "scripts").iterdir() if path.is_file() and not path.suffix]
    missing = [folder for folder in TREE.split("|") if f"| `{folder}/` |" not in tour]
    return [f"start-here.md does not name '{name}'" for name in missing + [name for name in scripts if name not in tour]]


def check_text(root):
    failures = check_tour(root)
    for path in documents(root):
        failures += check_links(path) + check_files(root, path)
    examples = "\n".join(example.read_text() for example in (root / "examples/cpp").glob("*.cc"))
    for name in CPP_DOCUMENTS:
        shown = blocks(root / name, "cpp")
        if not shown:
            failures.append(f"{name} shows no C++")
        failures += [f"{name} shows C++ that is in no example:\n{body}" for body in shown if body not in examples]
    return failures


def check_fragments(root, compiler):
    shown = {str(path.relative_to(root)) for path in documents(root) if CPP_FRAGMENT.search(path.read_text())}
    if shown != {*CPP_DOCUMENTS, *CPP_FRAGMENTS}:
        return [f"documents with C++ are {sorted(shown)}; say in check_documents.py what their fragments need"]
    lines = ["#include <iostream>", "#include <vector>", "#include <rbc/rbc.h>"]
    for number, (name, parameters) in enumerate(CPP_FRAGMENTS.items()):
        blocks = CPP_FRAGMENT.findall((root / name).read_text())
        lines.append(f"void Fragments{number}({parameters}) {{")
        for block in blocks:
            lines += [f'{{\n#line 1 "{name}, C++"', re.sub(r"^ *#include.*$", "", block, flags=re.MULTILINE)]
        lines.append("}" * (len(blocks) + 1))
    result = subprocess.run(
        [compiler, "-std=c++20", "-fsyntax-only", f"-I{root}", f"-I{root}/client/include", "-x", "c++", "-"],
        input="\n".join(lines), capture_output=True, text=True, timeout=120,
    )
    return [result.stderr] if result.returncode != 0 else []


def console_commands(body):
    """[(command, expected output)] of a console block."""
    commands = []
    for line in body.splitlines():
        if line.startswith("$ "):
            commands.append((line[2:], []))
        elif commands:
            commands[-1][1].append(line)
    return [(command, "\n".join(output)) for command, output in commands]


def check_console(root, environment):
    failures, ran = [], 0
    for path in documents(root):
        for body in blocks(path, "console"):
            for command, expected in console_commands(body):
                if not command.startswith("rbc "):
                    continue
                ran += 1
                result = subprocess.run(
                    ["bash", "-c", command], cwd=root, env=environment, capture_output=True, text=True, timeout=30
                )
                if result.returncode != 0 or result.stdout.strip() != expected:
                    failures.append(f"{path.name}: {command}\nexpected: {expected}\ngot: {result.stdout}{result.stderr}")
    if ran == 0:
        failures.append("no document shows an rbc command")
    return failures


def check_commands(root, bin_folder):
    with tempfile.TemporaryDirectory() as folder:
        address = f"unix:{folder}/farm.sock"
        configuration = pathlib.Path(folder, "rbc-farm.toml")
        configuration.write_text(f'[server]\nlisten = ["{address}"]\nstate_dir = "{folder}/state"\n')
        farm = subprocess.Popen(
            [f"{bin_folder}/rbc-farm", "--config", configuration], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        try:
            if not farm.stdout.readline().startswith("ready "):
                return ["the farm does not become ready"]
            path = f"{bin_folder}:{os.environ['PATH']}"
            return check_console(root, dict(os.environ, RBC_FARM=address, PATH=path))
        finally:
            farm.terminate()
            try:
                farm.wait(20)
            except subprocess.TimeoutExpired:
                farm.kill()
                farm.wait()


def main(what, root, *rest):
    root = pathlib.Path(root)
    checks = {"text": check_text, "fragments": check_fragments, "commands": check_commands}
    failures = checks[what](root, *rest)
    print("\n".join(failures) or "ok")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
