// Inputs known to crash, abort, hang or leak host files when LLVM's own tools get them, each in a child with limits.
// The directory is RBC_CASES (environment, else the CMake variable of that name).
// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "tests/targets/cuda_harness.h"
#include "tests/targets/fork.h"
#include "tests/targets/harness.h"

namespace rbc::testing {
namespace {

namespace fs = std::filesystem;

std::vector<fs::path> Files() {
  const char* wanted = std::getenv("RBC_CASES");
  std::vector<fs::path> files;
  std::error_code ignored;
  for (const auto& entry :
       fs::recursive_directory_iterator(fs::path(wanted != nullptr ? wanted : RBC_CASES) / "crashers", ignored)) {
    if (entry.path().extension() == ".ll" || entry.path().extension() == ".bc") files.push_back(entry.path());
  }
  std::sort(files.begin(), files.end());
  return files;
}

std::string ReadFile(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  return std::string(std::istreambuf_iterator<char>(in), {});
}

// "object", or the typed error. Nothing of the host's files may be in either.
std::string Try(const std::string& ir, std::vector<FunctionDeclaration> functions, CompileOptions options) {
  auto artifact = Compile(ir, std::move(functions), options);
  const std::string seen = artifact ? artifact->code : Message(artifact);
  if (seen.find("root:") != std::string::npos) return "LEAK";
  return artifact ? "object" : seen.substr(0, 300);
}

class Crashers : public ::testing::TestWithParam<fs::path> {};

TEST_P(Crashers, GiveAnErrorOrAnObjectWithinLimits) {
  const auto ir = ReadFile(GetParam());
  ASSERT_FALSE(ir.empty());
  // Mutated bitcode ends LLVM in its reader, whatever the level: that is what the worker's process is for.
  const bool by_hand = GetParam().extension() == ".ll";
  for (uint8_t level = 0; level <= 3; ++level) {
    for (const bool declared : {false, true}) {
      if (!by_hand && (level != 2 || declared)) continue;
      CompileOptions options;
      options.opt_level = level;
      std::vector<FunctionDeclaration> functions;
      if (declared) functions.push_back({"f", "void()"});
      const auto outcome = InFork([&] { return Try(ir, functions, options); }, {.cpu_seconds = by_hand ? 10u : 1u});
      SCOPED_TRACE("O" + std::to_string(level) + (declared ? ", f() declared" : ", nothing declared"));
      EXPECT_NE(outcome.answer, "LEAK");
      const std::string seen = outcome.answered ? outcome.answer : "signal " + std::to_string(outcome.signal);
      RecordProperty("O" + std::to_string(level) + (declared ? "_declared" : "_all"), seen);
      EXPECT_TRUE(outcome.answered || !by_hand) << seen;
    }
  }
}

// PTX that is put together, or the typed error.
std::string TryPtx(const std::string& ir, uint8_t level, const fs::path& ptx) {
  auto artifact = CompileCuda(ir, {}, ForPtx(90, level));
  if (artifact) std::ofstream(ptx) << artifact->code;
  return artifact ? "ptx" : Message(artifact).substr(0, 300);
}

TEST_P(Crashers, GiveAnErrorOrPtxThatAssembles) {
  const auto ir = ReadFile(GetParam());
  const bool by_hand = GetParam().extension() == ".ll";
  const fs::path ptx = fs::temp_directory_path() / ("rbc_crasher_" + std::to_string(getpid()) + ".ptx");
  for (uint8_t level = 0; level <= 3; ++level) {
    if (!by_hand && level != 2) continue;
    const auto outcome = InFork([&] { return TryPtx(ir, level, ptx); }, {.cpu_seconds = by_hand ? 10u : 1u});
    SCOPED_TRACE("O" + std::to_string(level));
    const std::string seen = outcome.answered ? outcome.answer : "signal " + std::to_string(outcome.signal);
    RecordProperty("ptx_O" + std::to_string(level), seen);
    EXPECT_TRUE(outcome.answered || !by_hand) << seen;
    if (outcome.answered && outcome.answer == "ptx") {
      EXPECT_EQ(AssemblerComplaint(ReadFile(ptx), 90), "");
    }
    fs::remove(ptx);
  }
}

std::string NameOf(const ::testing::TestParamInfo<fs::path>& test) {
  std::string name = test.param.filename().string();
  for (char& c : name) {
    if (!std::isalnum(static_cast<unsigned char>(c))) c = '_';
  }
  return name;
}
INSTANTIATE_TEST_SUITE_P(Each, Crashers, ::testing::ValuesIn(Files()), NameOf);
GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(Crashers);

TEST(CrasherFiles, AreThere) {
  if (Files().empty()) GTEST_SKIP() << "no cases/crashers: set RBC_CASES to the directory that holds it";
}

}  // namespace
}  // namespace rbc::testing
