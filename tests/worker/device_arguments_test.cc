// Calls and launches whose arguments lie in buffers, against a driver that tells what it was asked: what moves, where
// kernels are told to look, and that nothing is believed.
// SPDX-License-Identifier: Apache-2.0
#include "worker/device_arguments.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>

#include "tests/worker/fake_device.h"
#include "types/array.h"
#include "types/frame.h"
#include "worker/call_runner.h"
#include "worker/data_arena.h"

namespace rbc::worker {
namespace {

using cuda::FakeCuda;
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

class Arguments : public OnFakeDevice {
 protected:
  void SetUp() override {
    ASSERT_NO_FATAL_FAILURE(OnFakeDevice::SetUp());
    arena_.resize(kArenaBytes / 8);
    DataArena() = {reinterpret_cast<uint8_t*>(arena_.data()), kArenaBytes};
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
    Load({kernel, call, scalar});
    MakeBuffer(1, 800);
    SetCurrentContext(&context_);
  }
  void TearDown() override {
    SetCurrentContext(nullptr);
    OnFakeDevice::TearDown();
    DataArena() = {};
  }

  static uint64_t Parameter(size_t offset) {
    const std::string bytes = FakeCuda::Parameters();
    uint64_t value = 0;
    EXPECT_GE(bytes.size(), offset + sizeof value);
    std::memcpy(&value, bytes.data() + offset, sizeof value);
    return value;
  }
  static uint64_t Sent() { return cuda::BytesOf(FakeCuda::Steps(), 'H'); }

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
    FakeCuda::Heal();
    for (int i = 0; i < 10; ++i) ASSERT_EQ(Run(index, frame), "");
    for (const char* function : {"cuMemAlloc", "cuMemFree", "cuMemHostAlloc", "cuMemFreeHost", "cuStreamCreate",
                                 "cuEventCreate", "cuModuleGetFunction", "cuFuncSetAttribute"})
      EXPECT_EQ(FakeCuda::Calls(function), 0) << function;
    EXPECT_EQ(FakeCuda::Calls("cuLaunchKernel"), 10);
    EXPECT_EQ(FakeCuda::Calls("cuStreamQuery"), 10);
    EXPECT_EQ(FakeCuda::Calls("cuMemcpyHtoDAsync"), copies_in);
    EXPECT_EQ(FakeCuda::Calls("cuMemcpyDtoHAsync"), copies_out);
    EXPECT_EQ(FakeCuda::Calls(""), 20 + copies_in + copies_out);
  }
}

// Freed by one thread of a client while another's launch, which the daemon does not see, works on it.
TEST_F(Arguments, MemoryInUseIsFreedAfterTheCall) {
  MakeBuffer(2, 80);
  auto found = buffers_->Find(DevicePlace(2, 0), {0, 80});
  ASSERT_TRUE(found);
  FakeCuda::Heal();
  ASSERT_TRUE(Change({2, 1, 0}));
  EXPECT_EQ(FakeCuda::Calls("cuMemFree"), 0);
  EXPECT_FALSE(buffers_->Find(DevicePlace(2, 0), {})) << "nobody else finds it";
  found->hold = nullptr;
  EXPECT_EQ(FakeCuda::Calls("cuMemFree"), 1);
  // What a call found, it lets go of in its end, also where it is refused.
  MakeBuffer(3, 80);
  for (const int64_t length : {10, 11})
    (void)Run(0, Launch({{DevicePlace(3, 0), 0, 0, 8, 0}}, Frame(Both(DevicePlace(1, 0)), length * 10)));
  ASSERT_TRUE(Change({3, 1, 0}));
  EXPECT_EQ(FakeCuda::Calls("cuMemFree"), 2);
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
