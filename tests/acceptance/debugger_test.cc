// A debugger on the farm's machine sees the lines of a function that was compiled with debug = true.
// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "tests/harness/farm_test.h"
#include "tests/harness/run_program.h"
#include "tests/harness/toolchain.h"

namespace rbc::harness {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

class Debugger : public FarmTest {
 protected:
  // What gdb prints of `add_up` when it attaches to the worker that has it loaded.
  std::string LinesOfAddUp(bool debug) {
    Client client = farm().Connect();
    Module module;
    module.ir = CompileC("double scale = 2;\ndouble add_up(double a, double b) {\n  return scale * a + b;\n}\n",
                         IrForm::kText, {"-O1", "-g"});
    module.functions.resize(1);
    module.functions[0].symbol = "add_up";
    module.functions[0].signature = "float64(float64, float64)";
    module.options.debug = debug;
    const auto add = Must(client.Load(module));
    EXPECT_TRUE(Must(client.Call(add, {20.0, 2.0})).value == Value(42.0));
    const auto workers = farm().WorkersOf("execute");
    EXPECT_EQ(workers.size(), 1u);
    if (workers.empty()) return "";
    const auto gdb = RunProgram(
        {"gdb", "--batch", "-nx", "-p", std::to_string(workers[0].pid), "-ex", "info line add_up", "-ex", "detach"});
    EXPECT_EQ(gdb.exit_code, 0) << gdb.ToString();
    // The worker goes on where it was.
    EXPECT_TRUE(Must(client.Call(add, {1.0, 2.0})).value == Value(4.0));
    return gdb.out + gdb.err;
  }
};

TEST_F(Debugger, SeesTheLinesOfDebugFunctions) {
  if (geteuid() != 0) GTEST_SKIP() << "attaching needs root";
  EXPECT_THAT(LinesOfAddUp(true), HasSubstr(" of \"<stdin>\" starts at address"));
}

TEST_F(Debugger, SeesNoLinesOfOthers) {
  if (geteuid() != 0) GTEST_SKIP() << "attaching needs root";
  EXPECT_THAT(LinesOfAddUp(false), Not(HasSubstr(" of \"<stdin>\" starts at address")));
}

}  // namespace
}  // namespace rbc::harness
