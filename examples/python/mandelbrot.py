"""The Mandelbrot set, a row of the picture with each call.

SPDX-License-Identifier: Apache-2.0
"""

import rbc


def mandelbrot_row(counts, width, y, limit):
    """Iterations until each point of a row escapes, into `counts`."""
    for column in range(width):
        c = complex(-2.0 + 3.0 * column / width, y)
        z = 0j
        n = 0
        while n < limit and z.real * z.real + z.imag * z.imag <= 4.0:
            z = z * z + c
            n += 1
        counts[column] = n


def main(rjit, width=60, height=24, limit=200):
    import numpy

    row = rjit("void(int32*, int64, float64, int64)")(mandelbrot_row)
    picture = numpy.zeros((height, width), numpy.int32)
    calls = [row.submit(picture[i], width, -1.2 + 2.4 * i / height, limit) for i in range(height)]
    for call in calls:
        call.result()
    shades = " .:-=+*#%@"
    for line in picture:
        print("".join(shades[min(9, int(n) * 10 // limit)] for n in line))
    return picture


if __name__ == "__main__":
    with rbc.RemoteJIT().start_server(background=True) as farm:
        main(farm)
