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
// reduce    a function T(T,T) that is associative, blocks of kReduceThreads threads, a one-dimensional grid with as
// many
//           blocks for each segment: ReduceParameters. Each thread has a run of neighbours: `run` of them or, where
//           that is 0, as many as share a segment out. Each block writes one T to partials[blockIdx.x * element size],
//           or nothing if it has no row. With kReduceAlone each thread does so of its run, at segment * runs of a
//           segment + number of the run; neighbours are in neighbouring segments. Run it again over the partials, until
//           one is left of each segment.
// scan      a function T(T,T) that is associative, any one-dimensional grid, blocks of at most kScanThreads threads:
//           ScanParameters. Each block takes segments. Each thread of it has a run of neighbours, so that the number of
//           threads says which values meet: one thread goes strictly from first to last. Input and output may be one.
//           Blocks share a long segment by three launches: each gives the value of its part, one scans these, each goes
//           over its part behind what came before.
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
  uint64_t rows;     // of a segment; of all at most kMaxRowsPerLaunch
  uint64_t outcome;  // as for map
  Column column;     // of the first segment
  uint64_t partials;
  uint64_t run;           // rows of a thread; 0: as many as share all out
  uint64_t segments = 1;  // each reduced by itself
  int64_t between = 0;    // bytes from one to the next
  uint64_t flags = 0;
};
static_assert(sizeof(ReduceParameters) == 72);
enum ReduceFlag : uint64_t {
  kReduceAlone = 1,
  // All runs of a block lie side by side, without gaps between elements: it brings them together, whole sectors of
  // memory at once. The same values meet.
  kReduceStaged = 2,
};
inline constexpr uint32_t kReduceThreads = 256;

struct ScanParameters {
  uint64_t segments;
  uint64_t length;   // elements of each; all of them together at most kMaxRowsPerLaunch
  uint64_t outcome;  // as for map
  Column in, out;    // all segments, one behind the other
  uint64_t carry;    // the value of all that came before each segment, or 0
  uint64_t carries;  // not 0: before each but the first there is one of these
  uint64_t total;    // elements of all segments; the last may have fewer than `length`
  uint64_t values;   // not 0: the value of each segment goes there, and nothing to `out`
  uint64_t flags = 0;
};
static_assert(sizeof(ScanParameters) == 96);
// Input and output lie without gaps between elements: as kReduceStaged, both ways.
inline constexpr uint64_t kScanStaged = 1;
inline constexpr uint32_t kScanThreads = 256;
// The threads of a block for segments of this length: whole warps, each thread with some elements.
inline constexpr uint32_t ScanThreads(uint64_t length) {
  const uint64_t wanted = (length / 8 + 31) / 32 * 32;
  return static_cast<uint32_t>(wanted < 32 ? 32 : wanted > kScanThreads ? kScanThreads : wanted);
}

}  // namespace rbc::cuda
