"""Functions that tests lower: here, because pytest rewrites the asserts of its own files.

SPDX-License-Identifier: Apache-2.0
"""

import math


class CustomError(Exception):
    pass


def checked_root(x):
    assert x < 100, "too much"
    if x < 0:
        raise CustomError("negative", 17)
    return math.sqrt(x)


def is_even(n):
    if n == 0:
        return True
    return is_odd(n - 1)


def is_odd(n):
    if n == 0:
        return False
    return is_even(n - 1)
