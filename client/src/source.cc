// IR from files, and from C, C++ and CUDA by the machine's clang.
// SPDX-License-Identifier: Apache-2.0
#include "rbc/source.h"

#include <fmt/format.h>
#include <sys/wait.h>

#include <charconv>
#include <fstream>
#include <iterator>

#include "client/src/clang.h"
#include "client/src/process.h"
#include "client/src/symbols.h"

namespace rbc {
namespace client {

std::string_view CudaPrelude();  // made of cuda_prelude.cuh

namespace {

constexpr int kNewestClang = 22, kOldestClang = 11;  // what the farm's LLVM reads
constexpr size_t kMostOutput = size_t{256} << 20;

std::string FindClang() {
  std::string found = FindProgram("clang");
  for (int version = kNewestClang; found.empty() && version >= kOldestClang; --version)
    found = FindProgram(fmt::format("clang-{}", version));
  return found;
}

// "<stdin>:3:5: error: message" with the source line below it; notes stay with what they belong to by their order.
std::vector<Diagnostic> ParseDiagnostics(std::string_view text) {
  std::vector<Diagnostic> out;
  bool source_next = false;
  while (!text.empty()) {
    const size_t end = text.find('\n');
    const std::string_view line = text.substr(0, end);
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    constexpr std::pair<std::string_view, Severity> kMarks[] = {{": fatal error: ", Severity::kError},
                                                                {": error: ", Severity::kError},
                                                                {": warning: ", Severity::kWarning},
                                                                {": note: ", Severity::kNote}};
    bool headline = false;
    for (const auto& [mark, severity] : kMarks) {
      const size_t at = line.find(mark);
      if (at == std::string_view::npos) continue;
      Diagnostic d;
      d.severity = severity;
      d.message = std::string(line.substr(at + mark.size()));
      const std::string_view where = line.substr(0, at);
      const size_t column = where.rfind(':'),
                   row = column == std::string_view::npos || column == 0 ? column : where.rfind(':', column - 1);
      if (row != std::string_view::npos) {
        std::from_chars(where.data() + row + 1, where.data() + column, d.line);
        std::from_chars(where.data() + column + 1, where.data() + where.size(), d.column);
      }
      source_next = d.line != 0;
      out.push_back(std::move(d));
      headline = true;
      break;
    }
    if (!headline && source_next) {
      // Newer ones put "   3 | " before the line.
      const size_t bar = line.find(" | ");
      const bool numbered = bar != std::string_view::npos &&
                            line.substr(0, bar).find_first_not_of(" 0123456789") == std::string_view::npos;
      out.back().source_line = std::string(numbered ? line.substr(bar + 3) : line);
      source_next = false;
    }
  }
  return out;
}

Error ClangFailed(const Finished& finished, bool is_cuda) {
  Error error(ErrorKind::kCompileFailed, "clang refuses the source");
  error.role = "client";
  if (finished.error.find("No available targets are compatible") != std::string::npos) {
    error.kind = ErrorKind::kUnavailable;
    error.message =
        "this clang was built without NVPTX and cannot lower CUDA source; install your distribution's clang";
    return error;
  }
  error.diagnostics = ParseDiagnostics(finished.error);
  for (const Diagnostic& d : error.diagnostics)
    if (d.severity == Severity::kError) {
      error.message += fmt::format(": {}", d.message);
      if (is_cuda && finished.error.find("cuda_") != std::string::npos)
        error.message += "; CUDA source is lowered without NVIDIA's headers, leave them out of the kernels' file";
      return error;
    }
  const std::string_view text = finished.error;
  if (WIFSIGNALED(finished.status))
    error.message += fmt::format(": it ended by signal {}", WTERMSIG(finished.status));
  else
    error.message += fmt::format(": {}", text.substr(0, text.find('\n')));
  return error;
}

// Any GPU of the farm's runs what is lowered for its oldest: the farm compiles for the device.
const std::vector<std::string> kCudaFlags = {"--cuda-device-only",
                                             "--cuda-gpu-arch=sm_75",
                                             "-nocudainc",
                                             "-nocudalib",
                                             "-Wno-unknown-cuda-version",
                                             "-fdeclspec",
                                             "-ffp-contract=off",  // as C is lowered
                                             "-Xclang",
                                             "-target-feature",
                                             "-Xclang",
                                             "+ptx64"};

std::string Quoted(const std::string& path) {
  std::string out;
  for (const char c : path) out += c == '"' || c == '\\' ? std::string{'\\', c} : std::string{c};
  return '"' + out + '"';
}

// The prelude and the source behind it, whose lines keep their numbers.
Expected<std::string> WithCudaPrelude(const std::string& path, std::string_view code) {
  std::string source;
  if (!path.empty()) {
    RBC_ASSIGN_OR_RETURN(source, ReadFile(path));
    code = source;
  }
  return fmt::format("{}\n#line 1 {}\n{}", CudaPrelude(), Quoted(path.empty() ? "<stdin>" : path), code);
}

std::string FolderOf(const std::string& path) {
  const size_t slash = path.rfind('/');
  return slash == std::string::npos ? "." : slash == 0 ? "/" : path.substr(0, slash);
}

}  // namespace

Expected<std::string> LowerWithClang(const char* language, const std::string& path, std::string_view code,
                                     const std::vector<std::string>& flags, const Deadline& deadline) {
  const std::string clang = FindClang();
  if (clang.empty()) {
    Error error(ErrorKind::kUnavailable,
                "no clang is on PATH to lower C, C++ and CUDA source; install the package clang");
    error.role = "client";
    return error;
  }
  std::vector<std::string> arguments = {clang, "-O1", "-S", "-emit-llvm", "-fno-exceptions", "-fno-color-diagnostics"};
  const bool is_cuda = std::string_view(language) == "cuda";
  if (is_cuda) arguments.insert(arguments.end(), kCudaFlags.begin(), kCudaFlags.end());
  arguments.insert(arguments.end(), flags.begin(), flags.end());
  std::string cuda;
  if (is_cuda) {
    RBC_ASSIGN_OR_RETURN(cuda, WithCudaPrelude(path, code));
    code = cuda;
    if (!path.empty()) arguments.insert(arguments.end(), {"-iquote", FolderOf(path)});
  }
  arguments.insert(arguments.end(), {"-o", "-", "-x", language,
                                     is_cuda || path.empty() ? "-"
                                     : path.starts_with('-') ? "./" + path
                                                             : path});
  RBC_ASSIGN_OR_RETURN(Finished finished, Run(arguments, code, kMostOutput, deadline));
  if (!WIFEXITED(finished.status) || WEXITSTATUS(finished.status) != 0) return ClangFailed(finished, is_cuda);
  return std::move(finished.out);
}

const char* LanguageOf(std::string_view path) {
  const size_t dot = path.rfind('.');
  const std::string_view ending = dot == std::string_view::npos ? "" : path.substr(dot + 1);
  if (ending == "c") return "c";
  if (ending == "cu") return "cuda";
  if (ending == "cpp" || ending == "cc" || ending == "cxx") return "c++";
  return nullptr;
}

Expected<std::string> ReadFile(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::string bytes((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  if (!file.is_open() || file.bad())
    return Error(ErrorKind::kInvalidArgument, fmt::format("the file '{}' cannot be read; check its name", path));
  return bytes;
}

}  // namespace client

namespace {

constexpr int64_t kClangMs = 120'000;

Result<std::string> Lower(const char* language, const std::string& path, std::string_view code,
                          const std::vector<std::string>& flags) {
  return client::LowerWithClang(language, path, code, flags, client::Deadline::AfterMs(kClangMs));
}

}  // namespace

Source Source::Ir(std::string ir) { return Source(std::move(ir), CallAbi::kDirect); }

Result<Source> Source::TryC(std::string_view code, const std::vector<std::string>& flags) {
  RBC_ASSIGN_OR_RETURN(std::string ir, Lower("c", "", code, flags));
  return Source(std::move(ir), CallAbi::kSysv);
}

Result<Source> Source::TryCxx(std::string_view code, const std::vector<std::string>& flags) {
  RBC_ASSIGN_OR_RETURN(std::string ir, Lower("c++", "", code, flags));
  return Source(std::move(ir), CallAbi::kSysv);
}

Result<Source> Source::TryCuda(std::string_view code, const std::vector<std::string>& flags) {
  RBC_ASSIGN_OR_RETURN(std::string ir, Lower("cuda", "", code, flags));
  return Source(std::move(ir), CallAbi::kKernel);
}

Result<Source> Source::TryFile(const std::string& path, const std::vector<std::string>& flags) {
  RBC_ASSIGN_OR_RETURN(std::string bytes, client::ReadFile(path));
  const char* const language = client::LanguageOf(path);
  if (language == nullptr) return Ir(std::move(bytes));
  RBC_ASSIGN_OR_RETURN(std::string ir, Lower(language, path, "", flags));
  return Source(std::move(ir), std::string_view(language) == "cuda" ? CallAbi::kKernel : CallAbi::kSysv);
}

bool Source::is_bitcode() const { return client::IsBitcode(ir_); }

}  // namespace rbc
