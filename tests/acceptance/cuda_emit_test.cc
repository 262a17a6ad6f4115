// PTX, cubins and IR for GPUs through the real farm: the compile worker in its sandbox, the command as a user runs it.
// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/harness/farm_test.h"
#include "tests/harness/ir.h"
#include "tests/harness/paths.h"
#include "tests/harness/run_program.h"
#include "tests/harness/toolchain.h"

namespace rbc::harness {
namespace {

using nlohmann::json;
using ::testing::HasSubstr;
using ::testing::StartsWith;

class CudaEmit : public FarmTest {
 protected:
  Finished Rbc(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), {ProgramPath("rbc"), "--farm", farm().unix_address()});
    return RunProgram(arguments);
  }
  std::string WriteModule(const std::string& text) {
    const std::string path = farm().folder() + "/module.ll";
    WriteWholeFile(path, text);
    return path;
  }
};

const std::string kMaths = R"(
declare double @sin(double)
define double @f(double %a, double %b) {
  %s = call double @sin(double %a)
  %r = frem double %s, %b
  ret double %r
}
)";

TEST_F(CudaEmit, PtxForAPersonToRead) {
  const auto run = Rbc({"compile", WriteModule(kMaths), "--target", "cuda", "--emit", "ptx", "-o", "-"});
  EXPECT_EQ(run.exit_code, 0) << run.ToString();
  EXPECT_THAT(run.out, HasSubstr(".visible .func"));
  EXPECT_THAT(run.out, HasSubstr(".target sm_"));
}

TEST_F(CudaEmit, CubinFromWithinTheSandbox) {
  const auto run = Rbc({"compile", WriteModule(kMaths), "--target", "cuda", "--emit", "cubin", "-o", "-"});
  EXPECT_EQ(run.exit_code, 0) << run.ToString();
  EXPECT_THAT(run.out, StartsWith("\x7f"
                                  "ELF"));
}

// NVIDIA's files take longer to open than all the rest of a nursery's start: nobody waits for them who asks for host.
TEST_F(CudaEmit, TheToolkitIsOpenedForTheFirstModuleForGpus) {
  const auto opened = [&] {
    const auto nurseries = farm().WorkersOf("nursery");
    return ReadWholeFile("/proc/" + std::to_string(nurseries.at(0).pid) + "/maps").find("nvJitLink") !=
           std::string::npos;
  };
  const auto compile = [&](const std::string& target) {
    const auto run = Rbc({"compile", WriteModule(kMaths), "--target", target, "--emit", "ir", "-o", "-"});
    EXPECT_EQ(run.exit_code, 0) << run.ToString();
  };
  compile("host");
  EXPECT_FALSE(opened());
  compile("cuda");
  EXPECT_TRUE(opened());
  EXPECT_EQ(farm().WorkersOf("compile").size(), 2u);
  compile("host");
  compile("cuda");
  EXPECT_EQ(farm().WorkersOf("compile").size(), 2u) << "both serve on";
}

TEST_F(CudaEmit, IrAsTheBackEndGetsIt) {
  const auto run = Rbc({"compile", WriteModule(kMaths), "--target", "cuda", "--emit", "ir", "-o", "-"});
  EXPECT_EQ(run.exit_code, 0) << run.ToString();
  EXPECT_THAT(run.out, HasSubstr("target triple = \"nvptx64-nvidia-cuda\""));
}

TEST_F(CudaEmit, ForTheGpuThatIsAskedFor) {
  const std::string module = WriteModule(kMaths);
  for (const char* sm : {"75", "90", "100"}) {
    const auto run = Rbc({"compile", module, "--target", "cuda", "--emit", "ptx", "--sm", sm, "-o", "-"});
    EXPECT_EQ(run.exit_code, 0) << run.ToString();
    EXPECT_THAT(run.out, HasSubstr(std::string(".target sm_") + sm));
  }
  const auto unknown = Rbc({"compile", module, "--target", "cuda", "--emit", "ptx", "--sm", "42", "-o", "-"});
  EXPECT_THAT(unknown.err, StartsWith("error: InvalidArgument")) << unknown.ToString();
  EXPECT_THAT(unknown.err, HasSubstr("it knows 75"));
  const auto host = Rbc({"compile", module, "--emit", "asm", "--sm", "90", "-o", "-"});
  EXPECT_THAT(host.err, HasSubstr("sm 90 is no GPU of target 'host'"));
  WriteWholeFile(module,
                 "target triple = \"nvptx-nvidia-cuda\"\ntarget datalayout = "
                 "\"e-p:32:32-i64:64-i128:128-v16:16-v32:32-n16:32:64\"\n" +
                     kMaths);
  const auto old = Rbc({"compile", module, "--target", "cuda32", "--emit", "ptx", "--sm", "52", "-o", "-"});
  EXPECT_THAT(old.out, HasSubstr(".address_size 32")) << old.ToString();
}

TEST_F(CudaEmit, TheLastRunOnHardwareIsTold) {
  EXPECT_THAT(Rbc({"targets"}).out, HasSubstr("last run on hardware: "));
  const auto listed = json::parse(Rbc({"targets", "--json"}).out).at("targets");
  for (const auto& target : listed)
    EXPECT_EQ(target.at("last_hardware_run").is_string(), target.at("name") != "host") << target;
}

TEST_F(CudaEmit, HostHasNoPtx) {
  const auto run = Rbc({"compile", WriteModule(kMaths), "--emit", "ptx", "-o", "-"});
  EXPECT_NE(run.exit_code, 0);
  EXPECT_THAT(run.err, HasSubstr("no PTX and no cubin"));
}

TEST_F(CudaEmit, RefusalsNameFunctionAndInstruction) {
  const auto run =
      Rbc({"compile", WriteModule("define void @f(ptr %p) {\n  fence seq_cst\n  indirectbr ptr %p, []\n}\n"),
           "--target", "cuda", "--emit", "ptx", "-o", "-"});
  EXPECT_NE(run.exit_code, 0);
  EXPECT_THAT(run.err, HasSubstr("function 'f': jumps to computed addresses are not supported on GPUs: indirectbr"));
}

TEST_F(CudaEmit, TargetsAreListedWithoutADriver) {
  auto client = Client::Connect(farm().unix_address());
  ASSERT_TRUE(client);
  const auto targets = client->Targets();
  ASSERT_TRUE(targets);
  std::map<std::string, wire::TargetInfo> by_name;
  for (const auto& target : *targets) by_name[target.name] = target;
  ASSERT_EQ(by_name.count("cuda"), 1u);
  ASSERT_EQ(by_name.count("cuda32"), 1u);
  EXPECT_EQ(by_name["cuda"].triple, "nvptx64-nvidia-cuda");
  EXPECT_EQ(by_name["cuda"].pointer_bits, 64);
  EXPECT_EQ(by_name["cuda32"].triple, "nvptx-nvidia-cuda");
  EXPECT_EQ(by_name["cuda32"].pointer_bits, 32);
}

}  // namespace
}  // namespace rbc::harness
