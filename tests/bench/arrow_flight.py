"""Arrays to and from the farm beside Arrow Flight, in one run: arrow_flight.py [--mib N]. Needs rbc to be importable.

Both sides are processes of this machine; Flight's server keeps what it is given, as the farm does. Prints GB/s, the median of
rounds, over loopback TCP. Without pyarrow it says how to get it and prints the farm's figures alone.

SPDX-License-Identifier: Apache-2.0
"""

import argparse
import multiprocessing
import os
import statistics
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


def rate(action, size):
    action()
    times = []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        action()
        times.append(time.perf_counter() - start)
    return size / statistics.median(times) / 1e9


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


def measure_flight(numbers):
    ours, theirs = multiprocessing.get_context("spawn").Pipe()
    process = multiprocessing.get_context("spawn").Process(target=serve, args=("grpc://127.0.0.1:0", theirs), daemon=True)
    process.start()
    port = ours.recv()
    client = flight.connect(f"grpc://127.0.0.1:{port}")
    table = pyarrow.table({"x": numbers})

    def put():
        writer, _ = client.do_put(flight.FlightDescriptor.for_path("x"), table.schema)
        writer.write_table(table)
        writer.close()

    def get():
        return client.do_get(flight.Ticket(b"x")).read_all()

    rates = rate(put, numbers.nbytes), rate(get, numbers.nbytes)
    assert np.array_equal(get()["x"].to_numpy(), numbers)
    process.terminate()
    process.join()
    return rates


def measure_farm(numbers):
    rjit = rbc.RemoteJIT()
    rjit.start_server(background=True, port=0)
    try:
        there = rjit.to_device(numbers)
        back = np.empty_like(numbers)
        rates = rate(lambda: there.set(numbers), numbers.nbytes), rate(lambda: there.get(out=back), numbers.nbytes)
        assert np.array_equal(back, numbers)
        return rates
    finally:
        rjit.stop_server()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--mib", type=int, default=64)
    numbers = np.random.default_rng(7).random(parser.parse_args().mib << 17)
    to, back = measure_farm(numbers)
    print(f"rbc     to {to:5.2f} GB/s   back {back:5.2f} GB/s", flush=True)
    if flight is not None:
        to_flight, from_flight = measure_flight(numbers)
        print(f"Flight  to {to_flight:5.2f} GB/s   back {from_flight:5.2f} GB/s   "
              f"rbc is {to / to_flight:4.2f}x and {back / from_flight:4.2f}x (goal more than 1)")


if __name__ == "__main__":
    main()
    os._exit(0)  # Flight's threads take their time
