// The command line: what it takes, and its help.
// SPDX-License-Identifier: Apache-2.0
#include <CLI/CLI.hpp>

#include "client/cli/cli.h"

namespace rbc::cli {
namespace {

constexpr char kAbout[] =
    "rbc: compile and run functions on a farm.\n\n"
    "Sends LLVM IR to an rbc-farm, which compiles it for one of its targets and runs it there.";

constexpr char kFooter[] =
    "ADDR is HOST:PORT, tls://HOST:PORT, unix:PATH, ssh://[user@]host[/path] or the name of a farm in rbc/client.toml "
    "under\n"
    "XDG_CONFIG_HOME. Without --farm: the environment variable RBC_FARM, then the file's default, then "
    "127.0.0.1:11530.\n\n"
    "Exit codes: 0 it worked; 1 an error, printed as 'error: KIND: message'; 2 the command line is wrong.\n\n"
    "Examples:\n"
    "  rbc targets\n"
    "  rbc call add.ll add_daddA 'f64(f64,f64)' 1.5 2\n"
    "  rbc call prime.c is_prime 'bool(int64)' 97 --timeout 5\n"
    "  rbc map add.ll add 'f64(f64,f64)' x.npy 2.5 -o out.npy --target cuda\n"
    "  rbc launch kernel.ll reverse 'void(int64*)' '[1, 2, 3]' --block 3 --target cuda\n"
    "  rbc compile kernel.ll --emit asm -o -";

constexpr char kFileHelp[] =
    ".ll or .bc: LLVM IR, also from older LLVMs. .c, .cpp, .cc, .cxx, .cu: lowered here by clang. -: standard input, "
    "IR "
    "text or bitcode, or what --lang says";

constexpr char kCallFooter[] =
    "Prints the result as Python would: 3, 3.5, (2+1j), True. What the function prints comes before it. A result of a "
    "void\n"
    "function is printed as nothing.\n\n"
    "NAME is the exact symbol, else the name that stands before the mangled type in the symbol (add means add_daddA "
    "for\n"
    "'f64(f64,f64)'), else the one C++ function of that name.\n\n"
    "SIGNATURE is a function type, result first: 'f64(f64,f64)', 'int32(int32*, int64)', 'complex128(complex128)',\n"
    "'{int32, float64}(string)'. ARGS: numbers (1.5, 0x10, 2+1j), True, text, {1, 2.5} for a struct, [1, 2, 3] for "
    "memory\n"
    "behind a pointer, null. Text that starts with '-' stands behind --, which ends the options.";

void AddCompress(CLI::App& app, Arguments& a) {
  using Saving = RemoteJIT::Saving;
  static const std::map<std::string, Saving> kNames = {
      {"auto", Saving::kAuto}, {"on", Saving::kOn}, {"off", Saving::kOff}};
  app.add_option(
         "--compress", a.compress,
         "Arrays on their way to a farm on another machine: auto (default, where the line is slow enough for it "
         "to gain), on, off; also RBC_COMPRESS")
      ->type_name("WHEN")
      ->transform(CLI::CheckedTransformer(kNames).description(""));
}

void AddCommon(CLI::App& app, Arguments& a) {
  AddCompress(app, a);
  app.add_option("--farm", a.farm, "The farm's address")->type_name("ADDR");
  app.add_option("--ca", a.ca, "For tls://: the CAs whose certificates are believed, in PEM; default: the system's")
      ->type_name("FILE");
  auto* const certificate =
      app.add_option("--certificate", a.certificate, "For tls://: this client's certificate, in PEM")
          ->type_name("FILE");
  app.add_option("--key", a.key, "For tls://: the key of --certificate; default: in the same file")
      ->type_name("FILE")
      ->needs(certificate);
  app.add_option(
         "--token", a.token,
         "The farm's token for this user. Others see it here: RBC_TOKEN and token in rbc/client.toml are better")
      ->type_name("TOKEN");
  app.add_flag("--json", a.json, "Print one JSON object instead of text, for errors too");
  app.add_option("--timeout", a.timeout_s, "Seconds that the whole request may take, lowering by clang included")
      ->type_name("SECONDS")
      ->check(CLI::Range(0.001, 1e6));
}

void AddCode(CLI::App& app, Arguments& a) {
  app.add_option("FILE", a.file, kFileHelp)->required();
  app.add_option("--target", a.target, "One of the farm's targets; default host")->type_name("T");
  app.add_option(
         "--abi", a.abi,
         "How functions take their arguments: direct (as LLVM first-class values; default for IR), sysv (as clang "
         "makes them of C; "
         "default for .c and .cpp), status_retptr (status returned, result through the first parameter), kernel "
         "(default for .cu)")
      ->type_name("ABI")
      ->check(CLI::IsMember({"direct", "sysv", "status_retptr", "kernel"}));
  app.add_option("--lang", a.language, "What standard input holds where FILE is '-': ir (default), c, c++, cuda")
      ->type_name("LANG")
      ->check(CLI::IsMember({"ir", "c", "c++", "cuda"}));
  app.add_option("-O", a.opt_level, "Optimisation on the farm, -O0 to -O3; default -O2")
      ->type_name("LEVEL")
      ->check(CLI::Range(0, 3));
}

// A negative number is an argument, not an option, and [1, 2] is one argument, not two: a mark that no command line has
// keeps both from the parser.
constexpr char kMark = '\x01';

bool NeedsMark(std::string_view text) {
  if (text.starts_with('[')) return true;
  if (!text.starts_with('-') || text.size() < 2) return false;
  const std::string_view rest = text.substr(1);
  return (rest[0] >= '0' && rest[0] <= '9') || rest[0] == '.' || rest.starts_with("inf") || rest.starts_with("nan");
}

// As CLI11 wants them: without the program's name, the last one first.
std::vector<std::string> Marked(int argc, char** argv) {
  std::vector<std::string> out;
  for (int i = argc - 1; i > 0; --i) {
    const bool marked = NeedsMark(argv[i]) && std::string_view(argv[i - 1]) != "--axis";
    out.push_back(marked ? kMark + std::string(argv[i]) : argv[i]);
  }
  return out;
}

void Unmark(std::vector<std::string>& values) {
  for (std::string& value : values)
    if (value.starts_with(kMark)) value.erase(0, 1);
}

void AddAccuracy(CLI::App& command, Arguments& a) {
  static const std::map<std::string, Accuracy> kNames = {
      {"fast", Accuracy::kFast}, {"accurate", Accuracy::kAccurate}, {"precise", Accuracy::kPrecise}};
  command
      .add_option(
          "--accuracy", a.accuracy,
          "Of exp, log, sin, ... on host: fast (default, a few ulp), accurate (1 ulp), precise (libm's results)")
      ->type_name("KIND")
      ->transform(CLI::CheckedTransformer(kNames).description(""));
}

// A command of `app` that runs `run` and ends with its exit code.
CLI::App* AddCommand(CLI::App& app, Arguments& a, const char* name, const char* about, int& code,
                     int (*run)(const Arguments&)) {
  CLI::App* const command = app.add_subcommand(name, about);
  AddCommon(*command, a);
  command->callback([&a, &code, run] {
    Unmark(a.values);
    code = run(a);
  });
  return command;
}

void AddFunction(CLI::App& command, Arguments& a) {
  AddCode(command, a);
  command.add_option("NAME", a.name, "The function")->required();
  command.add_option("SIGNATURE", a.signature, "Its type: 'f64(f64,f64)'")->required();
}

void AddOutput(CLI::App& command, Arguments& a, const char* about) {
  command.add_option("-o", a.output, about)->type_name("OUT");
}

void AddCompile(CLI::App& app, Arguments& a, int& code) {
  CLI::App& compile =
      *AddCommand(app, a, "compile", "Compile a whole module and write what comes of it", code, &Compile);
  AddCode(compile, a);
  compile.add_option("--emit", a.emit, "obj (default), asm, ir (optimised), ptx, cubin")
      ->type_name("KIND")
      ->check(CLI::IsMember({"obj", "asm", "ir", "ptx", "cubin"}));
  compile.add_option("--sm", a.sm, "For which GPU cuda and cuda32 emit: 90 is sm_90; default: the farm's")
      ->type_name("NUMBER")
      ->check(CLI::Range(1, 999));
  AddOutput(
      compile, a,
      "Where to write; '-' is standard output. Default: FILE with .o, .s, .ll, .ptx or .cubin at its end, in this "
      "directory");
}

void AddCall(CLI::App& app, Arguments& a, int& code) {
  CLI::App& call = *AddCommand(app, a, "call", "Compile a function and call it", code, &Call);
  AddFunction(call, a);
  call.add_option("ARGS", a.values,
                  "The arguments, one for each parameter; [1, 2, 3] or a .npy file for an array or memory");
  AddOutput(call, a, "The .npy file to write an array result to; '-' is standard output");
  call.add_option("--repeat", a.repeat, "Call so often; the last result is printed, with --json the times too")
      ->type_name("N")
      ->check(CLI::Range(int64_t{1}, int64_t{1'000'000'000}));
  call.footer(kCallFooter);
}

void AddMap(CLI::App& app, Arguments& a, int& code) {
  CLI::App& map = *AddCommand(app, a, "map", "Run a function for each element of arrays", code, &Map);
  AddFunction(map, a);
  map.add_option("COLUMNS", a.values,
                 "One for each parameter: a .npy file, or one value; they stretch to one shape as NumPy's do");
  AddOutput(map, a, "The .npy file to write the results to; '-' is standard output. Default: print them");
  map.add_option("--where", a.where, "A .npy file of bools: where it is false nothing runs and the result is 0")
      ->type_name("FILE");
  AddAccuracy(map, a);
}

void AddReductions(CLI::App& app, Arguments& a, int& code) {
  CLI::App& reduce =
      *AddCommand(app, a, "reduce", "Combine the elements of an array by a function of two values", code, &Reduce);
  CLI::App& scan = *AddCommand(app, a, "scan",
                               "Combine the elements of an array one after the other, keeping each step", code, &Scan);
  for (CLI::App* const command : {&reduce, &scan}) {
    AddFunction(*command, a);
    command->add_option("ARRAY", a.values, "A .npy file")->required()->expected(1);
    command->add_option("--axis", a.axis, "Along this dimension; negative from the end. Default: over all elements")
        ->type_name("N");
    AddOutput(*command, a, "The .npy file to write the result to; '-' is standard output");
    AddAccuracy(*command, a);
  }
  reduce.add_flag("--ordered", a.ordered, "Strictly from the first element to the last");
}

void AddLaunch(CLI::App& app, Arguments& a, int& code) {
  CLI::App& launch = *AddCommand(app, a, "launch", "Run a kernel over a grid of threads", code, &Launch);
  AddFunction(launch, a);
  launch.add_option("ARGS", a.values,
                    "One for each parameter; [1, 2, 3] or a .npy file for memory, which is printed afterwards");
  launch.add_option("--grid", a.grid, "Blocks: 1 to 3 numbers, as 2,1")->type_name("X,Y,Z");
  launch.add_option("--block", a.block, "Threads of a block: 1 to 3 numbers")->type_name("X,Y,Z");
  launch.add_option("--shared", a.shared_bytes, "Bytes of shared memory for each block, beside the kernel's own")
      ->type_name("BYTES")
      ->check(CLI::Range(0, 1 << 30));
}

}  // namespace

int Main(int argc, char** argv) {
  CLI::App app(kAbout, "rbc");
  app.footer(kFooter);
  app.set_version_flag("--version", "rbc " RBC_VERSION);
  app.require_subcommand(1);
  Arguments a;
  AddCommon(app, a);
  int code = kOk;
  AddCommand(app, a, "targets", "List the farm's targets, their processors and devices", code, &Targets);
  AddCommand(app, a, "status", "Show what the farm says about itself: sessions, workers, store, sandbox", code,
             &FarmStatus);
  AddCommand(app, a, "buffers", "List the arrays that stay on the farm, by session, and the quotas", code, &Buffers);
  AddCompile(app, a, code);
  AddCall(app, a, code);
  AddMap(app, a, code);
  AddReductions(app, a, code);
  AddLaunch(app, a, code);
  try {
    app.parse(Marked(argc, argv));
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? kOk : kUsage;
  }
  return code;
}

}  // namespace rbc::cli
