// A driver that is none: two GPUs of host memory whose kernels do nothing, and any error at any call.
// SPDX-License-Identifier: Apache-2.0
//
// What fails is told in process by fake_cuda_fail(), or by the file FAKE.conf beside the library, which cuInit reads:
// lines of "FUNCTION RESULT COUNT": from the COUNTth call on (1: the first) the function gives RESULT. "hang KERNEL 1"
// makes a kernel of that name endless; "print KERNEL 1" makes it print its name, "left KERNEL 1" what is not given
// back. "asks FUNCTION NUMBER" makes the function make that system call, with the library's own path where openat wants
// one; "holds FUNCTION COUNT" makes it open the library so many times.
#include <dlfcn.h>
#include <fcntl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <map>
#include <mutex>
#include <string>
#include <vector>

#define EXPORT extern "C" __attribute__((visibility("default")))

namespace {

constexpr int kGpus = 2;
constexpr size_t kGib = size_t{1} << 30;
constexpr size_t kMemory[kGpus] = {8 * kGib, 16 * kGib};
const char* const kNames[kGpus] = {"Fake GPU A", "Fake GPU B"};

struct Failure {
  int result;
  long from;
};
struct Module {
  std::string image;
  std::vector<std::string*> kernels;
};

std::mutex mutex;
std::map<std::string, Failure> failures;
std::map<std::string, long> calls;
std::map<std::string, std::string> behaviours;  // of kernels
std::map<std::string, long> asks, holds;        // of functions
std::string library;                            // where it lies
std::map<void*, size_t> memory;
std::atomic<long> contexts{0}, modules{0}, streams{0}, events{0};
std::atomic<int> streams_made{0};
std::string told;        // what was asked of streams, in order
std::string parameters;  // of the last kernel, packed
thread_local int current_device = -1;
int context_device = 0;

long Told(const std::map<std::string, long>& of, const char* name) {
  const auto found = of.find(name);
  return found == of.end() ? 0 : found->second;
}

int Outcome(const char* name) {
  const std::lock_guard lock(mutex);
  for (long i = Told(holds, name); i > 0; --i)
    if (open(library.c_str(), O_RDONLY | O_CLOEXEC) < 0) return 304;
  if (const long asked = Told(asks, name); asked != 0) {
    const long opened = syscall(static_cast<int>(asked), AT_FDCWD, library.c_str(), O_RDONLY | O_CLOEXEC, 0, 0, 0);
    if (asked == SYS_openat && opened < 0) return 304;
  }
  const long call = ++calls[name];
  const auto found = failures.find(name);
  return found != failures.end() && call >= found->second.from ? found->second.result : 0;
}
#define FAIL_OR_GO_ON(name) \
  if (const int result = Outcome(name); result != 0) return result

// H and D: copies to the device and from it, C: within it, K: a kernel, S: waited for; then the stream's number and
// the bytes or the kernel's blocks (asked after counts as waited for). W: an event was waited for.
void Tell(char what, void* stream, size_t bytes = 0) {
  const std::lock_guard lock(mutex);
  if (told.size() > 64 * 1024) return;
  told += what + (stream == nullptr ? "" : std::to_string(*static_cast<int*>(stream)));
  told += bytes == 0 ? " " : ":" + std::to_string(bytes) + " ";
}

void ReadConfiguration() {
  Dl_info info{};
  if (dladdr(reinterpret_cast<void*>(&ReadConfiguration), &info) == 0) return;
  library = info.dli_fname;
  std::ifstream in(library + ".conf");
  std::string name, what;
  long count = 1;
  while (in >> name >> what >> count) {
    const std::lock_guard lock(mutex);
    if (name == "hang" || name == "print" || name == "left")
      behaviours[what] = name;
    else if (name == "asks" || name == "holds")
      (name == "asks" ? asks : holds)[what] = count;
    else
      failures[name] = {std::atoi(what.c_str()), count};
  }
}

// As a kernel would print it.
bool PrintLeft() {
  size_t bytes = 0, pieces = 0;
  {
    const std::lock_guard lock(mutex);
    pieces = memory.size();
    for (const auto& [at, size] : memory) bytes += size;
  }
  char text[256];
  const int size = std::snprintf(text, sizeof text, "contexts %ld modules %ld streams %ld pieces %zu bytes %zu\n",
                                 contexts.load(), modules.load(), streams.load(), pieces, bytes);
  return write(1, text, static_cast<size_t>(size)) == size;
}

int Allocate(void** out, size_t size) {
  constexpr size_t kAlignment = 256;  // as a GPU's memory has it
  const size_t room = (size + kAlignment - 1) / kAlignment * kAlignment;
  void* bytes = std::aligned_alloc(kAlignment, room);
  if (bytes == nullptr) return 2;
  const std::lock_guard lock(mutex);
  memory[bytes] = size;
  *out = bytes;
  return 0;
}
int Release(void* bytes) {
  const std::lock_guard lock(mutex);
  if (memory.erase(bytes) == 0) return 1;
  std::free(bytes);
  return 0;
}

}  // namespace

// ---- For tests in process ----------------------------------------------------------------------------------------

EXPORT void fake_cuda_fail(const char* name, int result, long from) {
  const std::lock_guard lock(mutex);
  calls.clear();
  failures.clear();
  if (result != 0) failures[name] = {result, from};
}
EXPORT long fake_cuda_left(const char* what) {
  if (std::strcmp(what, "contexts") == 0) return contexts;
  if (std::strcmp(what, "modules") == 0) return modules;
  if (std::strcmp(what, "streams") == 0) return streams;
  if (std::strcmp(what, "events") == 0) return events;
  const std::lock_guard lock(mutex);
  return static_cast<long>(memory.size());
}

// What streams were asked since the last time; REQUIRES: `size` bytes at `out`.
EXPORT void fake_cuda_told(char* out, size_t size) {
  const std::lock_guard lock(mutex);
  std::snprintf(out, size, "%s", told.c_str());
  told.clear();
}

// Calls of a function, or of all ("") since fake_cuda_fail.
EXPORT long fake_cuda_calls(const char* name) {
  const std::lock_guard lock(mutex);
  long count = 0;
  for (const auto& [function, times] : calls) count += *name == 0 || function == name ? times : 0;
  return count;
}
// The packed parameters of the last kernel. REQUIRES: `size` bytes at `out`; gives how many there are.
EXPORT size_t fake_cuda_parameters(char* out, size_t size) {
  const std::lock_guard lock(mutex);
  std::memcpy(out, parameters.data(), std::min(size, parameters.size()));
  return parameters.size();
}

// ---- The driver --------------------------------------------------------------------------------------------------

EXPORT int cuInit(unsigned) {
  ReadConfiguration();
  return Outcome("cuInit");
}
EXPORT int cuDriverGetVersion(int* version) {
  *version = 13000;
  return Outcome("cuDriverGetVersion");
}
EXPORT int cuDeviceGetCount(int* count) {
  *count = kGpus;
  return Outcome("cuDeviceGetCount");
}
EXPORT int cuDeviceGet(int* device, int ordinal) {
  FAIL_OR_GO_ON("cuDeviceGet");
  if (ordinal < 0 || ordinal >= kGpus) return 101;
  *device = ordinal;
  return 0;
}
EXPORT int cuDeviceGetName(char* name, int size, int device) {
  std::snprintf(name, static_cast<size_t>(size), "%s", kNames[device]);
  return Outcome("cuDeviceGetName");
}
EXPORT int cuDeviceGetUuid(char* uuid, int device) {
  std::memset(uuid, 0xa0 + device, 16);
  return Outcome("cuDeviceGetUuid");
}
EXPORT int cuDeviceTotalMem_v2(size_t* bytes, int device) {
  *bytes = kMemory[device];
  return Outcome("cuDeviceTotalMem");
}
EXPORT int cuDeviceGetAttribute(int* value, int attribute, int) {
  *value = attribute == 75 ? 9 : attribute == 76 ? 0 : 4;
  return Outcome("cuDeviceGetAttribute");
}
EXPORT int cuCtxCreate_v2(void** context, unsigned, int device) {
  FAIL_OR_GO_ON("cuCtxCreate");
  ++contexts;
  current_device = context_device = device;
  *context = new int(device);
  return 0;
}
EXPORT int cuCtxDestroy_v2(void* context) {
  --contexts;
  delete static_cast<int*>(context);
  return Outcome("cuCtxDestroy");
}
EXPORT int cuCtxSetCurrent(void* context) {
  FAIL_OR_GO_ON("cuCtxSetCurrent");
  current_device = *static_cast<int*>(context);
  return 0;
}
EXPORT int cuCtxSetLimit(int, size_t) { return Outcome("cuCtxSetLimit"); }
EXPORT int cuMemGetInfo_v2(size_t* free_bytes, size_t* total) {
  FAIL_OR_GO_ON("cuMemGetInfo");
  const int device = current_device < 0 ? context_device : current_device;
  *total = kMemory[device];
  *free_bytes = kMemory[device] - kGib;
  return 0;
}
EXPORT int cuModuleLoadDataEx(void** module, const void* image, unsigned options, int* names, void** values) {
  const int result = Outcome("cuModuleLoadDataEx");
  if (result != 0) {
    for (unsigned i = 0; i < options; ++i)
      if (names[i] == 5) std::strcpy(static_cast<char*>(values[i]), "ptxas fatal: the fake driver does not like it");
    return result;
  }
  ++modules;
  *module = new Module{static_cast<const char*>(image), {}};
  return 0;
}
EXPORT int cuModuleUnload(void* module) {
  auto* gone = static_cast<Module*>(module);
  for (auto* kernel : gone->kernels) delete kernel;
  delete gone;
  --modules;
  return Outcome("cuModuleUnload");
}
EXPORT int cuModuleGetFunction(void** function, void* module, const char* name) {
  FAIL_OR_GO_ON("cuModuleGetFunction");
  auto* in = static_cast<Module*>(module);
  // PTX names its kernels; a cubin is taken at its word.
  if (!in->image.starts_with("\x7f"
                             "ELF") &&
      in->image.find(std::string(".entry ") + name) == std::string::npos)
    return 500;
  in->kernels.push_back(new std::string(name));
  *function = in->kernels.back();
  return 0;
}
EXPORT int cuFuncSetAttribute(void*, int, int) { return Outcome("cuFuncSetAttribute"); }
EXPORT int cuLaunchKernel(void* function, unsigned blocks, unsigned, unsigned, unsigned x, unsigned y, unsigned z,
                          unsigned, void* stream, void**, void** extra) {
  FAIL_OR_GO_ON("cuLaunchKernel");
  if (x * y * z > 1024) return 1;
  Tell('K', stream, blocks);
  std::string behaviour;
  {
    const std::lock_guard lock(mutex);
    // CU_LAUNCH_PARAM_BUFFER_POINTER and _SIZE, in this order.
    if (extra != nullptr) parameters.assign(static_cast<char*>(extra[1]), *static_cast<size_t*>(extra[3]));
    behaviour = behaviours[*static_cast<std::string*>(function)];
  }
  if (behaviour == "print" && write(1, "printed by the device\n", 22) < 0) return 999;
  if (behaviour == "left" && !PrintLeft()) return 999;
  while (behaviour == "hang") usleep(1000);
  return 0;
}
EXPORT int cuMemAlloc_v2(unsigned long long* address, size_t size) {
  FAIL_OR_GO_ON("cuMemAlloc");
  void* bytes = nullptr;
  const int result = Allocate(&bytes, size);
  *address = reinterpret_cast<unsigned long long>(bytes);
  return result;
}
EXPORT int cuMemFree_v2(unsigned long long address) {
  Release(reinterpret_cast<void*>(address));
  return Outcome("cuMemFree");
}
EXPORT int cuMemHostAlloc(void** out, size_t size, unsigned) {
  FAIL_OR_GO_ON("cuMemHostAlloc");
  return Allocate(out, size);
}
EXPORT int cuMemHostGetDevicePointer_v2(unsigned long long* address, void* bytes, unsigned) {
  FAIL_OR_GO_ON("cuMemHostGetDevicePointer");
  *address = reinterpret_cast<unsigned long long>(bytes);
  return 0;
}
EXPORT int cuMemFreeHost(void* bytes) {
  Release(bytes);
  return Outcome("cuMemFreeHost");
}
EXPORT int cuMemcpyHtoDAsync_v2(unsigned long long to, const void* from, size_t size, void* stream) {
  FAIL_OR_GO_ON("cuMemcpyHtoDAsync");
  Tell('H', stream, size);
  std::memcpy(reinterpret_cast<void*>(to), from, size);
  return 0;
}
EXPORT int cuMemcpyDtoHAsync_v2(void* to, unsigned long long from, size_t size, void* stream) {
  FAIL_OR_GO_ON("cuMemcpyDtoHAsync");
  Tell('D', stream, size);
  std::memcpy(to, reinterpret_cast<void*>(from), size);
  return 0;
}
EXPORT int cuMemcpyDtoDAsync_v2(unsigned long long to, unsigned long long from, size_t size, void* stream) {
  FAIL_OR_GO_ON("cuMemcpyDtoDAsync");
  Tell('C', stream, size);
  std::memmove(reinterpret_cast<void*>(to), reinterpret_cast<void*>(from), size);
  return 0;
}
EXPORT int cuStreamCreate(void** stream, unsigned) {
  FAIL_OR_GO_ON("cuStreamCreate");
  ++streams;
  *stream = new int(++streams_made);
  return 0;
}
EXPORT int cuStreamDestroy_v2(void* stream) {
  --streams;
  delete static_cast<int*>(stream);
  return Outcome("cuStreamDestroy");
}
EXPORT int cuStreamSynchronize(void* stream) {
  Tell('S', stream);
  return Outcome("cuStreamSynchronize");
}
EXPORT int cuStreamQuery(void* stream) {
  Tell('S', stream);
  return Outcome("cuStreamQuery");
}
EXPORT int cuEventCreate(void** event, unsigned) {
  FAIL_OR_GO_ON("cuEventCreate");
  ++events;
  *event = new char;
  return 0;
}
EXPORT int cuEventDestroy_v2(void* event) {
  --events;
  delete static_cast<char*>(event);
  return Outcome("cuEventDestroy");
}
EXPORT int cuEventRecord(void*, void*) { return Outcome("cuEventRecord"); }
EXPORT int cuEventSynchronize(void*) {
  Tell('W', nullptr);
  return Outcome("cuEventSynchronize");
}
EXPORT int cuEventElapsedTime(float*, void*, void*) { return Outcome("cuEventElapsedTime"); }
EXPORT int cuGetErrorName(int, const char** name) {
  *name = "CUDA_ERROR_OF_THE_FAKE";
  return 0;
}
EXPORT int cuGetErrorString(int, const char** text) {
  *text = "the fake driver was told to fail";
  return 0;
}
