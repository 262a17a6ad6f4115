"""A pendulum with friction: the classic Runge-Kutta method, all steps in one call.

SPDX-License-Identifier: Apache-2.0
"""

import math

import rbc

GRAVITY = 9.81


def slope(angle, speed, length, friction):
    return speed, -GRAVITY / length * math.sin(angle) - friction * speed


def swing(angle, speed, length, friction, seconds, steps):
    """Angle and angular speed after `seconds`."""
    h = seconds / steps
    for _ in range(steps):
        a1, v1 = slope(angle, speed, length, friction)
        a2, v2 = slope(angle + h / 2 * a1, speed + h / 2 * v1, length, friction)
        a3, v3 = slope(angle + h / 2 * a2, speed + h / 2 * v2, length, friction)
        a4, v4 = slope(angle + h * a3, speed + h * v3, length, friction)
        angle += h / 6 * (a1 + 2 * a2 + 2 * a3 + a4)
        speed += h / 6 * (v1 + 2 * v2 + 2 * v3 + v4)
    return angle, speed


def main(rjit, steps=100_000):
    f = rjit("{float64, float64}(float64, float64, float64, float64, float64, int64)")(swing)
    states = [f(1.0, 0.0, 1.0, 0.1, seconds, steps) for seconds in (0.5, 1.0, 2.0, 4.0)]
    for angle, speed in states:
        print(f"angle {angle:+.6f}, speed {speed:+.6f}")
    return states


if __name__ == "__main__":
    with rbc.RemoteJIT().start_server(background=True) as farm:
        main(farm)
