"""Arrays to and from the farm beside Arrow Flight, in one run: arrow_flight.py [--mib N]. Needs rbc to be importable.

Over loopback TCP and over a Unix socket, where rbc is told not to share memory (direct=False). Both sides are processes of this
machine; Flight's server keeps what it is given, as the farm does. Prints GB/s, the medians of rounds in which everybody takes turns.
Without pyarrow it says how to get it and prints the farm's figures alone.

SPDX-License-Identifier: Apache-2.0
"""

import argparse
import multiprocessing
import os
import statistics
import tempfile
import time

import numpy as np

import rbc

try:
    import pyarrow
    import pyarrow.flight as flight
except ImportError:
    flight = None
    print("no Arrow Flight beside it: pip install pyarrow, into the Python that runs this")

ROUNDS = 9


def serve(location, ready):
    class Keeper(flight.FlightServerBase):
        table = None

        def do_put(self, context, descriptor, reader, writer):
            self.table = reader.read_all()

        def do_get(self, context, ticket):
            return flight.RecordBatchStream(self.table)

    server = Keeper(location)
    ready.send(server.port)
    server.serve()


class Flight:
    def __init__(self, unix):
        folder = self.folder = tempfile.TemporaryDirectory()
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe()
        location = f"grpc+unix://{folder.name}/flight.sock" if unix else "grpc://127.0.0.1:0"
        self.process = context.Process(target=serve, args=(location, theirs), daemon=True)
        self.process.start()
        port = ours.recv()
        self.client = flight.connect(location if unix else f"grpc://127.0.0.1:{port}")

    def put(self, numbers):
        table = pyarrow.table({"x": numbers})
        writer, _ = self.client.do_put(flight.FlightDescriptor.for_path("x"), table.schema)
        writer.write_table(table)
        writer.close()

    def get(self):
        return self.client.do_get(flight.Ticket(b"x")).read_all()["x"].to_numpy()

    def close(self):
        self.process.terminate()
        self.process.join()


class Farm:
    def __init__(self, unix):
        self.started = rbc.RemoteJIT()
        self.started.start_server(background=True, port="unix" if unix else 0)
        host, _, port = self.started.address.rpartition(":")
        address = (self.started.address,) if unix else (host, int(port))
        self.rjit = rbc.RemoteJIT(*address, direct=False)

    def put(self, numbers):
        if not hasattr(self, "there"):
            self.there = self.rjit.empty(numbers.shape, numbers.dtype)
            self.back = np.empty_like(numbers)
        self.there.set(numbers)

    def get(self):
        self.there.get(out=self.back)
        return self.back

    def close(self):
        self.started.stop_server()


def measure(sides, numbers):
    """GB/s of each side: [(to, from), ...]."""
    times = {}
    for round_ in range(ROUNDS + 1):
        for side in sides:
            for name, action in (("to", lambda: side.put(numbers)), ("from", side.get)):
                start = time.perf_counter()
                action()
                if round_ != 0:
                    times.setdefault((side, name), []).append(time.perf_counter() - start)
    for side in sides:
        assert np.array_equal(side.get(), numbers)
    return [tuple(numbers.nbytes / statistics.median(times[side, name]) / 1e9 for name in ("to", "from")) for side in sides]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--mib", type=int, default=64)
    numbers = np.random.default_rng(7).random(parser.parse_args().mib << 17)
    for way, unix in (("TCP", False), ("Unix", True)):
        sides = [Farm(unix)] + ([Flight(unix)] if flight is not None else [])
        ours, *theirs = measure(sides, numbers)
        print(f"{way:4} rbc     to {ours[0]:5.2f} GB/s   back {ours[1]:5.2f} GB/s", flush=True)
        for to, back in theirs:
            print(f"{way:4} Flight  to {to:5.2f} GB/s   back {back:5.2f} GB/s   "
                  f"rbc is {ours[0] / to:4.2f}x and {ours[1] / back:4.2f}x (goal more than 1)", flush=True)
        for side in sides:
            side.close()


if __name__ == "__main__":
    main()
    os._exit(0)  # Flight's threads take their time
