"""Checks the documents: check_documents.py text ROOT | commands ROOT BIN.
text: relative links exist, and every cpp block is in an example. commands: `rbc` lines of console blocks print what
they say, against a farm of our own.
SPDX-License-Identifier: Apache-2.0
"""

import os
import pathlib
import re
import subprocess
import sys
import tempfile

FENCE = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\(([^)#:]+)(?:#[^)]*)?\)")
# Only these show code of an example; others may show fragments.
CPP_DOCUMENTS = ("README.md", "docs/quickstart-cpp.md")


def documents(root):
    return [root / "README.md", *sorted((root / "docs").glob("*.md"))]


def blocks(path, language):
    return [body for kind, body in FENCE.findall(path.read_text()) if kind == language]


def check_text(root):
    failures = []
    for path in documents(root):
        for link in LINK.findall(FENCE.sub("", path.read_text())):
            if not (path.parent / link).exists():
                failures.append(f"{path.name} links to '{link}', which does not exist")
    examples = "\n".join(example.read_text() for example in (root / "examples/cpp").glob("*.cc"))
    for name in CPP_DOCUMENTS:
        shown = blocks(root / name, "cpp")
        if not shown:
            failures.append(f"{name} shows no C++")
        failures += [f"{name} shows C++ that is in no example:\n{body}" for body in shown if body not in examples]
    return failures


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
    failures = check_text(root) if what == "text" else check_commands(root, *rest)
    print("\n".join(failures) or "ok")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
