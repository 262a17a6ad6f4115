// Calls and launches whose arguments lie in buffers, against a driver that tells what it was asked: what moves, where
// kernels are told to look, and that nothing is believed.
// SPDX-License-Identifier: Apache-2.0
#include "worker/device_arguments.h"

#include <dlfcn.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstring>

#include "targets/cuda/gpu_device.h"
#include "types/array.h"
#include "types/frame.h"
#include "worker/call_runner.h"
#include "worker/data_arena.h"
#include "worker/device_buffers.h"
#include "worker/module_instance.h"

namespace rbc::worker {
namespace {

using ::testing::HasSubstr;

constexpr uint64_t kArenaBytes = 64 << 20;
constexpr uint32_t kFrame = 40;  // an int32 at 0, a pointer at 8, an array of one dimension of doubles at 16

EntryPoint Entry(EntryKind kind, const char* symbol) {
  EntryPoint entry;
  entry.symbol = symbol;
  entry.kind = kind;
  entry.frame_size = kFrame;
  entry.cells = {{8, EntryPoint::Cell::kPointer}};
  entry.arrays = {{16, 1, 8, 8, false}};
  return entry;
}

class Arguments : public ::testing::Test {
 protected:
  void SetUp() override {
    SurroundingsOfDevices().driver = RBC_FAKE_CUDA;
    const int output = dup(STDOUT_FILENO);  // the device takes it for what kernels print
    auto device = cuda::OpenGpu(0);
    dup2(output, STDOUT_FILENO);
    close(output);
    ASSERT_TRUE(device) << device.error().message;
    device_ = *std::move(device);
    buffers_ = std::make_unique<DeviceBuffers>(*device_);
    BuffersOnDevice() = buffers_.get();
    arena_.resize(kArenaBytes / 8);
    DataArena() = {reinterpret_cast<uint8_t*>(arena_.data()), kArenaBytes};
    LoadBlob blob;
    blob.artifact.code = ".visible .entry kernel()\n.visible .entry call()\n.visible .entry scalar()\n";
    blob.artifact.format = CodeFormat::kPtx;
    EntryPoint kernel = Entry(EntryKind::kKernel, "kernel");
    kernel.parameters = {{0, 4, false, 0, false}, {8, 8, true, 8, false}, {16, 8, true, 16, true}, {24, 8, false, 24}};
    kernel.parameter_bytes = 32;
    EntryPoint call = Entry(EntryKind::kCall, "call");
    call.result_size = 8;
    EntryPoint scalar;
    scalar.symbol = "scalar";
    scalar.kind = EntryKind::kCall;
    scalar.frame_size = 8;
    scalar.result_size = 8;
    blob.artifact.entries = {kernel, call, scalar};
    blob.function_ids = {1, 2, 3};
    blob.names = {"kernel", "call", "scalar"};
    auto module = ModuleInstance::Make(1, std::move(blob), *device_);
    ASSERT_TRUE(module) << module.error().message;
    module_ = *std::move(module);
    MakeBuffer(1, 800);
    SetCurrentContext(&context_);
  }
  void TearDown() override {
    SetCurrentContext(nullptr);
    module_.reset();
    buffers_.reset();
    BuffersOnDevice() = nullptr;
    DataArena() = {};
    device_.reset();
    EXPECT_EQ(Fake<long (*)(const char*)>("fake_cuda_left")("memory"), 0);
  }

  template <typename F>
  static F Fake(const char* name) {
    static void* const library = dlopen(RBC_FAKE_CUDA, RTLD_NOW);
    return reinterpret_cast<F>(dlsym(library, name));
  }
  static long Calls(const char* name) { return Fake<long (*)(const char*)>("fake_cuda_calls")(name); }
  static void StartCounting() { Fake<void (*)(const char*, int, long)>("fake_cuda_fail")("", 0, 1); }
  static uint64_t Parameter(size_t offset) {
    char bytes[64] = {};
    EXPECT_GE(Fake<size_t (*)(char*, size_t)>("fake_cuda_parameters")(bytes, sizeof bytes), offset + 8);
    uint64_t value;
    std::memcpy(&value, bytes + offset, sizeof value);
    return value;
  }
  static uint64_t Sent() {
    std::string text(65 * 1024, '\0');
    Fake<void (*)(char*, size_t)>("fake_cuda_told")(text.data(), text.size());
    uint64_t bytes = 0;
    for (size_t at = text.find('H'); at != std::string::npos; at = text.find('H', at + 1))
      bytes += std::stoull(text.substr(text.find(':', at) + 1));
    return bytes;
  }

  void MakeBuffer(uint32_t slot, uint64_t bytes) {
    struct {
      DeviceHead head{kDeviceMagic, DeviceRequest::kChange, 1, 0};
      DeviceStep step{};
    } request;
    request.step = {slot, 0, bytes};
    ASSERT_TRUE(buffers_->Run({reinterpret_cast<const char*>(&request), sizeof request}));
  }
  uint64_t AddressOf(uint32_t slot) { return buffers_->Find(DevicePlace(slot, 0), {})->address; }

  // The frame behind head and pointers.
  static std::string Frame(uint64_t where, int64_t length = 10, int64_t stride = 8) {
    std::string frame(kFrame, '\0');
    const types::FrameCell null{types::kNullOffset, 0};
    std::memcpy(frame.data() + 8, &null, sizeof null);
    types::StoreFrameArray({where, {length}, {stride}}, frame.data() + 16);
    return frame;
  }
  static std::string Launch(const std::vector<LaunchPointer>& pointers, const std::string& frame) {
    std::string out;
    const auto append = [&out](const auto& value) { out.append(reinterpret_cast<const char*>(&value), sizeof value); };
    append(LaunchHead{{1, 1, 1}, {32, 1, 1}, 0, kHeadWithPointers});
    append(uint64_t{pointers.size()});
    for (const auto& pointer : pointers) append(pointer);
    return out + frame;
  }
  // "": it ran. Else what the reply says.
  std::string Run(size_t index, std::string_view frame) {
    CallView call;
    call.frame = frame;
    std::vector<uint8_t> small(4096);
    const auto reply = runner_.Run(call, module_->functions()[index], small);
    constexpr size_t kField = 4 + 4 + 4 + 4 + 4;  // length, version, "call", sequence
    const std::string text(reinterpret_cast<const char*>(reply.data()), reply.size());
    return text.at(kField + 2) == 0 ? "" : text.substr(kField);
  }

  std::vector<double> arena_;
  std::unique_ptr<Device> device_;
  std::unique_ptr<DeviceBuffers> buffers_;
  std::unique_ptr<ModuleInstance> module_;
  CallContext context_;
  CallRunner runner_{context_, {64 << 20, 1 << 20}};
};

constexpr uint64_t Both(uint64_t place) { return place | kInDataArena; }

TEST_F(Arguments, OnTheDeviceStayWhereTheyLie) {
  MakeBuffer(2, 80);
  (void)Sent();
  EXPECT_EQ(Run(0, Launch({{DevicePlace(1, 24), 0, 0, 8, 0}}, Frame(Both(DevicePlace(2, 72)), 10, -8))), "");
  EXPECT_EQ(Parameter(8), AddressOf(1) + 24);
  EXPECT_EQ(Parameter(16), AddressOf(2) + 72);
  EXPECT_EQ(Parameter(24), 10u);
  EXPECT_LE(Sent(), 256u) << "a head and a frame";
  EXPECT_EQ(Run(1, Frame(Both(DevicePlace(1, 0)))), "");
}

TEST_F(Arguments, InTheArenaAreBroughtThereAndBack) {
  for (size_t i = 0; i < 1000; ++i) arena_[i] = static_cast<double>(i);
  const auto before = arena_;
  (void)Sent();
  // A buffer of 100 at 800, and an array in the middle of it: they share it.
  EXPECT_EQ(Run(0, Launch({{Both(808), 800, 1600, 8, 0}}, Frame(Both(1000)))), "");
  EXPECT_EQ(Parameter(16), Parameter(8) + 192);
  const uint64_t sent = Sent();
  EXPECT_GE(sent, 800u);
  EXPECT_LE(sent, 800u + 512);
  EXPECT_EQ(Parameter(8) % 64, 808 % 64) << "aligned as it was";
  // Apart, and more than is kept for calls.
  constexpr uint64_t kLarge = 40 << 20;
  EXPECT_EQ(Run(0, Launch({{Both(4096), 4096, 4096 + kLarge, 8, 0}}, Frame(Both(0)))), "");
  EXPECT_GE(Sent(), kLarge + 80);
  EXPECT_EQ(Run(1, Frame(Both(80))), "");
  EXPECT_EQ(Run(1, Frame(Both(kArenaBytes), 0)), "") << "nothing, at the end";
  EXPECT_TRUE(arena_ == before) << "the kernel of this driver does nothing";
}

// What a session calls again and again costs the driver a launch and a question; a copy each way where its arguments
// are brought.
TEST_F(Arguments, WarmCallsAllocateNothing) {
  struct Kind {
    size_t index;
    std::string frame;
    int copies_in, copies_out;
  };
  const Kind kinds[] = {{0, Launch({{DevicePlace(1, 0), 0, 0, 8, 0}}, Frame(Both(DevicePlace(1, 0)))), 0, 0},
                        {0, Launch({{Both(800), 800, 1600, 8, 0}}, Frame(Both(0))), 10, 10},
                        {1, Frame(Both(DevicePlace(1, 0))), 10, 0},
                        {1, Frame(Both(0)), 10, 10},
                        {2, std::string(8, 'x'), 0, 0}};
  for (const auto& kind : kinds) ASSERT_EQ(Run(kind.index, kind.frame), "");
  for (const auto& [index, frame, copies_in, copies_out] : kinds) {
    StartCounting();
    for (int i = 0; i < 10; ++i) ASSERT_EQ(Run(index, frame), "");
    for (const char* function : {"cuMemAlloc", "cuMemFree", "cuMemHostAlloc", "cuMemFreeHost", "cuStreamCreate",
                                 "cuEventCreate", "cuModuleGetFunction", "cuFuncSetAttribute"})
      EXPECT_EQ(Calls(function), 0) << function;
    EXPECT_EQ(Calls("cuLaunchKernel"), 10);
    EXPECT_EQ(Calls("cuStreamQuery"), 10);
    EXPECT_EQ(Calls("cuMemcpyHtoDAsync"), copies_in);
    EXPECT_EQ(Calls("cuMemcpyDtoHAsync"), copies_out);
    EXPECT_EQ(Calls(""), 20 + copies_in + copies_out);
  }
}

// Freed by one thread of a client while another's launch, which the daemon does not see, works on it.
TEST_F(Arguments, MemoryInUseIsFreedAfterTheCall) {
  MakeBuffer(2, 80);
  auto found = buffers_->Find(DevicePlace(2, 0), {0, 80});
  ASSERT_TRUE(found);
  StartCounting();
  struct {
    DeviceHead head{kDeviceMagic, DeviceRequest::kChange, 1, 0};
    DeviceStep step{2, 1, 0};
  } request;
  ASSERT_TRUE(buffers_->Run({reinterpret_cast<const char*>(&request), sizeof request}));
  EXPECT_EQ(Calls("cuMemFree"), 0);
  EXPECT_FALSE(buffers_->Find(DevicePlace(2, 0), {})) << "nobody else finds it";
  found->hold = nullptr;
  EXPECT_EQ(Calls("cuMemFree"), 1);
  // What a call found, it lets go of in its end, also where it is refused.
  MakeBuffer(3, 80);
  for (const int64_t length : {10, 11})
    (void)Run(0, Launch({{DevicePlace(3, 0), 0, 0, 8, 0}}, Frame(Both(DevicePlace(1, 0)), length * 10)));
  request.step = {3, 1, 0};
  ASSERT_TRUE(buffers_->Run({reinterpret_cast<const char*>(&request), sizeof request}));
  EXPECT_EQ(Calls("cuMemFree"), 2);
}

// What the daemon would not send.
TEST_F(Arguments, FramesAreBelievedNothing) {
  const LaunchPointer good{DevicePlace(1, 0), 0, 0, 8, 0};
  const std::string frame = Launch({good}, Frame(Both(DevicePlace(1, 0))));
  ASSERT_EQ(Run(0, frame), "");
  for (size_t size = 0; size < frame.size(); ++size) EXPECT_NE(Run(0, frame.substr(0, size)), "") << size;
  for (const uint64_t count : {uint64_t{2}, uint64_t{1} << 59, ~uint64_t{0}}) {
    std::string lying = frame;
    std::memcpy(lying.data() + sizeof(LaunchHead), &count, sizeof count);
    EXPECT_NE(Run(0, lying), "") << count;
  }
  const LaunchPointer lies[] = {
      {DevicePlace(1, 801), 0, 0, 8, 0},   {DevicePlace(7, 0), 0, 0, 8, 0}, {good.place, 0, 0, 33, 0},
      {good.place, 0, 0, UINT32_MAX, 0},   {Both(800), 801, 1600, 8, 0},    {Both(1601), 800, 1600, 8, 0},
      {Both(0), 0, kArenaBytes + 1, 8, 0}, {Both(0), 8, 0, 8, 0},           {Both(0), 0, ~uint64_t{0}, 8, 0}};
  for (const auto& lie : lies) EXPECT_THAT(Run(0, Launch({lie}, Frame(Both(0)))), HasSubstr("a call of 'kernel'"));
  const std::string arrays[] = {Frame(Both(DevicePlace(1, 0)), 101),
                                Frame(Both(DevicePlace(1, 8)), 100),
                                Frame(Both(DevicePlace(1, 0)), 2, -8),
                                Frame(Both(DevicePlace(9, 0))),
                                Frame(Both(DevicePlace(1, 4))),
                                Frame(Both(kArenaBytes - 72)),
                                Frame(Both(0), 2, -8),
                                Frame(Both(4)),
                                Frame(Both(0), 3, 12),
                                Frame(Both(0), INT64_MAX, INT64_MAX),
                                Frame(Both(0), -1)};
  for (size_t i = 0; i < std::size(arrays); ++i) {
    EXPECT_THAT(Run(0, Launch({}, arrays[i])), HasSubstr("a call of 'kernel'")) << i;
    EXPECT_THAT(Run(1, arrays[i]), HasSubstr("a call of 'call'")) << i;
  }
  ASSERT_EQ(Run(0, frame), "");
}

}  // namespace
}  // namespace rbc::worker
