"""Pi by throwing darts. Each row has random numbers of its own, from its seed: the same seeds give the same answer, on
any target and in any order.

SPDX-License-Identifier: Apache-2.0
"""

import rbc


def next_random(state):
    """SplitMix64: the next state and a number in [0, 1). Kept in 63 bits, so that Python and the farm agree."""
    state = (state * 2862933555777941757 + 3037000493) & 0x7FFFFFFFFFFFFFFF
    mixed = state ^ (state >> 29)
    mixed = (mixed * 1181783497276652981) & 0x7FFFFFFFFFFFFFFF
    mixed = mixed ^ (mixed >> 32)
    return state, (mixed >> 10) / 9007199254740992.0


def darts(seed, throws):
    """How many of `throws` darts hit the quarter circle."""
    state = seed
    hits = 0
    for _ in range(throws):
        state, x = next_random(state)
        state, y = next_random(state)
        if x * x + y * y < 1.0:
            hits += 1
    return hits


def main(rjit, rows=64, throws=20_000):
    f = rjit("int64(int64, int64)")(darts)
    hits = f.batch([(seed, throws) for seed in range(1, rows + 1)])
    estimate = 4.0 * sum(hits) / (rows * throws)
    print(f"pi is about {estimate:.4f}")
    return hits, estimate


if __name__ == "__main__":
    with rbc.RemoteJIT().start_server(background=True) as farm:
        main(farm)
