// How a kernel of a compiled cuda module is launched: names and parameter layouts of its entries. No LLVM, no driver.
// SPDX-License-Identifier: Apache-2.0
//
// Each entry takes one packed buffer of parameters, each at its natural alignment: what cuLaunchKernel takes by
// CU_LAUNCH_PARAM_BUFFER_POINTER, and what a simulated entry's only argument points to. Pointers are device addresses
// (simulated: addresses of the process), 8 bytes on every target.
//
// call      one thread: CallParameters. `frame` is EntryPoint::frame_size bytes with its payload behind it, as for the
//           host: cells are relative to `frame`. `result` has max(result_size, 1) bytes. Both aligned to 16. The entry
//           writes the function's status to *status. A string result is refused on cuda.
// map       grid-stride, any one-dimensional grid and block: MapParameters, then one Column for each parameter of the
//           signature, then one for the result unless it is void. Elements lie as in a frame (bool one byte). A stride
//           of 0 broadcasts. `rows` is at most kMaxRowsPerLaunch. Pointers and strings are refused. *outcome is set to
//           kAllRowsFine before the launch; after it the first failing row and its status: OutcomeRow(),
//           OutcomeStatus().
// reduce    a function T(T,T) that is associative and commutative, blocks of kReduceThreads threads, any
// one-dimensional
//           grid: ReduceParameters. Each block writes one T to partials[blockIdx.x * element size], or nothing if it
//           has no row: block b has rows while b * kReduceThreads < rows. Run it again over the partials, by one block.
// kernel    the client's own: EntryPoint::parameters say where each parameter of the signature lies in the buffer.
// constructors, destructors of the artifact: no parameters, one thread.
#pragma once

#include <cstdint>

namespace rbc::cuda {

struct CallParameters {
  uint64_t frame;
  uint64_t result;
  uint64_t status;  // int32_t*
};
static_assert(sizeof(CallParameters) == 24);

struct MapParameters {
  uint64_t rows;
  uint64_t outcome;  // uint64_t*
};
struct Column {
  uint64_t data;   // of row 0
  int64_t stride;  // bytes from row to row
};
static_assert(sizeof(MapParameters) == 16 && sizeof(Column) == 16);
inline constexpr uint64_t kMaxRowsPerLaunch = 0xFFFFFFFF;
inline constexpr uint64_t kAllRowsFine = ~uint64_t{0};
inline constexpr uint32_t OutcomeRow(uint64_t outcome) { return outcome >> 32; }
inline constexpr int32_t OutcomeStatus(uint64_t outcome) { return static_cast<int32_t>(outcome); }

struct ReduceParameters {
  uint64_t rows;     // at most kMaxRowsPerLaunch
  uint64_t outcome;  // as for map
  Column column;
  uint64_t partials;
};
static_assert(sizeof(ReduceParameters) == 40);
inline constexpr uint32_t kReduceThreads = 256;

}  // namespace rbc::cuda
