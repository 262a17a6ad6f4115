// Calls bulk entries as a worker does, and looks at their code.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "tests/targets/harness.h"

namespace rbc::testing {

struct BulkColumn {
  const void* data;
  int64_t stride;
};
struct BulkRun {
  int32_t status = 0;
  uint64_t failed_row = 0;
};

// Runs entry 0. `result`: where a reduction's value goes, `word` the frame's second one.
BulkRun RunBulk(Loaded& module, uint64_t rows, const std::vector<BulkColumn>& columns, void* result = nullptr,
                uint64_t word = 0);

// What objdump says of an object's code, "" where there is none.
std::string Disassembly(std::string_view object);
// Instructions (or calls' targets) that match the regular expression.
int CountOf(const std::string& disassembly, const std::string& mnemonic);

}  // namespace rbc::testing
