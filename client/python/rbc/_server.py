"""A farm of one's own: rbc-farm as a child of this process.

SPDX-License-Identifier: Apache-2.0
"""

import atexit
import os
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import weakref

from ._errors import ConnectionLost, InvalidArgument, Unavailable

_START_S = 30.0
_STOP_S = 15.0


def find_program(name="rbc-farm"):
    """Beside the package, in its build tree, then on PATH."""
    here = os.path.dirname(os.path.abspath(__file__))
    for candidate in (os.path.join(here, "bin", name), os.path.join(here, "..", "..", "bin", name)):
        if os.access(candidate, os.X_OK):
            return os.path.normpath(candidate)
    found = shutil.which(name)
    if found is None:
        raise Unavailable(f"there is no program {name} beside the package or on PATH; install the farm, or connect to "
                          "one that runs elsewhere")
    return found


class Server:
    """A running rbc-farm. It ends with this process, however that ends: it watches its standard input."""

    def __init__(self, listen, simulate_gpu=False):
        self._pid = os.getpid()
        self._folder = tempfile.mkdtemp(prefix="rbc-farm-")
        self._log = os.path.join(self._folder, "log")
        config = os.path.join(self._folder, "rbc-farm.toml")
        with open(config, "w", encoding="utf-8") as file:
            file.write(f'[server]\nstate_dir = "{self._folder}/state"\n')
            if simulate_gpu:
                file.write("[targets.cuda]\nsimulate = true\n")
        with open(self._log, "wb") as log:
            self._process = subprocess.Popen(
                [find_program(), "--config", config, "--listen", listen, "--until-eof"], stdin=subprocess.PIPE,
                stdout=subprocess.PIPE, stderr=log, start_new_session=True)
        self.address = self._wait_ready()

    def _wait_ready(self):
        output, text = self._process.stdout, b""
        deadline = time.monotonic() + _START_S
        while b"\n" not in text:
            ready, _, _ = select.select([output], [], [], max(0.0, deadline - time.monotonic()))
            chunk = os.read(output.fileno(), 4096) if ready else b""
            if not chunk:
                self._process.kill()
                self._process.wait()
                reason = self._last_words()
                self._clean()
                raise ConnectionLost(f"rbc-farm does not start: {reason}")
            text += chunk
        return text.decode().split()[1]

    def _last_words(self):
        with open(self._log, encoding="utf-8", errors="replace") as file:
            lines = [line.strip() for line in file if line.strip()]
        return lines[-1] if lines else "it says nothing"

    @property
    def running(self):
        return self._pid == os.getpid() and self._process is not None and self._process.poll() is None

    def wait(self):
        """Blocks until the farm has ended; Ctrl-C stops it."""
        try:
            self._process.wait()
        except KeyboardInterrupt:
            self.stop()

    def stop(self, say=True):
        if self._pid != os.getpid() or self._process is None:
            return  # a forked child's copy
        process, self._process = self._process, None
        if process.poll() is None:
            if say:
                print("... stopping rpc.thrift server")
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(_STOP_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        process.stdin.close()
        process.stdout.close()
        self._clean()

    def _clean(self):
        shutil.rmtree(self._folder, ignore_errors=True)


_running = weakref.WeakSet()


@atexit.register
def _stop_all():
    for server in list(_running):
        try:
            server.stop(say=False)
        except Exception:  # the interpreter is going away
            pass


def start(rjit, port, simulate_gpu=False, may_move=True):
    """Starts a farm and points `rjit` at it; with may_move at a free port where the default one is taken."""
    address, is_ours = rjit.address, True
    if port is None:
        listen = address
        if not (address.startswith(("127.", "unix:", "[::1]", "localhost:"))):
            raise InvalidArgument(f"{address} is another machine; a server starts on this one only. "
                                  "Use RemoteJIT(host='localhost')")
    elif port == "unix":
        base = os.environ.get("XDG_RUNTIME_DIR") or tempfile.mkdtemp(prefix="rbc-")
        listen = f"unix:{os.path.join(base, f'rbc-farm-{os.getpid()}-{id(rjit):x}.sock')}"
    elif type(port) is int and 0 <= port < 65536:
        listen = f"127.0.0.1:{port}"
    else:
        raise InvalidArgument(f"port is {port!r}; give 0 (any free one) to 65535, or 'unix'")
    print(f"staring rpc.thrift server: {_definition()}")
    sys.stdout.flush()
    try:
        server = Server(listen, simulate_gpu)
    except ConnectionLost:
        if port is not None or not may_move:
            raise
        server = Server("127.0.0.1:0", simulate_gpu)  # the default port is somebody else's, perhaps another notebook's
    _running.add(server)
    if server.address != address:
        rjit._connect_to(server.address)
    return server


def _definition():
    return os.path.join(os.path.dirname(os.path.abspath(__file__)), "rbc.thrift")
