// Calls bulk entries as a worker does, and looks at their code.
// SPDX-License-Identifier: Apache-2.0
#include "tests/targets/bulk.h"

#include <unistd.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <regex>

namespace rbc::testing {

BulkRun RunBulk(Loaded& module, uint64_t rows, const std::vector<BulkColumn>& columns, void* result, uint64_t word) {
  alignas(16) std::array<uint64_t, 64> frame = {rows, word};
  for (size_t i = 0; i < columns.size(); ++i) {
    frame[2 + 2 * i] = reinterpret_cast<uintptr_t>(columns[i].data);
    frame[3 + 2 * i] = static_cast<uint64_t>(columns[i].stride);
  }
  alignas(16) std::array<uint64_t, 32> memory = {};
  BulkRun run;
  run.status = module.Call(0, frame.data(), result == nullptr ? memory.data() : result);
  run.failed_row = memory[0];
  return run;
}

std::string Disassembly(std::string_view object) {
  if (std::string_view(RBC_OBJDUMP).empty()) return {};
  std::string path = ::testing::TempDir() + "rbc-object-XXXXXX";
  const int fd = mkstemp(path.data());
  EXPECT_EQ(write(fd, object.data(), object.size()), static_cast<ssize_t>(object.size()));
  close(fd);
  const std::string command = std::string(RBC_OBJDUMP) + " -dr --no-show-raw-insn " + path;
  FILE* pipe = popen(command.c_str(), "r");
  std::string text;
  std::array<char, 4096> piece;
  for (size_t got = 0; pipe != nullptr && (got = fread(piece.data(), 1, piece.size(), pipe)) > 0;) {
    text.append(piece.data(), got);
  }
  EXPECT_EQ(pclose(pipe), 0);
  unlink(path.c_str());
  return text;
}

int CountOf(const std::string& disassembly, const std::string& mnemonic) {
  const std::regex expression("[\t ]" + mnemonic + "[ \n]");
  return static_cast<int>(
      std::distance(std::sregex_iterator(disassembly.begin(), disassembly.end(), expression), std::sregex_iterator()));
}

}  // namespace rbc::testing
