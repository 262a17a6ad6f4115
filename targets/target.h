// The one interface of targets: a kind of machine that compiles and runs modules.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/expected.h"

namespace rbc {

// How a declared symbol takes its arguments. Numbers travel on the wire: only add.
enum class Abi : uint8_t {
  kDirect = 0,        // parameters as the signature says, LLVM first-class values (complex is {T, T})
  kSysv = 1,          // what clang makes of the C prototype on x86-64: coerced structs, _Complex, byval, sret
  kStatusRetptr = 2,  // i32 f(result*, parameters...): the status is returned, 0 is fine
  kKernel = 3,        // a CUDA entry with an explicit grid
};

// kObject is what this target runs: an object on host, on cuda a cubin or PTX or, simulated, an object.
enum class Emit : uint8_t { kObject = 0, kAssembly = 1, kIr = 2, kPtx = 3, kCubin = 4 };

// Which entries are made of the declared functions. Those with Abi::kKernel are entries by themselves, always.
enum class EntryKind : uint8_t { kCall = 0, kMap = 1, kReduce = 2, kKernel = 3, kScan = 4 };

// Of exp, log, sin, ... in maps on host. Calls always have libm's. Numbers travel on the wire: only add.
enum class MathAccuracy : uint8_t {
  kFast = 0,      // vector functions, at most 4 ulp (docs/vector-maths.md)
  kAccurate = 1,  // vector functions, at most 1 ulp
  kPrecise = 2,   // libm's results, row by row
};

// What Artifact::code is.
enum class CodeFormat : uint8_t {
  kText = 0,       // for people: assembly or IR
  kObject = 1,     // ELF of the host
  kPtx = 2,        // text, for the driver or for people
  kCubin = 3,      // for devices of one SM
  kSimulated = 4,  // ELF of the host whose code asks cuda/simulator/abi.h
};

struct TargetInfo {
  std::string name;  // "host"
  std::string triple;
  std::string data_layout;
  std::string cpu;  // "skylake-avx512", "sm_90"
  uint32_t pointer_bits = 64;
  std::string llvm_version;  // "22.1.8"
  std::vector<std::string> devices;
  bool simulated = false;
  bool compiler_on_demand = false;  // its compile workers want TargetFactory::prepare_compiler
};

// A function of the module that the client wants to call.
struct FunctionDeclaration {
  std::string symbol;     // exact name in the IR
  std::string signature;  // types/ normal form, "float64(float64, float64)"
  Abi abi = Abi::kDirect;
};

struct CompileOptions {
  uint8_t opt_level = 2;  // 0..3; nothing else: pass pipelines are never taken from a client
  Emit emit = Emit::kObject;
  bool debug = false;                  // keep DWARF
  bool allow_contract = false;         // a*b+c may be fused
  bool allow_inline_asm = false;       // the operator's leave, never the client's
  EntryKind entry = EntryKind::kCall;  // kCall, kMap, kReduce or kScan
  // kMap on host: how rows of each column lie, result last: 'c' side by side, 'b' one value for all, 's' any stride.
  // The result may be 'n': side by side and written past the caches, which pays from 32 MiB on and where its address is
  // a multiple of 64. Empty: any. Entries of other patterns than their columns' must not be run. Columns that share
  // bytes share all of them, row by row (in place), or the results are anybody's guess: rows run side by side. A row's
  // bits do not depend on how many rows run or on where it lies among them, so that any split over threads gives the
  // same.
  std::string map_pattern;
  MathAccuracy accuracy = MathAccuracy::kFast;  // kMap and kReduce on host
  // cuda and cuda32 only; of the device that will run it, or of the client's wish for emit.
  uint32_t sm = 0;           // 75, 80, 90, ...; 0: TargetInfo::cpu
  uint32_t ptx_version = 0;  // 78 is PTX 7.8; 0: the least that the SM needs
  bool simulate = false;     // code for the simulator
};

// What the client sent. `ir` is LLVM text or bitcode, hostile; text needs no NUL behind it here.
struct Module {
  std::string_view ir;
  std::vector<FunctionDeclaration> functions;
};

// On host an entry point `int32_t entry(void* frame, void* result)` made beside the user's function. It returns the
// status. Both are aligned to 16 bytes. frame: fixed parameters as types/frame.h lays them out; a pointer or string
// parameter is a cell {uint32 offset, uint32 length} relative to `frame`; offset 0xFFFFFFFF is null. The caller checks
// cells before it calls. On cuda a kernel: targets/cuda/launch.h says how it takes frame, columns and parameters.
struct EntryPoint {
  enum class Cell : uint8_t { kPointer = 0, kString = 1 };
  uint32_t declaration = 0;  // index into Module::functions
  std::string symbol;        // of the entry in the object
  uint32_t frame_size = 0;   // bytes of the fixed parameters
  uint32_t result_size = 0;  // bytes; a string result is 8 bytes: the char* itself, for the caller to copy
  bool result_is_string = false;
  std::vector<std::pair<uint32_t, Cell>> cells;  // offsets of pointer and string parameters in the frame
  EntryKind kind = EntryKind::kCall;

  // An array parameter: a FrameArray (types/array.h) at `offset` of the frame, whose `where` the entry adds to `frame`.
  // The caller checks before it calls that all elements are there, aligned, and side by side where that is promised.
  struct Array {
    uint32_t offset = 0;
    uint32_t rank = 0;
    uint32_t element_size = 0;
    uint32_t alignment = 1;  // of elements
    bool contiguous = false;
    uint32_t parameter = 0;  // counted from 0
    bool read_only = false;  // no call writes into it, as far as is known; of parameters
  };
  std::vector<Array> arrays;
  // The arrays of the result: {void* data; int64_t shape[rank], strides[rank]; void* owner} at `offset` of `result`,
  // for the caller to copy the elements and to release the owner (worker/array_places.h).
  std::vector<Array> result_arrays;
  bool result_is_array = false;  // it is one of them, and no struct
  // Bytes of the result in a reply, where an array by itself has no owner.
  uint32_t reply_size() const { return result_is_array ? result_size - 8 : result_size; }

  // Of kernels, on cuda.
  struct Parameter {
    uint32_t offset = 0;  // in the packed parameters of a launch
    uint32_t size = 0;
    bool is_pointer = false;  // a device address
    // kKernel: where in the frame it comes from. An array's pointer is its FrameArray's `where`, any other a cell.
    uint32_t frame_offset = 0;
    bool is_array = false;
  };
  uint32_t parameter_bytes = 0;  // of the packed parameters
  // kKernel: one a parameter of the kernel, of which an array has several; kMap: one a column, result last.
  std::vector<Parameter> parameters;
  uint32_t shared_bytes = 0;  // static shared memory
  uint32_t max_threads = 0;   // of a block, where the module says so (maxntid); 0: the device's limit
  bool meets = false;         // threads of a block wait for each other: barrier, shuffle, vote, spinning
};

// Bulk entries on host have the call's prototype. Their frame: u64 rows, a word, then {pointer to row 0, i64 stride in
// bytes} for each column (worker/launch_frame.h). They return the status of the first row that fails; what was written
// is then anybody's guess.
//   kMap     columns: the parameters', then the result's. The word is unused. `result`: the failing row (u64).
//   kReduce  one column, at least 1 row. `result` gets its value in a fixed order: leaves of kReduceLeaf rows, then
//            leaves by pairs as a binary counter carries: the tree over n leaves is that over the largest power of two
//            below n and that over the rest. A leaf of a sum, product, minimum, maximum or bitwise operation of a
//            number takes rows in 64 lanes, a whole leaf of numbers of 2 bytes and more as 2 or 4 runs side by side;
//            any other function has them one after the other, as they lie, and needs only be associative. With a word
//            other than 0 each row is a leaf: values of runs of 2^k leaves each (the last may be shorter), reduced
//            apart, become the value of the whole with the same bits.
//   kScan    columns: input, result. The word is 0 or a pointer to the value of all that came before. Row i of the
//            result is the value of the rows up to and with i, one after the other. `result`: the failing row (u64).
inline constexpr uint64_t kReduceLeaf = 8192;

// What a compile gives. Self-contained: needs nothing but runtime symbols to be loaded.
struct Artifact {
  std::string code;  // by options.emit
  CodeFormat format = CodeFormat::kObject;
  uint32_t sm = 0;                  // kPtx, kCubin: compiled for
  std::vector<EntryPoint> entries;  // one a declaration, in order; empty unless emit is kObject
  std::string constructors;         // symbol of void() that runs the module's static constructors in order, or ""
  std::string destructors;
  bool stateful = false;    // has writable globals that survive a call
  bool repeatable = false;  // a call may be repeated: no writable global, writes into no argument, no outside effects
  std::vector<Diagnostic> warnings;
  std::vector<std::pair<std::string, uint32_t>> timings_us;  // phase, microseconds; the phases of one compile in order
};

// Addresses that client code may link against: libm, compiler runtime, memory, strings, capture of output.
// Thread-safe, constant after start.
class RuntimeSymbols {
 public:
  virtual ~RuntimeSymbols() = default;
  // nullptr: not offered.
  virtual void* Find(std::string_view name) const = 0;
  // Why a well-known name is refused ("files are not available to functions"), or "" where it is merely unknown.
  virtual std::string_view WhyRefused(std::string_view name) const = 0;
};

// Breadcrumbs for the fault record: called often, must be cheap. Text is copied at once.
class CompileProgress {
 public:
  virtual ~CompileProgress() = default;
  virtual void Phase(const char* phase) = 0;  // "parse", "verify", "optimize", "emit", ...; a literal
  virtual void Function(std::string_view name) = 0;
};

// A grid of threads and the shared memory that each block of it gets beside its static variables.
struct GridShape {
  uint32_t grid[3] = {1, 1, 1};
  uint32_t block[3] = {1, 1, 1};
  uint32_t shared_bytes = 0;
};

// Where the time of one use of an entry went, in nanoseconds.
struct EntryTimes {
  uint64_t upload = 0;    // of its memory to the device
  uint64_t kernel = 0;    // the code itself
  uint64_t download = 0;  // of what comes back
};

// A column of a map: rows of `size` bytes, `stride` bytes apart (0: one value for all), row 0 at `offset` of the call's
// memory.
struct MapColumn {
  uint64_t offset = 0;
  int64_t stride = 0;
  uint32_t size = 0;
  uint64_t device = 0;  // not 0: row 0 lies at this address of the device's memory instead (Device::Allocate)
};

// A parameter of a call or kernel that lies elsewhere on the device than in the call's memory.
struct DevicePointer {
  uint32_t frame_offset = 0;  // of the parameter's slot
  uint64_t address = 0;
};

// One use of an entry. Cells and columns lie in `memory` and were checked.
// What a launch of kScan does with Invocation::tile_values, one for each segment.
enum class ScanTiles : uint8_t {
  kNone,
  kGiveValues,  // what each segment comes to goes there, and nothing to the output
  kTakeValues,  // before each but the first there is the one of the segment before
};

struct Invocation {
  std::span<uint8_t> memory;                // of the call, aligned to 64: frame, payload, zero bytes
  size_t sent = SIZE_MAX;                   // bytes of `memory` before here go to the device
  size_t returned_from = 0;                 // bytes of `memory` from here on go back to the client
  uint8_t* result = nullptr;                // EntryPoint::result_size bytes, aligned to 64
  const GridShape* shape = nullptr;         // kKernel
  uint64_t rows = 0;                        // kMap; kReduce: of a segment; kScan: segments, each scanned by itself
  std::span<const DevicePointer> pointers;  // kCall (arrays), kKernel
  // kMap: the parameters', then the result's unless it is void. kReduce: the input; with a second one each block of
  // threads has `run` rows a thread and gives its value there. kScan: input, output, which may be one, and optionally
  // the value of all that came before.
  std::span<const MapColumn> columns;
  uint64_t run = 0;       // kReduce: rows of a thread; 0: one block shares them all out
  uint64_t segments = 1;  // kReduce: each reduced by itself
  int64_t between = 0;    // kReduce: bytes from one segment to the next
  bool alone = false;     // kReduce: each thread gives its value, neighbours of neighbouring segments
  uint64_t length = 0;    // kScan: elements of a segment
  uint64_t total = 0;     // kScan: of all, where the last has fewer
  ScanTiles tiles = ScanTiles::kNone;
  MapColumn tile_values{};
  bool in_order = false;        // kScan: strictly from first to last
  uint64_t failed_row = 0;      // kMap, kReduce, kScan: set with a status other than 0
  EntryTimes* times = nullptr;  // asked for: a device waits between its steps to tell them apart
};

// One use of an entry that the caller does not wait for at once, so that another's copies run meanwhile. Used over and
// over, by one thread. Ends before its module.
class EntryRun {
 public:
  virtual ~EntryRun() = default;
  // The call's memory, where the device takes it fastest.
  virtual std::span<uint8_t> memory() = 0;
  // Starts: the memory goes there, the entry runs, the memory from returned_from on comes back. `invocation.memory` is
  // memory() or its beginning; the memory is the device's until Finish. Errors of LoadedModule::Run.
  virtual Status Start(Invocation& invocation) = 0;
  // Waits; gives the status, and with one other than 0 the failing row.
  virtual Expected<int32_t> Finish(Invocation& invocation) = 0;
};

// Code in this process that can be called until it is destroyed. Thread-safe to call into; destroyed by its owner
// when no call is inside.
class LoadedModule {
 public:
  virtual ~LoadedModule() = default;
  virtual void* Symbol(std::string_view name) const = 0;  // nullptr: no such definition
  // Name of the function that holds `address`, or "". Async-signal-safe.
  virtual const char* FunctionAt(const void* address) const = 0;

  // Whether entries are functions of this process: `int32_t(void* frame, void* result)` for calls and maps,
  // `void()` for constructors. Else all of them are run by Run().
  virtual bool is_direct() const { return true; }
  // Runs the entry number `index` of the artifact; gives its status. After an error with IsSticky() this process can
  // run nothing any more. kInvalidArgument, kResourceExhausted, kRemoteCrash.
  virtual Expected<int32_t> Run(size_t, Invocation&) {
    return Error(ErrorKind::kUnsupported, "this target calls its entries as functions");
  }
  // The same in two halves, for calls of at most `bytes` of memory. kResourceExhausted.
  virtual Expected<std::unique_ptr<EntryRun>> Prepare(size_t, size_t) {
    return Error(ErrorKind::kUnsupported, "this target calls its entries as functions");
  }
  // Constructors or destructors: a kernel of one thread without parameters.
  virtual Status RunPlain(std::string_view) {
    return Error(ErrorKind::kUnsupported, "this target calls its entries as functions");
  }
};

// After such an error the device is of no use to this process.
inline bool IsSticky(const Error& error) { return error.kind == ErrorKind::kRemoteCrash; }

// Runs modules. Thread-safe.
class Device {
 public:
  virtual ~Device() = default;
  // Links `code` (an Artifact's, checked by digest on its way here). Constructors are not run: the caller does.
  virtual Expected<std::unique_ptr<LoadedModule>> Load(std::string_view code) = 0;
  // The same with what the artifact says about its entries; they are kept as long as the module.
  virtual Expected<std::unique_ptr<LoadedModule>> Load(const Artifact& artifact) { return Load(artifact.code); }

  // Memory of the device's own, for arrays that stay there: an address, aligned to 64, of bytes that may be anything.
  // kResourceExhausted: beyond DeviceSurroundings::memory_limit or what there is. kUnsupported: it has no own.
  virtual Expected<uint64_t> Allocate(uint64_t) {
    return Error(ErrorKind::kUnsupported, "this target has no memory of its own");
  }
  virtual void Free(uint64_t) {}  // what Allocate gave; nobody uses it any more
  // Copies that have happened when they return. REQUIRES: memory that Allocate gave, not freed. Errors with IsSticky().
  virtual Status CopyIn(uint64_t /*to*/, const void* /*from*/, uint64_t /*bytes*/) { return NoMemory(); }
  virtual Status CopyOut(void* /*to*/, uint64_t /*from*/, uint64_t /*bytes*/) { return NoMemory(); }
  virtual Status CopyWithin(uint64_t /*to*/, uint64_t /*from*/, uint64_t /*bytes*/) { return NoMemory(); }

 private:
  static Status NoMemory() { return Error(ErrorKind::kUnsupported, "this target has no memory of its own"); }
};

// What the process around a device offers it. Constant from before the first OpenDevice on.
struct DeviceSurroundings {
  void (*print)(std::string_view text) = nullptr;             // what the running call prints
  void (*on_stack)(uintptr_t low, uintptr_t high) = nullptr;  // client code's stack from now on; 0, 0: the thread's own
  std::string driver;                                         // path of NVIDIA's library; empty: the system's
  uint64_t memory_limit = 0;                                  // bytes of a GPU's memory; 0: any
};
inline DeviceSurroundings& SurroundingsOfDevices() {
  static DeviceSurroundings surroundings;
  return surroundings;
}

// A kind of machine that runs modules, e.g. "host". One thread at a time.
class Target {
 public:
  virtual ~Target() = default;
  virtual TargetInfo Info() const = 0;  // never loads a driver
  // Compile side. Runs in a compile worker, on hostile input; 1 ms to seconds. May end the process: LLVM does.
  // kUnsupportedProducer, kInvalidModule, kMissingSymbol, kUnsupported, kCompileFailed, each with diagnostics.
  virtual Expected<Artifact> Compile(const Module& module, const CompileOptions& options,
                                     CompileProgress* progress) = 0;
  // Run side. Runs in an execution worker, before lock-down. kUnavailable: no such device here.
  virtual Expected<std::unique_ptr<Device>> OpenDevice(int ordinal) = 0;
};

// OpenDevice of this is a device that the host's processor plays.
inline constexpr int kSimulatedDevice = -1;

// Listing is free. `initialize` runs once in the nursery, before any fork: process-wide set-up that all share
// (LLVM's target tables). `prepare_compiler`, which may be null, runs there too, but only before the first fork of a
// compile worker for this target: files and libraries that are too dear for every start. May be called again.
// `create` runs in the worker.
struct TargetFactory {
  const char* name;
  void (*initialize)();
  void (*prepare_compiler)();
  std::unique_ptr<Target> (*create)(const RuntimeSymbols& symbols);
};

// targets/registry.cc: the one list.
std::span<const TargetFactory> Targets();
const TargetFactory* FindTarget(std::string_view name);

}  // namespace rbc
