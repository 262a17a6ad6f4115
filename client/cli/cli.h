// The `rbc` command, apart from main(): options, the commands, and how they print.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

#include "client/cli/progress.h"
#include "client/src/deadline.h"
#include "rbc/rbc.h"

namespace rbc::cli {

// Exit codes.
inline constexpr int kOk = 0, kFailed = 1, kUsage = 2;

// What the command line says.
struct Arguments {
  std::string farm;
  std::string token, ca, certificate, key;  // empty: as the library chooses
  bool json = false;
  RemoteJIT::Saving compress = RemoteJIT::Saving::kAuto;
  double timeout_s = 0;  // of the whole request, this program's own work included; 0: the farm's limits
  std::string target;    // empty: host
  std::string abi;       // empty: by the file
  std::string language;  // of "-": "ir", "c", "c++"
  int opt_level = 2;
  std::string file, name, signature;
  std::vector<std::string> values;
  int64_t repeat = 1;
  std::string emit = "obj", output;
  int sm = 0;
  std::string grid = "1", block = "1";  // launch
  int32_t shared_bytes = 0;
  std::string where;                    // map
  Accuracy accuracy = Accuracy::kFast;  // map, reduce, scan
  std::optional<int> axis;              // reduce, scan
  bool ordered = false;                 // reduce
};

// What is left of --timeout; absent without one.
class Budget {
 public:
  explicit Budget(double seconds);
  bool limited() const { return deadline_.has_value(); }
  // For a request that starts now: at least 1 ms, 0 without a limit.
  int64_t LeftMs() const;
  client::Deadline Deadline(int64_t otherwise_ms) const;

 private:
  std::optional<client::Deadline> deadline_;
};

// The whole program.
int Main(int argc, char** argv);

// The commands; each returns an exit code and prints its own result.
int Targets(const Arguments& arguments);
int FarmStatus(const Arguments& arguments);
int Buffers(const Arguments& arguments);
int Compile(const Arguments& arguments);
int Call(const Arguments& arguments);
int Map(const Arguments& arguments);
int Reduce(const Arguments& arguments);
int Scan(const Arguments& arguments);
int Launch(const Arguments& arguments);

// An argument as it is written: a value, [1, 2, 3], or a .npy file for an array or memory, which the value then owns.
Result<Value> ReadArgument(const types::Type& type, const std::string& text);
// The bytes of a .npy file of an array result. kInvalidArgument: the value is no array.
Result<std::string> ArrayFile(const Value& value);

// Integers, booleans and text as such, a float by its shortest digits; what JSON has no word for as Python prints it.
nlohmann::ordered_json ResultToJson(const Value& value);

// What the farm's status says about arrays: JSON, and that as text for people.
Result<std::string> BuffersJson(const std::string& status);
void PrintBuffers(const std::string& buffers);

// `error: KIND: message` on stderr with diagnostics, or the error object on stdout. kFailed.
int Fail(const Arguments& arguments, const Error& error);

// FILE as code: a path, or "-" for standard input.
Result<Source> ReadSource(const Arguments& arguments, const Budget& budget);
// To a path, or "-" for standard output. False: it could not be written.
bool WriteFile(const std::string& path, const std::string& bytes);
FunctionOptions ToOptions(const Arguments& arguments);
// `captured` gets what functions print, `progress` is told of copies; both may be null and must outlive the client.
RemoteJIT Connect(const Arguments& arguments, const Budget& budget, std::string* captured, Progress* progress);

}  // namespace rbc::cli
