// What a GPU does by its driver alone, without a farm: how long a process takes to its first kernel, what it feels of
// another's endless kernel, how soon the GPU serves again once that process is killed; and the farm's code against
// NVIDIA's compiler's (goal 13):
//   gpu_bare CODE_FOLDER [--driver PATH --dry]
// CODE_FOLDER is gpu_code's. --dry runs everything once on a driver whose kernels do nothing and checks no result.
// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmath>
#include <csignal>

#include "tests/gpu/bare.h"
#include "tests/gpu/bench_functions.h"
#include "tests/harness/proc.h"

namespace rbc::bench {
namespace {

constexpr unsigned kThreads = 256;
constexpr int kMajor = 75, kMinor = 76, kMultiprocessors = 16;

constexpr const char* kEndless =
    ".version 6.3\n.target sm_75\n.address_size 64\n.visible .entry endless(.param .u64 word)\n{\n"
    "  .reg .b64 %rd<2>;\n  .reg .b32 %r<2>;\n  ld.param.u64 %rd1, [word];\nagain:\n"
    "  ld.volatile.global.u32 %r1, [%rd1];\n  bra again;\n}\n";

double MillisecondsSince(Clock::time_point start) {
  return std::chrono::duration<double, std::milli>(Clock::now() - start).count();
}

// ---- Processes ---------------------------------------------------------------------------------------------------

// A process of its own that runs `work`, which gets a descriptor to say something on. This one must not have opened the
// driver.
class Child {
 public:
  explicit Child(const std::function<void(int)>& work) {
    int ends[2];
    if (pipe(ends) != 0) Die("no pipe can be made");
    std::fflush(stdout);
    pid_ = fork();
    if (pid_ == 0) {
      prctl(PR_SET_PDEATHSIG, SIGKILL);
      close(ends[0]);
      const bool fine = Measure("another process", [&] { work(ends[1]); });
      std::fflush(stdout);
      _exit(fine ? 0 : 1);
    }
    close(ends[1]);
    end_ = ends[0];
  }
  ~Child() {
    Kill();
    close(end_);
  }
  void AwaitWord() const {
    char word;
    if (read(end_, &word, 1) != 1) Die("a process ended before it was ready");
  }
  void AwaitEnd() {
    int status = 0;
    waitpid(std::exchange(pid_, 0), &status, 0);
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) Die("a process failed");
  }
  void Kill() {
    if (pid_ <= 0) return;
    kill(pid_, SIGKILL);
    waitpid(std::exchange(pid_, 0), nullptr, 0);
  }

 private:
  pid_t pid_ = 0;
  int end_ = -1;
};

// A kernel that runs until its process is killed.
void SpinForEver(const Arguments& arguments, int end) {
  const Bare bare(arguments.driver, arguments.dry);
  const uint64_t word = bare.OnDevice(sizeof(uint32_t));
  std::string parameters(reinterpret_cast<const char*>(&word), sizeof word);
  bare.Launch(bare.Load(kEndless, "endless"), 1, 1, parameters);
  if (write(end, "x", 1) != 1) Die("nobody listens");
  for (;;) pause();
}

// Of a process that starts now: how long it takes to its first kernel and, after that, for each.
void TellProcess(const Arguments& arguments, const char* when) {
  Child child([&](int) {
    auto start = Clock::now();
    const Bare bare(arguments.driver, arguments.dry);
    const double context = MillisecondsSince(start);
    start = Clock::now();
    const CUfunction nothing = bare.Load(kNothing, "nothing");
    std::string none;
    const auto launch = [&] {
      bare.Launch(nothing, 1, 1, none);
      bare.Wait();
    };
    launch();
    const double first = MillisecondsSince(start);
    std::vector<double> times;
    for (int i = 0; i < (bare.dry() ? 3 : 200); ++i) times.push_back(TimeOf(1, launch));
    std::printf(
        "measured: %s: context %.0f ms, first kernel %.1f ms, then a launch %.1f us (worst %.0f), %zu MiB free\n", when,
        context, first, Median(times), *std::max_element(times.begin(), times.end()), bare.FreeMemory() >> 20);
  });
  child.AwaitEnd();
}

void MeasureProcesses(const Arguments& arguments) {
  TellProcess(arguments, "the first process");
  TellProcess(arguments, "a process alone");
  Child endless([&](int end) { SpinForEver(arguments, end); });
  endless.AwaitWord();
  TellProcess(arguments, "a process beside an endless kernel of another");
  const auto start = Clock::now();
  endless.Kill();
  std::printf("measured: the endless kernel's process is gone %.0f ms after its kill\n", MillisecondsSince(start));
  TellProcess(arguments, "a process right after that");
}

// ---- Code --------------------------------------------------------------------------------------------------------

struct Columns {
  std::vector<CUdeviceptr> in;
  CUdeviceptr ours = 0, theirs = 0;
};

template <typename T>
void Append(std::string& out, T value) {
  out.append(reinterpret_cast<const char*>(&value), sizeof value);
}

// targets/cuda/launch.h: MapParameters and a Column each.
std::string OurParameters(size_t rows, CUdeviceptr outcome, const Columns& columns, int64_t size) {
  std::string out;
  Append(out, uint64_t{rows});
  Append(out, uint64_t{outcome});
  for (const CUdeviceptr column : columns.in) {
    Append(out, uint64_t{column});
    Append(out, size);
  }
  Append(out, uint64_t{columns.ours});
  Append(out, size);
  return out;
}

std::string TheirParameters(size_t rows, const Columns& columns) {
  std::string out;
  Append(out, uint64_t{rows});
  for (const CUdeviceptr column : columns.in) Append(out, uint64_t{column});
  Append(out, uint64_t{columns.theirs});
  return out;
}

template <typename T>
void CompareResults(const Bare& bare, const Columns& columns, size_t rows, const char* name) {
  char* const here = bare.Pinned(2 * rows * sizeof(T));
  bare.CopyOut(here, columns.ours, rows * sizeof(T));
  bare.CopyOut(here + rows * sizeof(T), columns.theirs, rows * sizeof(T));
  bare.Wait();
  const T *mine = reinterpret_cast<T*>(here), *theirs = mine + rows;
  const double allowed = sizeof(T) == 8 ? 1e-11 : 2e-3;
  for (size_t i = 0; i < rows && !bare.dry(); ++i)
    if (!(std::abs(double{mine[i]} - double{theirs[i]}) <= allowed * (1 + std::abs(double{theirs[i]}))))
      Die(fmt::format("{}: row {} is {} and {}", name, i, mine[i], theirs[i]));
}

template <typename T>
void MeasureCode(const Bare& bare, const std::string& folder) {
  const int sm = bare.Attribute(kMajor) * 10 + bare.Attribute(kMinor);
  const auto blocks = static_cast<unsigned>(bare.Attribute(kMultiprocessors) * 8);
  const size_t rows = bare.dry() ? 1000 : size_t{1} << 24;
  Columns columns;
  std::vector<T> values(rows);
  for (int c = 0; c < 2; ++c) {
    for (size_t i = 0; i < rows; ++i) values[i] = static_cast<T>(0.5 + static_cast<double>((i * (c + 7)) % 1000) / 500);
    columns.in.push_back(bare.OnDevice(rows * sizeof(T)));
    bare.CopyIn(columns.in.back(), values.data(), rows * sizeof(T));
    bare.Wait();
  }
  columns.ours = bare.OnDevice(rows * sizeof(T));
  columns.theirs = bare.OnDevice(rows * sizeof(T));
  const CUdeviceptr outcome = bare.OnDevice(8);
  const auto both = columns.in;
  for (const auto& function : kTimedFunctions) {
    const bool is_double = sizeof(T) == 8;
    const std::string mine = harness::ReadWholeFile(folder + "/" + CodeFile(function, is_double, sm, true));
    const std::string theirs = harness::ReadWholeFile(folder + "/" + CodeFile(function, is_double, sm, false));
    if (mine.empty() || theirs.empty()) {
      std::printf("bench: %s: no code for sm_%d in %s; name it to scripts/gpu-bundle\n", function.name, sm,
                  folder.c_str());
      continue;
    }
    columns.in = both;
    columns.in.resize(static_cast<size_t>(function.columns));
    const CUfunction ours = bare.Load(mine, "rbc_map_0"), entry = bare.Load(theirs, "entry");
    std::string our_parameters = OurParameters(rows, outcome, columns, sizeof(T));
    std::string their_parameters = TheirParameters(rows, columns);
    const auto run = [&](CUfunction kernel, std::string& parameters) {
      for (int i = 0; i < 10; ++i) bare.Launch(kernel, blocks, kThreads, parameters);
      bare.Wait();
    };
    const auto [a, b] = ByTurns(
        bare.dry(), 3, [&] { run(ours, our_parameters); }, [&] { run(entry, their_parameters); });
    Report(fmt::format("code of {} {}", function.name, is_double ? "float64" : "float32"), "us", a / 10, b / 10, 1.05,
           true);
    CompareResults<T>(bare, columns, rows, function.name);
  }
}

int Run(const Arguments& arguments) {
  bool all = Measure("processes", [&] { MeasureProcesses(arguments); });
  const Bare bare(arguments.driver, arguments.dry);
  all &= Measure("code, float64", [&] { MeasureCode<double>(bare, arguments.folder); });
  all &= Measure("code, float32", [&] { MeasureCode<float>(bare, arguments.folder); });
  return all ? 0 : 1;
}

}  // namespace
}  // namespace rbc::bench

int main(int argc, char** argv) { return rbc::bench::RunProgram("gpu_bare", argc, argv, rbc::bench::Run); }
