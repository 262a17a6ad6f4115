"""The examples run, and give what plain Python gives.

SPDX-License-Identifier: Apache-2.0
"""

import math
import os
import subprocess
import sys

import pytest

FOLDER = os.path.join(os.environ["RBC_SOURCE"], "examples", "python")
sys.path.insert(0, FOLDER)

import black_scholes  # noqa: E402
import mandelbrot  # noqa: E402
import monte_carlo  # noqa: E402
import ode  # noqa: E402


def test_black_scholes(rjit):
    one, many = black_scholes.main(rjit)
    assert one == pytest.approx(black_scholes.call_price(100.0, 105.0, 1.0, 0.02, 0.2), rel=1e-12)
    assert one == pytest.approx(6.7040, abs=1e-3)
    assert many == sorted(many, reverse=True) and len(many) == 9
    # Put-call parity, by the put priced as a call with spot and strike changed about.
    price = rjit("float64(float64, float64, float64, float64, float64)")(black_scholes.call_price)
    with pytest.raises(ValueError, match="volatility"):
        price(100.0, 100.0, 1.0, 0.0, 0.0)


def test_mandelbrot(rjit):
    picture = mandelbrot.main(rjit)
    import numpy

    for y in (0, 7, 12, 23):
        row = numpy.zeros(60, numpy.int32)
        mandelbrot.mandelbrot_row(row, 60, -1.2 + 2.4 * y / 24, 200)
        assert picture[y].tolist() == row.tolist()
    assert picture.max() == 200 and picture.min() < 3


def test_ode(rjit):
    states = ode.main(rjit, steps=2000)
    for (angle, speed), seconds in zip(states, (0.5, 1.0, 2.0, 4.0)):
        want = ode.swing(1.0, 0.0, 1.0, 0.1, seconds, 2000)
        assert (angle, speed) == pytest.approx(want, rel=1e-9, abs=1e-12)


def test_monte_carlo(rjit):
    hits, estimate = monte_carlo.main(rjit, rows=16, throws=5000)
    assert abs(estimate - math.pi) < 0.03
    assert hits[:2] == [monte_carlo.darts(seed, 5000) for seed in (1, 2)]
    assert monte_carlo.main(rjit, rows=16, throws=5000)[0] == hits


@pytest.mark.parametrize("name", ["black_scholes", "mandelbrot", "ode", "monte_carlo"])
def test_each_runs_as_a_program(name):
    done = subprocess.run([sys.executable, os.path.join(FOLDER, name + ".py")], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) >= 3
