"""A farm started from Python: it answers, it ends, two do not collide.

SPDX-License-Identifier: Apache-2.0
"""

import io
import math
import os
import re
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

import rbc


def run(code, **kwargs):
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, **kwargs)


def alive(pid):
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def wait_gone(pid, seconds=20):
    deadline = time.monotonic() + seconds
    while alive(pid):
        assert time.monotonic() < deadline, f"process {pid} is still there"
        time.sleep(0.05)


def test_it_prints_one_line_each_and_stops_twice(capsys):
    rjit = rbc.RemoteJIT()
    rjit.start_server(background=True, port=0)
    pid = rjit.status()["farm"]["pid"] if "farm" in rjit.status() else rjit._server._process.pid
    assert rjit("int64(int64)")(lambda x: x + 1)(1) == 2
    rjit.start_server(background=True)  # it runs: nothing more happens
    rjit.stop_server()
    rjit.stop_server()
    wait_gone(pid)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2 and lines[0].startswith("staring rpc.thrift server: ")
    assert lines[1] == "... stopping rpc.thrift server"
    with pytest.raises(rbc.ConnectionLost):
        rjit("int64(int64)")(lambda x: x)(1)


def test_context_manager():
    with rbc.RemoteJIT().start_server(background=True, port=0) as rjit:
        pid = rjit._server._process.pid
        assert rjit("int64()")(lambda: 5)() == 5
    wait_gone(pid)


def test_a_socket_of_this_user():
    with rbc.RemoteJIT().start_server(background=True, port="unix") as rjit:
        assert rjit.address.startswith("unix:/")
        assert rjit("int64()")(lambda: 5)() == 5
        other = rbc.RemoteJIT(unix=rjit.address[len("unix:"):])
        assert other("int64()")(lambda: 6)() == 6


STARTS = """
import rbc, sys
rjit = rbc.RemoteJIT()
rjit.start_server(background=True{port})
print(rjit._server._process.pid, rjit("int64(int64)")(lambda x: x * 2)(21), flush=True)
"""


def test_it_is_stopped_at_exit():
    done = run(STARTS.format(port=", port=0"))
    assert done.returncode == 0, done.stderr
    pid, result = done.stdout.splitlines()[1].split()
    assert result == "42" and not alive(int(pid))


def test_in_the_foreground_no_other_port_is_taken(farm):
    rjit = rbc.RemoteJIT("localhost", int(farm.address.rsplit(":", 1)[1]))
    rjit._may_move = True  # as from the default port
    with pytest.raises(rbc.ConnectionLost, match="rbc-farm does not start"):
        rjit.start_server()
    with rjit.start_server(background=True):
        assert rjit.address != farm.address and rjit.targets


def test_nothing_is_connected_before_it_is_needed(monkeypatch, tmp_path):
    monkeypatch.delenv("RBC_FARM", raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    for rjit in (rbc.RemoteJIT(), rbc.RemoteJIT("localhost"), rbc.RemoteJIT(host="localhost", port=11530)):
        assert rjit.address == "127.0.0.1:11530"  # loopback, whatever the machine calls itself
    nowhere = rbc.RemoteJIT(unix=str(tmp_path / "nobody"))
    f = nowhere("int64(int64)")(lambda x: x)
    assert "int64(int64)" in repr(f) and f.local(3) == 3 and f.target() == "host"
    with pytest.raises(rbc.ConnectionLost, match="start one with rjit.start_server"):
        f(3)


def test_it_dies_with_its_parent():
    process = subprocess.Popen([sys.executable, "-c", STARTS.format(port=", port=0") + "\nimport time; time.sleep(60)"],
                               stdout=subprocess.PIPE, text=True)
    process.stdout.readline()
    pid = int(process.stdout.readline().split()[0])
    assert alive(pid)
    process.send_signal(signal.SIGKILL)
    process.wait()
    wait_gone(pid)


def test_two_interpreters_at_once_do_not_collide():
    code = STARTS.format(port="") + "\nsys.stdin.read()"
    both = [subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
            for _ in range(2)]
    for process in both:
        process.stdout.readline()
        assert process.stdout.readline().split()[1] == "42"
    for process in both:
        process.stdin.close()
        assert process.wait(30) == 0


def test_a_port_that_was_asked_for_and_is_taken_is_an_error(farm):
    port = int(farm.address.rsplit(":", 1)[1])
    with pytest.raises(rbc.ConnectionLost, match="does not start"):
        rbc.RemoteJIT().start_server(background=True, port=port)


def test_another_machine_is_refused():
    with pytest.raises(rbc.InvalidArgument, match="another machine"):
        rbc.RemoteJIT("192.0.2.1").start_server(background=True)


def test_the_session_is_made_again_after_a_restart(capsys):
    rjit = rbc.RemoteJIT()
    rjit.start_server(background=True, port=0)
    port = int(rjit.address.rsplit(":", 1)[1])
    f = rjit("int64(int64)")(lambda x: x + 1)
    assert f(1) == 2
    rjit.stop_server()
    rjit.start_server(background=True, port=port)
    assert f(2) == 3
    rjit.stop_server()
    with rbc.RemoteJIT("localhost", port).start_server(background=True):  # the port is somebody else's by now
        rjit.start_server(background=True, port=0)
        assert rjit.address != f"127.0.0.1:{port}" and f(3) == 4
        rjit.stop_server()


@pytest.mark.parametrize("port", [65536, 99999, -1, 1.5, "http", True])
def test_a_port_that_is_none_is_refused(port):
    with pytest.raises(rbc.InvalidArgument, match="give 0 .* to 65535"):
        rbc.RemoteJIT().start_server(background=True, port=port)


def test_hosts_with_their_port(farm):
    assert "host" in rbc.RemoteJIT(farm.address).targets  # 127.0.0.1:PORT
    assert rbc.RemoteJIT("[::1]:7").address == "[::1]:7" and rbc.RemoteJIT("::1", 7).address == "[::1]:7"
    for host in (None, 11530):
        with pytest.raises(rbc.InvalidArgument, match="give a name"):
            rbc.RemoteJIT(host)


def test_import_loads_no_numba_and_little_else():
    """What it takes in time, tests/bench/python_calls.py prints."""
    code = ("import sys; before = len(sys.modules); import rbc; "
            "print(len(sys.modules) - before, 'numba' in sys.modules, 'numpy' in sys.modules)")
    modules, *heavy = run(code).stdout.split()
    assert heavy == ["False", "False"]
    assert int(modules) <= 100, f"import rbc loads {modules} modules"


def test_profile(farm, capsys):
    host, port = farm.address.rsplit(":", 1)
    rjit = rbc.RemoteJIT(host, int(port))
    f = rjit("int64(int64)")(lambda x: x + 12345)
    with rjit.profile() as first:
        assert f(1) == 12346
    assert len(first.rows) == 1 and first.rows[0].cached is False and first.rows[0].compile_s > 0
    assert "first call" in first.advice and "lower ms" in str(first) and "<table>" in first._repr_html_()
    with rjit.profile() as second:
        assert [f(i) for i in range(200)] == [12345 + i for i in range(200)]
    assert len(second.rows) == 200 and second.rows[0].cached is None and "batch" in second.advice
    assert f(2) == 12347 and len(second.rows) == 200
    assert repr(first.rows[0]).startswith("<rbc profile of <lambda>, int64(int64): 1 calls, ")
    with rjit.profile(), pytest.raises(rbc.NoMatch) as caught:
        f("text")
    if hasattr(caught.value, "__notes__"):
        assert "takes: int64(int64)" in caught.value.__notes__[0]


@pytest.mark.parametrize("target", ["host", "cuda"])
def test_profile_tells_the_parts(simulated, target):
    @simulated("float64(float64*, int64)", target=target)
    def work(p, n):
        x = p[0]
        for i in range(n):
            x = math.sin(x + i)
        p[0] = x
        if n < 0:
            raise ValueError("negative")
        return x

    values = np.array([1.0, 2.0])
    work(values, 1)
    with simulated.profile() as p:
        work(values, 3_000_000)
        with pytest.raises(ValueError):
            work(values, -1)
    row, raised = p.rows
    assert row.kernel_s > 0.005 and row.kernel_s < row.call_s
    parts = [row.queue_s, row.upload_s, row.kernel_s, row.download_s, row.wire_s]
    assert min(parts) >= 0 and sum(parts) == pytest.approx(row.call_s) and raised.kernel_s > 0
    assert row.bytes_out >= 16 + 16 and row.bytes_in >= 8 + 16
    assert "the function's own" in p.advice and "kernel us" in str(p) and "download us" in p._repr_html_()
    with simulated.profile() as p:
        work.batch([(values, 2), (values, 3)])
    assert [row.calls for row in p.rows] == [2] and p.rows[0].kernel_s is None and "one round trip" in p.advice


def test_what_takes_long_says_so(rjit, monkeypatch):
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    @rjit("int64(int64)")
    def spin(n):
        x = n
        for i in range(n):
            x = x * 6364136223846793005 + i
            if x == 12345:
                x += 1
        return x

    spin(1)
    for _ in range(5):  # on a busy machine a short call too may take a second
        shown = Terminal()
        monkeypatch.setattr(sys, "stderr", shown)
        spin(2)
        if shown.getvalue() == "":
            break
    assert shown.getvalue() == ""
    n = 2 * 10**9
    while "waiting for the farm (1 s)" not in shown.getvalue() and n < 10**12:
        spin(n)
        n *= 2
    assert "waiting for the farm (1 s)" in shown.getvalue() and shown.getvalue().endswith("\r\x1b[K")
    silent = io.StringIO()
    monkeypatch.setattr(sys, "stderr", silent)
    spin(n // 2)
    assert silent.getvalue() == ""
    with monkeypatch.context() as patch:
        patch.setattr(sys, "stderr", shown)
        patch.setattr(rbc._progress, "AFTER_S", 0.05)
        with rbc._progress.of("lowering f"):
            time.sleep(0.5)
    assert re.search(r"lowering f \(\d+ s\)", shown.getvalue())


# An ssh that forwards a socket of this machine to another one of it, as `-L local:remote` asks.
_SSH = '''#!{python}
import os, socket, sys, threading
local, remote = sys.argv[sys.argv.index("-L") + 1].split(":")
assert sys.argv[-2:] == ["me@box", "cat"], sys.argv
listener = socket.socket(socket.AF_UNIX)
listener.bind(local)
listener.listen()
def pump(a, b):
    while data := a.recv(65536):
        b.sendall(data)
    b.shutdown(socket.SHUT_WR)
def serve():
    while True:
        near, _ = listener.accept()
        far = socket.socket(socket.AF_UNIX)
        far.connect(remote)
        for ends in ((near, far), (far, near)):
            threading.Thread(target=pump, args=ends, daemon=True).start()
threading.Thread(target=serve, daemon=True).start()
while line := os.read(0, 4096):
    os.write(1, line)
'''


def test_a_farm_behind_ssh(tmp_path, monkeypatch):
    ssh = tmp_path / "ssh"
    ssh.write_text(_SSH.replace("{python}", sys.executable))
    ssh.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    with rbc.RemoteJIT().start_server(background=True, port="unix") as near:
        far = rbc.RemoteJIT(f"ssh://me@box{near.address.removeprefix('unix:')}")
        add = far("float64(float64, float64)")(lambda x, y: x + y)
        assert add(1.5, 2.0) == 3.5
        x = np.arange(1000.0)
        there = far.to_device(x)
        assert not there.is_shared and np.array_equal(add(there, 1.0).get(), x + 1)
        far.close()
    with pytest.raises(rbc.InvalidArgument, match="leave tls out"):
        rbc.RemoteJIT("ssh://me@box", tls=True)


def test_in_the_foreground_it_blocks_until_it_is_stopped(tmp_path):
    path = str(tmp_path / "farm.sock")
    code = ("import signal, rbc; signal.signal(signal.SIGINT, signal.default_int_handler); "  # a shell's & ignores it
            f"rbc.RemoteJIT(unix={path!r}).start_server(); print('over')")
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline().startswith("staring rpc.thrift server: ")
    client = rbc.RemoteJIT(unix=path)
    deadline = time.monotonic() + 30
    while True:
        try:
            assert client.targets["host"].pointer_bits == 64
            break
        except rbc.ConnectionLost:
            assert time.monotonic() < deadline
            time.sleep(0.05)
    assert client("int64(int64)")(lambda x: x + 1)(1) == 2 and process.poll() is None
    client.close()
    process.send_signal(signal.SIGINT)
    assert process.communicate(timeout=30)[0] == "... stopping rpc.thrift server\nover\n" and process.returncode == 0
    with pytest.raises(rbc.ConnectionLost):
        client.targets["host"]  # known
        client.status()
