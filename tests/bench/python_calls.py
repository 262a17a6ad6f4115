"""Scalar calls from Python against a raw socket, in one run: python_calls.py [--cpus N]. Needs rbc to be importable.

Prints microseconds of a call: best and median of rounds. The raw socket is a Python echo of as many bytes, over a Unix
socket, which is the floor for anything in Python.

SPDX-License-Identifier: Apache-2.0
"""

import argparse
import os
import socket
import statistics
import subprocess
import sys
import time

ROUNDS, CALLS = 15, 5000


def measure(call, rounds=ROUNDS, calls=CALLS, size=1):
    times = []
    for _ in range(rounds):
        started = time.perf_counter()
        for _ in range(calls):
            call()
        times.append((time.perf_counter() - started) / calls / size * 1e6)
    return min(times), statistics.median(times)


def raw_socket(size=96):
    ours, theirs = socket.socketpair()
    pid = os.fork()
    if pid == 0:
        ours.close()
        while True:
            data = theirs.recv(4096)
            if not data:
                os._exit(0)
            theirs.sendall(data)
    theirs.close()
    message = b"x" * size

    def call():
        ours.sendall(message)
        return ours.recv(4096)

    assert call() == message
    result = measure(call)
    ours.close()
    os.waitpid(pid, 0)
    return result


def import_time(module):
    """Milliseconds that importing the module takes in a new interpreter, best of seven."""
    code = f"import time; t = time.perf_counter(); import {module}; print(time.perf_counter() - t)"
    return min(float(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout)
               for _ in range(7)) * 1e3


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--cpus", type=int, default=0, help="pin everything to so many processors; 0: do not")
    arguments = parser.parse_args()
    if arguments.cpus:
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:arguments.cpus])
    import rbc

    floor = raw_socket()
    with rbc.RemoteJIT().start_server(background=True, port="unix") as rjit:
        add = rjit("float64(float64, float64)")(lambda a, b: a + b)
        assert add(1.5, 2.0) == 3.5
        call = measure(lambda: add(1.5, 2.0))
        rows = [(float(i), 2.0) for i in range(1000)]
        assert add.batch(rows) == [float(i) + 2.0 for i in range(1000)]
        batch = measure(lambda: add.batch(rows), ROUNDS, 20, len(rows))
    print(f"raw Python socket  best {floor[0]:.2f} us, median {floor[1]:.2f} us")
    print(f"rbc call           best {call[0]:.2f} us, median {call[1]:.2f} us, "
          f"{call[0] / floor[0]:.2f} and {call[1] / floor[1]:.2f} times the socket")
    print(f"rbc batch of 1000  best {batch[0]:.2f} us, median {batch[1]:.2f} us for a call, "
          f"{batch[1] / call[1]:.2f} times a single call")
    ours, theirs = import_time("rbc"), import_time("asyncio")
    print(f"import rbc         {ours:.1f} ms, {ours / theirs:.2f} times import asyncio; goal: 60 ms")


if __name__ == "__main__":
    main()
