"""Kernels in Python, on the simulator.

SPDX-License-Identifier: Apache-2.0
"""

import numpy as np
import pytest

import rbc
from rbc import cuda


@pytest.fixture
def gpu(simulated):
    assert "cuda" in simulated.targets, "the farm of the tests plays a GPU"
    return simulated


def test_each_thread_has_its_place(gpu):
    @gpu.kernel("void(float64*, float64*, int64)")
    def scale(out, x, n):
        for i in range(cuda.grid(1), n, cuda.gridsize(1)):
            out[i] = 2 * x[i] + cuda.threadIdx.x * 0

    x = np.linspace(0, 1, 1000)
    out = np.zeros(1000)
    scale[4, 64](out, x, 1000)
    assert np.array_equal(out, 2 * x)


def test_two_dimensions(gpu):
    @gpu.kernel("void(int64*, int64)")
    def number(out, width):
        x, y = cuda.grid(2)
        out[y * width + x] = 100 * cuda.blockIdx.y + 10 * cuda.blockIdx.x + cuda.blockDim.x

    out = np.zeros((6, 8), np.int64)
    number[(2, 2), (4, 3)](out, 8)
    want = np.array([[100 * (y // 3) + 10 * (x // 4) + 4 for x in range(8)] for y in range(6)])
    assert np.array_equal(out, want)


def test_atomics_take_arrays(gpu):
    @gpu.kernel("void(int32[:], int64[:,:], float32[::1], uint8[:])")
    def count(of_rest, table, total, x):
        i = cuda.grid(1)
        if i < x.shape[0]:
            cuda.atomic.add(of_rest, x[i] % 8 - 8, 1)
            cuda.atomic.max(table, (x[i] % 2, i % 3), i)
            cuda.atomic.add(total, 0, x[i])

    x = np.arange(200, dtype=np.uint8)
    of_rest, table, total = np.zeros(16, np.int32)[::2], np.zeros((3, 2), np.int64).T, np.zeros(1, np.float32)
    count[4, 64](of_rest, table, total, x)
    assert of_rest.tolist() == [25] * 8
    assert table.tolist() == [[max(i for i in range(200) if i % 2 == row and i % 3 == column) for column in range(3)]
                              for row in range(2)]
    assert total[0] == x.sum()


def test_an_atomic_operation_that_cannot_be_is_explained(gpu):
    @gpu.kernel("void(int32[:,:])")
    def flat(x):
        cuda.atomic.add(x, 3, 1)

    @gpu.kernel("void(complex128[:])")
    def complex_numbers(x):
        cuda.atomic.add(x, 3, 1j)

    @gpu.kernel("void(int32[:])")
    def of_no_type(x):
        part = cuda.shared.array(64, "int32")
        x[0] = part[0]

    with pytest.raises(rbc.TypingError, match="the second argument of a shared array is a type, such as"):
        of_no_type[1, 1](np.zeros(4, np.int32))
    with pytest.raises(rbc.TypingError, match="2 dimensions takes as many indices, not 1"):
        flat[1, 1](np.zeros((2, 2), np.int32))
    with pytest.raises(rbc.TypingError, match="no atomic add of complex128"):
        complex_numbers[1, 1](np.zeros(4, complex))


def test_shared_memory_barriers_and_atomics(gpu):
    def half(x):
        return x * 0.5

    @gpu.kernel("void(float64*, int64*, float64*, int64)")
    def total(out, count, x, n):
        part = cuda.shared.array(64, np.float64)
        thread = cuda.threadIdx.x
        value = 0.0
        for i in range(cuda.grid(1), n, cuda.gridsize(1)):
            value += half(x[i])
            cuda.atomic.add(count, 0, 1)
        part[thread] = value
        cuda.syncthreads()
        step = 32
        while step > 0:
            if thread < step:
                part[thread] += part[thread + step]
            cuda.syncthreads()
            step //= 2
        if thread == 0:
            cuda.atomic.add(out, 0, part[0])

    x = np.arange(1000.0)
    out, count = np.zeros(1), np.zeros(1, np.int64)
    total[3, 64](out, count, x, 1000)
    assert out[0] == x.sum() / 2 and count[0] == 1000


def test_the_first_exception_comes_back_with_its_place(gpu):
    @gpu.kernel("void(int64*, int64)")
    def half(data, n):
        i = cuda.grid(1)
        if i < n:
            if data[i] < 0:
                raise ValueError("negative")
            data[i] = 100 // data[i]

    data = np.array([1, 2, 4, 5, 10, -3, 20, 25])
    with pytest.raises(ValueError, match="negative") as caught:
        half[2, 4](data, 8)
    assert caught.value.rbc_block == (1, 0, 0) and caught.value.rbc_thread == (1, 0, 0)
    assert caught.value.rbc_location[0] == "half"
    assert any("block (1, 0, 0), thread (1, 0, 0)" in note for note in caught.value.__notes__)
    assert list(data) == [100, 50, 25, 20, 10, -3, 5, 4], "the other threads run to their end"
    data[5] = 0
    with pytest.raises(ZeroDivisionError):
        half[2, 4](data, 8)
    data[5] = 50
    half[2, 4](data, 8)
    assert data[5] == 2, "the next launch starts afresh"


def test_many_threads_that_raise_are_one_exception(gpu):
    @gpu.kernel("void()")
    def refuse():
        cuda.syncthreads()
        raise KeyError("none")

    with pytest.raises(KeyError, match="none") as caught:
        refuse[(2, 2), (8, 4)]()
    assert max(caught.value.rbc_block) < 2 and caught.value.rbc_thread[0] < 8


def test_what_is_no_launch_is_refused(gpu):
    k = gpu.kernel("void(int64*)")(lambda p: None)
    with pytest.raises(rbc.InvalidArgument, match="blocks, threads"):
        k(None)
    with pytest.raises(rbc.InvalidArgument):
        k[4]
    with pytest.raises(rbc.InvalidArgument, match="no result"):
        gpu.kernel("int64(int64)")(lambda x: x)


def test_a_launch_and_a_queue_say_what_they_are(gpu):
    launch = gpu.kernel(lambda x: None)[2, (3, 4)]
    assert repr(launch) == "<rbc launch of <lambda>: blocks [2], threads [3, 4]>"
    assert repr(gpu.queue()) == f"<rbc queue of {gpu.address}>"


def test_a_grid_is_of_whole_numbers(gpu):
    @gpu.kernel("void(float64*)")
    def one(x):
        x[0] = 1.0

    x = np.zeros(1)
    for grid, what in (((1.5, 32), "grid is 1.5"), ((1, "32"), "block is '32'"), (((1, None), 1), "dimension 2 of the grid"),
                       ((1, 1, 0.5), "shared_bytes is 0.5")):
        with pytest.raises(rbc.InvalidArgument, match=what):
            one[grid](x)
    one[np.int64(1), np.uint8(1)](x)
    assert x[0] == 1.0


def test_without_a_signature_each_launch_has_the_types_of_its_arguments(gpu):
    @gpu.kernel
    def double(x, factor):
        i = cuda.grid(1)
        if i < x.size:
            x[i] *= factor

    for dtype in (np.float64, np.int32, np.float64):
        x = np.arange(5).astype(dtype)
        double[1, 8](x, 3)
        assert x.dtype == dtype and x.tolist() == [0, 3, 6, 9, 12]
    strided = np.arange(6.0)
    double[1, 4](strided[::2], 2.0)
    assert strided.tolist() == [0, 1, 4, 3, 8, 5]
    there = gpu.to_device(np.arange(3.0), target="cuda")
    double[1, 4](there, 2)
    assert there.get().tolist() == [0, 2, 4]
    assert [str(s) for s in double.signatures][:2] == ["void(float64[::1], int64)", "void(int32[::1], int64)"]


def test_a_status_that_was_overwritten_says_so(gpu):
    @gpu.kernel("void(float64[:])")
    def run_over(x):
        x[cuda.grid(1)] = 1.0

    with pytest.raises(rbc.RemoteException, match="wrote outside of its arrays"):
        run_over[1, 64](np.zeros(10))


def test_arrays_in_kernels(gpu):
    @gpu.kernel("void(float64[:], float64[::1], int32[:,:])")
    def scale(out, x, counts):
        i = cuda.grid(1)
        if i < len(x):
            out[i] = 2 * x[i]
            counts[i % counts.shape[0], i // counts.shape[0]] += i

    x, wide, counts = np.arange(10.0), np.full(30, -1.0), np.zeros((2, 5), np.int32)
    scale[2, 8](wide[::3], x, counts)
    assert np.array_equal(wide[::3], 2 * x) and wide[1] == -1
    assert np.array_equal(counts, np.arange(10).reshape(5, 2).T)
    with pytest.raises(rbc.NoMatch):
        scale[2, 8](wide, x[::2], counts)


def test_complex_numbers_and_structs_in_kernels(gpu):
    @gpu.kernel("void(bool, complex64, {float64 scale, {int8, complex128} rest}, int16, complex128*)")
    def mix(flag, z, s, n, out):
        i = cuda.grid(1)
        out[i] = z * s.scale + s.rest[0] + s.rest[1] + n + i if flag else 0j

    out = np.zeros(4, np.complex128)
    mix[2, 2](True, 1 + 2j, (0.5, (3, 1j)), 100, out)
    assert out.tolist() == [103.5 + i + 2j for i in range(4)]

    @gpu.kernel
    def fill(out, z):
        out[cuda.grid(1)] = z

    fill[2, 2](out, 2j)
    assert out.tolist() == [2j] * 4
    with pytest.raises(rbc.UnsupportedFeature, match="a kernel, which takes no text"):
        gpu.kernel("void(string, int64*)")(lambda text, out: None)[1, 1]("text", np.zeros(1, np.int64))


def test_arrays_in_functions_on_a_gpu(gpu):
    @gpu("float64(float64[:,:], float64[:])", target="cuda")
    def rows(a, out):
        total = 0.0
        for i in range(a.shape[0]):
            for j in range(a.shape[1]):
                out[i] += a[i, j]
            total += out[i]
        return total

    a, out = np.arange(12.0).reshape(3, 4), np.zeros(3)
    assert rows(a, out) == 66.0 and np.array_equal(out, a.sum(1))
    out[:] = 0
    assert rows(a.T[::2], out[:2]) == a.T[::2].sum() and np.array_equal(out[:2], a.T[::2].sum(1))
    with pytest.raises(rbc.UnsupportedFeature, match="cannot return an array"):
        gpu("float64[:](float64[:])", target="cuda")(lambda x: x + 1)(a[0])
