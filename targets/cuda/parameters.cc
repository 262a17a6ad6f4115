// The packed parameters of a launch.
// SPDX-License-Identifier: Apache-2.0
#include "targets/cuda/parameters.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "targets/cuda/launch.h"

namespace rbc::cuda {
namespace {

struct Cell {
  uint32_t offset;
  uint32_t length;
};
constexpr uint32_t kNullOffset = 0xffffffff;

template <typename T>
std::string Bytes(const T& value) {
  return std::string(reinterpret_cast<const char*>(&value), sizeof value);
}

// The address on the device of what the frame's slot names.
uint64_t AddressOf(const EntryPoint::Parameter& parameter, const Invocation& invocation, uint64_t memory) {
  for (const DevicePointer& pointer : invocation.pointers)
    if (pointer.frame_offset == parameter.frame_offset) return pointer.address;
  const uint8_t* const slot = invocation.memory.data() + parameter.frame_offset;
  if (parameter.is_array) {
    uint64_t where;
    std::memcpy(&where, slot, sizeof where);
    return memory + where;
  }
  Cell cell;
  std::memcpy(&cell, slot, sizeof cell);
  return cell.offset == kNullOffset ? 0 : memory + cell.offset;
}

bool LiesInMemory(const EntryPoint::Parameter& parameter, const Invocation& invocation) {
  for (const DevicePointer& pointer : invocation.pointers)
    if (pointer.frame_offset == parameter.frame_offset) return false;
  Cell cell;
  if (parameter.is_array || size_t{parameter.frame_offset} + sizeof cell > invocation.memory.size()) return true;
  std::memcpy(&cell, invocation.memory.data() + parameter.frame_offset, sizeof cell);
  return cell.offset != kNullOffset;
}

Expected<std::string> PackKernel(const EntryPoint& entry, const Invocation& invocation, uint64_t memory) {
  std::string out(entry.parameter_bytes, '\0');
  for (const auto& parameter : entry.parameters) {
    if (size_t{parameter.offset} + parameter.size > out.size() ||
        size_t{parameter.frame_offset} + parameter.size > invocation.memory.size())
      return Error(ErrorKind::kInternal, fmt::format("a parameter of '{}' lies outside of its frame", entry.symbol));
    const uint8_t* from = invocation.memory.data() + parameter.frame_offset;
    if (!parameter.is_pointer) {
      std::memcpy(out.data() + parameter.offset, from, parameter.size);
      continue;
    }
    const uint64_t address = AddressOf(parameter, invocation, memory);
    std::memcpy(out.data() + parameter.offset, &address, sizeof address);
  }
  return out;
}

Column ColumnOf(const MapColumn& column, const DeviceAddresses& addresses) {
  return {column.device != 0 ? column.device : addresses.memory + column.offset, column.stride};
}

Expected<std::string> PackMap(const Invocation& invocation, const DeviceAddresses& addresses) {
  if (invocation.rows > kMaxRowsPerLaunch)
    return Error(ErrorKind::kInvalidArgument,
                 fmt::format("a map of {} rows is larger than {}; split it", invocation.rows, kMaxRowsPerLaunch));
  std::string out = Bytes(MapParameters{invocation.rows, addresses.outcome});
  for (const MapColumn& column : invocation.columns) out += Bytes(ColumnOf(column, addresses));
  return out;
}

// Whether all that a block of threads reads lies side by side.
bool LiesTogether(const Invocation& invocation) {
  const MapColumn& column = invocation.columns[0];
  const auto size = static_cast<int64_t>(column.size);
  if (column.stride != size || invocation.run == 0) return false;
  return !invocation.alone ||
         (invocation.run == invocation.rows && invocation.between == size * static_cast<int64_t>(invocation.rows));
}

// One block, whose value is the result, or several, whose values are the second column.
Expected<std::string> PackReduction(const Invocation& invocation, const DeviceAddresses& addresses) {
  const auto columns = invocation.columns;
  if (invocation.segments == 0 || invocation.rows > kMaxRowsPerLaunch / invocation.segments || columns.empty() ||
      columns.size() > 2)
    return Error(ErrorKind::kInvalidArgument, fmt::format("a reduction of {} times {} rows is larger than {}; split it",
                                                          invocation.segments, invocation.rows, kMaxRowsPerLaunch));
  ReduceParameters out{invocation.rows, addresses.outcome, ColumnOf(columns[0], addresses), addresses.result, 0};
  if (columns.size() == 2) {
    out.partials = ColumnOf(columns[1], addresses).data;
    out.run = invocation.run;
    out.segments = invocation.segments;
    out.between = invocation.between;
    if (invocation.alone) out.flags |= kReduceAlone;
    if (addresses.is_far && LiesTogether(invocation)) out.flags |= kReduceStaged;
  }
  return Bytes(out);
}

Expected<std::string> PackScan(const Invocation& invocation, const DeviceAddresses& addresses) {
  const auto columns = invocation.columns;
  if (invocation.length == 0 || invocation.rows > kMaxRowsPerLaunch / invocation.length || columns.size() < 2 ||
      columns.size() > 3)
    return Error(ErrorKind::kInvalidArgument, fmt::format("a scan of {} times {} elements is larger than {}; split it",
                                                          invocation.rows, invocation.length, kMaxRowsPerLaunch));
  const auto at = [&](size_t i) { return ColumnOf(columns[i], addresses); };
  ScanParameters out{invocation.rows, invocation.length, addresses.outcome, at(0), at(1), 0, 0, invocation.total, 0};
  const auto has_no_gaps = [](const MapColumn& column) { return column.stride == static_cast<int64_t>(column.size); };
  if (addresses.is_far && !invocation.in_order && has_no_gaps(columns[0]) && has_no_gaps(columns[1]))
    out.flags |= kScanStaged;
  if (columns.size() == 3) out.carry = at(2).data;
  if (out.total == 0) out.total = invocation.rows * invocation.length;
  const uint64_t values = ColumnOf(invocation.tile_values, addresses).data;
  if (invocation.tiles == ScanTiles::kGiveValues) out.values = values;
  if (invocation.tiles == ScanTiles::kTakeValues) out.carries = values;
  return Bytes(out);
}

}  // namespace

Expected<std::string> PackParameters(const EntryPoint& entry, const Invocation& invocation,
                                     const DeviceAddresses& addresses) {
  switch (entry.kind) {
    case EntryKind::kCall:
      return Bytes(CallParameters{addresses.memory, addresses.result, addresses.status});
    case EntryKind::kMap:
      return PackMap(invocation, addresses);
    case EntryKind::kKernel:
      return PackKernel(entry, invocation, addresses.memory);
    case EntryKind::kReduce:
      return PackReduction(invocation, addresses);
    case EntryKind::kScan:
      return PackScan(invocation, addresses);
  }
  return Error(ErrorKind::kInternal, fmt::format("'{}' is an entry of no known kind", entry.symbol));
}

bool NeedsMemory(const EntryPoint& entry, const Invocation& invocation) {
  switch (entry.kind) {
    case EntryKind::kCall:
      return true;
    case EntryKind::kKernel:
      return std::any_of(entry.parameters.begin(), entry.parameters.end(), [&](const EntryPoint::Parameter& parameter) {
        return parameter.is_pointer && LiesInMemory(parameter, invocation);
      });
    default:
      if (invocation.tiles != ScanTiles::kNone) return true;
      return std::any_of(invocation.columns.begin(), invocation.columns.end(),
                         [](const MapColumn& column) { return column.device == 0; });
  }
}

void PlacePointers(const Invocation& invocation, uint64_t address, std::span<uint8_t> memory) {
  for (const DevicePointer& pointer : invocation.pointers) {
    const uint64_t where = pointer.address - address;
    std::memcpy(memory.data() + pointer.frame_offset, &where, sizeof where);
  }
}

uint32_t BlocksOfReduction(const Invocation& invocation) {
  if (invocation.columns.size() < 2) return 1;
  const auto divide = [](uint64_t rows, uint64_t by) { return (rows + by - 1) / by; };
  const uint64_t run = std::max<uint64_t>(invocation.run, 1);
  if (invocation.alone)
    return static_cast<uint32_t>(divide(divide(invocation.rows, run) * invocation.segments, kReduceThreads));
  return static_cast<uint32_t>(divide(invocation.rows, run * kReduceThreads) * invocation.segments);
}

Status CheckShape(const EntryPoint& entry, const GridShape& shape) {
  const uint64_t threads = uint64_t{shape.block[0]} * shape.block[1] * shape.block[2];
  if (entry.max_threads != 0 && threads > entry.max_threads)
    return {ErrorKind::kInvalidArgument,
            fmt::format("a block of {} threads is more than the {} that the kernel was made for", threads,
                        entry.max_threads)};
  return {};
}

}  // namespace rbc::cuda
