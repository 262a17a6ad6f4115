// Maps and reductions on a device, against a driver that keeps a list of what its streams are asked: what overlaps, and
// that nothing moves which is there already.
// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <functional>
#include <set>

#include "tests/worker/fake_device.h"
#include "worker/array_call.h"
#include "worker/resident_arrays.h"

namespace rbc::worker {
namespace {

using cuda::BytesOf;
using cuda::FakeCuda;
using cuda::FakeStep;

constexpr uint64_t kSlot = 5;

class ArraysOnDevice : public OnFakeDevice {
 protected:
  void SetUp() override {
    ASSERT_NO_FATAL_FAILURE(OnFakeDevice::SetUp());
    EntryPoint map;
    map.symbol = "map";
    map.kind = EntryKind::kMap;
    map.result_size = 8;
    map.parameters.assign(3, {0, 8});
    EntryPoint reduce;
    reduce.symbol = "reduce";
    reduce.kind = EntryKind::kReduce;
    reduce.result_size = 8;
    EntryPoint scan = reduce;
    scan.symbol = "scan";
    scan.kind = EntryKind::kScan;
    Load({map, reduce, scan});
  }
  // A buffer of so many doubles.
  void MakeNumbers(uint32_t slot, uint64_t count) { MakeBuffer(slot, count * 8); }

  struct Operand {
    uint64_t place;
    std::vector<int64_t> strides;
  };
  // Runs entry `index` over doubles; the call's memory has `bytes`.
  Expected<int32_t> Run(size_t index, std::vector<int64_t> shape, std::vector<Operand> operands, size_t inner,
                        size_t bytes) {
    std::string frame;
    const auto append = [&frame](const auto& value) {
      frame.append(reinterpret_cast<const char*>(&value), sizeof value);
    };
    append(ArrayHead{static_cast<uint32_t>(operands.size()), static_cast<uint16_t>(shape.size()),
                     static_cast<uint16_t>(inner), 0, kArrayMagic});
    for (const int64_t length : shape) append(length);
    for (const Operand& operand : operands) {
      append(operand.place);
      for (const int64_t stride : operand.strides) append(stride);
    }
    memory_.assign(bytes / 8 + 8, 1.5);
    const LoadedFunction& function = module_->functions()[index];
    ArrayCall call;
    std::string_view rest = frame;
    RBC_RETURN_IF_ERROR(call.Take(function, &rest));
    RBC_RETURN_IF_ERROR(call.Place(function, {reinterpret_cast<uint8_t*>(memory_.data()), bytes}));
    Scratch scratch;
    ResidentArrays resident;
    RBC_RETURN_IF_ERROR(resident.Bring(function, call, scratch));
    RBC_RETURN_IF_ERROR(call.Separate(function, index == 0, scratch));
    uint64_t failed = 0;
    (void)FakeCuda::Steps();
    RBC_ASSIGN_OR_RETURN(const int32_t status, RunArraysOnDevice(function, call, &failed));
    RBC_RETURN_IF_ERROR(resident.PutBack());
    return status;
  }

  std::vector<double> memory_;
};

// Two arrays of 4 M doubles go there, one comes back.
TEST_F(ArraysOnDevice, PiecesOfHostArraysOverlap) {
  constexpr uint64_t kCount = 4 << 20, kBytes = kCount * 8;
  const auto status = Run(0, {kCount}, {{0, {8}}, {kBytes, {8}}, {2 * kBytes, {8}}}, 0, 3 * kBytes);
  ASSERT_TRUE(status) << status.error().message;
  const auto steps = FakeCuda::Steps();
  std::set<int> streams;
  size_t uploads = 0, waits = 0;
  for (const FakeStep& step : steps) {
    uploads += step.what == 'H';
    if (step.what == 'S' && waits++ == 0) {
      EXPECT_EQ(uploads, 3u) << "three are on their way before one is waited for";
    }
    streams.insert(step.stream);
  }
  EXPECT_EQ(streams.size(), 3u);
  EXPECT_EQ(waits, uploads);
  EXPECT_GE(uploads, 6u);
  // While one is waited for, the others have all of their steps queued behind them.
  std::map<int, int> queued;
  for (size_t i = 0; i < steps.size(); ++i) {
    if (steps[i].what == 'H') ++queued[steps[i].stream];
    if (steps[i].what == 'S') --queued[steps[i].stream];
    for (const auto& [stream, count] : queued) EXPECT_LE(count, 1) << "a piece's memory is used again when it is back";
  }
  const uint64_t heads = 256 * uploads;  // and what rounds columns up
  EXPECT_GE(BytesOf(steps, 'H'), 2 * kBytes);
  EXPECT_LE(BytesOf(steps, 'H'), 2 * kBytes + heads) << "the result's place does not go there";
  EXPECT_LE(BytesOf(steps, 'D'), kBytes + heads) << "the arguments do not come back";
}

TEST_F(ArraysOnDevice, ArraysThatAreThereDoNotMove) {
  constexpr uint64_t kCount = 4 << 20;
  for (uint32_t slot : {1u, 2u, 5u}) MakeNumbers(slot, kCount);
  auto status =
      Run(0, {kCount}, {{DevicePlace(1, 0), {8}}, {DevicePlace(2, 0), {8}}, {DevicePlace(kSlot, 0), {8}}}, 0, 0);
  ASSERT_TRUE(status) << status.error().message;
  auto steps = FakeCuda::Steps();
  EXPECT_LE(BytesOf(steps, 'H'), 128u);
  EXPECT_LE(BytesOf(steps, 'D'), 128u);
  EXPECT_EQ(std::count_if(steps.begin(), steps.end(), [](const FakeStep& s) { return s.what == 'K'; }), 1);
  // Backwards, every second, one value for all: walked over as well. What is here goes there alone.
  constexpr int64_t kHalf = kCount / 2;
  status = Run(0, {kHalf}, {{DevicePlace(1, 8 * (kCount - 1)), {-16}}, {0, {8}}, {DevicePlace(kSlot, 0), {8}}}, 0,
               8 * kHalf);
  ASSERT_TRUE(status) << status.error().message;
  steps = FakeCuda::Steps();
  EXPECT_GE(BytesOf(steps, 'H'), uint64_t{8 * kHalf});
  EXPECT_LE(BytesOf(steps, 'H'), uint64_t{8 * kHalf} + 128 * 20);
  EXPECT_LE(BytesOf(steps, 'D'), 128u * 20);
  // All of it by a reduction.
  status = Run(1, {kCount}, {{DevicePlace(1, 0), {8}}, {0, {0}}}, 1, 8);
  ASSERT_TRUE(status) << status.error().message;
  steps = FakeCuda::Steps();
  std::vector<uint64_t> blocks;
  for (const FakeStep& step : steps)
    if (step.what == 'K') blocks.push_back(step.bytes);
  EXPECT_THAT(blocks, ::testing::ElementsAre(kCount / 16384, 1)) << "the whole grid, then one block over its values";
  EXPECT_LE(BytesOf(steps, 'H'), 8 * kCount / 16384 + 256);
  EXPECT_LE(BytesOf(steps, 'D'), 8 * kCount / 16384 + 256);
}

// Along an axis, as they lie: a column is a row with gaps.
TEST_F(ArraysOnDevice, RowsThatAreThereDoNotMove) {
  constexpr int64_t kRows = 3, kLength = 40'000;
  MakeNumbers(1, kRows * kLength);
  // Blocks share a row; of columns neighbouring threads have neighbours, and blocks their values.
  struct {
    std::vector<int64_t> strides;
    std::vector<uint64_t> blocks;
  } const cases[] = {{{8 * kLength, 8}, {9, 1}}, {{8, 8 * kRows}, {8, 9, 1}}};
  for (const auto& [strides, wanted] : cases) {
    const auto status = Run(1, {kRows, kLength}, {{DevicePlace(1, 0), strides}, {0, {8, 0}}}, 1, 8 * kRows);
    ASSERT_TRUE(status) << status.error().message;
    const auto steps = FakeCuda::Steps();
    std::vector<uint64_t> blocks;
    for (const FakeStep& step : steps)
      if (step.what == 'K') blocks.push_back(step.bytes);
    EXPECT_EQ(blocks, wanted);
    EXPECT_EQ(BytesOf(steps, 'H'), 0u);
    EXPECT_LE(BytesOf(steps, 'D'), 64u) << "the results";
  }
}

TEST_F(ArraysOnDevice, ScansGoOverThemWhereTheyLie) {
  constexpr int64_t kCount = 5 << 20;  // 40 MiB: in two pieces
  for (uint32_t slot : {1u, 2u}) MakeNumbers(slot, kCount);
  auto status = Run(2, {kCount}, {{DevicePlace(1, 0), {8}}, {DevicePlace(2, 0), {8}}}, 1, 0);
  ASSERT_TRUE(status) << status.error().message;
  auto steps = FakeCuda::Steps();
  std::vector<uint64_t> blocks;
  for (const FakeStep& step : steps)
    if (step.what == 'K') blocks.push_back(step.bytes);
  EXPECT_THAT(blocks, ::testing::ElementsAre(32, 1, 32, 32, 1, 32)) << "as many as the device holds, and one between";
  EXPECT_LE(BytesOf(steps, 'H') + BytesOf(steps, 'D'), 1024u);
  // In place, backwards; and with the result here.
  ASSERT_TRUE(Run(2, {100}, {{DevicePlace(1, 792), {-8}}, {DevicePlace(1, 792), {-8}}}, 1, 0));
  EXPECT_LE(BytesOf(FakeCuda::Steps(), 'H'), 256u);
  ASSERT_TRUE(Run(2, {kCount}, {{DevicePlace(1, 0), {8}}, {0, {8}}}, 1, 8 * kCount));
  steps = FakeCuda::Steps();
  EXPECT_LE(BytesOf(steps, 'H'), 1024u);
  EXPECT_GE(BytesOf(steps, 'D'), uint64_t{8 * kCount});
  // Over its own input, shifted: by way of the worker.
  ASSERT_TRUE(Run(2, {100}, {{DevicePlace(1, 0), {8}}, {DevicePlace(1, 8), {8}}}, 1, 0));
  EXPECT_GE(BytesOf(FakeCuda::Steps(), 'H'), 800u);
}

// The same elements meet, wherever they lie: in pieces of host arrays the same blocks have the same elements.
TEST_F(ArraysOnDevice, ReductionsOfHostArraysHaveTheSameBlocks) {
  constexpr int64_t kCount = (9 << 20) + 5;  // 72 MiB: three pieces
  const auto status = Run(1, {kCount}, {{0, {8}}, {8 * kCount, {0}}}, 1, 8 * (kCount + 1));
  ASSERT_TRUE(status) << status.error().message;
  std::vector<uint64_t> blocks;
  for (const FakeStep& step : FakeCuda::Steps())
    if (step.what == 'K') blocks.push_back(step.bytes);
  EXPECT_THAT(blocks, ::testing::ElementsAre(256, 256, 65, 1));
}

// What a session maps and reduces again and again asks the driver for no memory: of arrays that are there, of small
// ones that are sent, and of large ones in pieces.
TEST_F(ArraysOnDevice, WarmRequestsAllocateNothing) {
  constexpr int64_t kCount = 100'000, kLarge = 4 << 20;
  for (const uint64_t slot : {uint64_t{1}, kSlot}) MakeNumbers(static_cast<uint32_t>(slot), kCount);
  const struct {
    const char* what;
    std::function<Expected<int32_t>()> run;
    long most;  // driver calls in all
  } requests[] = {{"a map of what is there",
                   [&] {
                     return Run(0, {kCount},
                                {{DevicePlace(1, 0), {8}}, {DevicePlace(1, 0), {8}}, {DevicePlace(kSlot, 0), {8}}}, 0,
                                0);
                   },
                   8},
                  {"a map of a few rows",
                   [&] {
                     return Run(0, {10}, {{0, {8}}, {80, {8}}, {160, {8}}}, 0, 240);
                   },
                   8},
                  {"a map in pieces",
                   [&] {
                     return Run(0, {kLarge}, {{0, {8}}, {8 * kLarge, {8}}, {16 * kLarge, {8}}}, 0, 24 * kLarge);
                   },
                   100},
                  {"a reduction of what is there",
                   [&] {
                     return Run(1, {kCount}, {{DevicePlace(1, 0), {8}}, {0, {0}}}, 1, 8);
                   },
                   16},
                  {"a reduction of what is sent",
                   [&] {
                     return Run(1, {kCount}, {{0, {8}}, {8 * kCount, {0}}}, 1, 8 * (kCount + 1));
                   },
                   16}};
  for (const auto& request : requests) ASSERT_TRUE(request.run()) << request.what;
  for (const auto& request : requests) {
    FakeCuda::Heal();
    ASSERT_TRUE(request.run());
    for (const char* function : {"cuMemAlloc", "cuMemFree", "cuMemHostAlloc", "cuMemFreeHost", "cuStreamCreate"})
      EXPECT_EQ(FakeCuda::Calls(function), 0) << request.what << ": " << function;
    EXPECT_LE(FakeCuda::Calls(""), request.most) << request.what;
  }
}

TEST_F(ArraysOnDevice, PlacesAreChecked) {
  MakeNumbers(1, 100);
  const auto refuse = [&](uint64_t place, int64_t stride) {
    const auto status = Run(0, {100}, {{place, {stride}}, {0, {0}}, {8, {8}}}, 0, 1000);
    ASSERT_FALSE(status);
    EXPECT_EQ(status.error().kind, ErrorKind::kInvalidArgument) << status.error().message;
  };
  refuse(DevicePlace(1, 8), 8);
  refuse(DevicePlace(1, 0), -8);
  refuse(DevicePlace(1, 0), 16);
  refuse(DevicePlace(2, 0), 8);
  refuse(DevicePlace(kMaxDeviceSlots - 1, kMaxDeviceBytes - 1), INT64_MAX);
  EXPECT_TRUE(Run(0, {100}, {{DevicePlace(1, 0), {8}}, {0, {0}}, {8, {8}}}, 0, 1000));
}

// What the daemon would not send.
TEST_F(ArraysOnDevice, RequestsAboutMemoryAreBelievedNothing) {
  MakeNumbers(1, 100);
  const auto invalid = [](const Status& status) {
    return !status && status.error().kind == ErrorKind::kInvalidArgument;
  };
  const auto refused = [&](std::string_view frame) { return invalid(buffers_->Run(frame)); };
  struct {
    DeviceHead head{kDeviceMagic, DeviceRequest::kCopy, 1, 8};
    uint64_t words[5] = {100, DevicePlace(1, 0), 8, DevicePlace(1, 0), 8};
  } copy;
  const std::string_view frame(reinterpret_cast<const char*>(&copy), sizeof copy);
  EXPECT_TRUE(buffers_->Run(frame));
  for (size_t size = 0; size < sizeof copy; ++size) EXPECT_TRUE(refused(frame.substr(0, size))) << size;
  const auto good = copy;
  const std::pair<size_t, uint64_t> lies[] = {{0, 0},
                                              {0, 101},
                                              {0, uint64_t(-1)},
                                              {1, DevicePlace(2, 0)},
                                              {1, DevicePlace(1, 8)},
                                              {2, 16},
                                              {2, uint64_t(-8)},
                                              {3, uint64_t{1} << 63},
                                              {3, 0},
                                              {4, uint64_t{1} << 62}};
  for (const auto& [word, value] : lies) {
    copy = good;
    copy.words[word] = value;
    EXPECT_TRUE(refused(frame)) << word << " " << value;
  }
  copy = good;
  for (const uint32_t size : {0u, 9u, 1u << 30}) {
    copy.head.size = size;
    EXPECT_TRUE(refused(frame)) << size;
  }
  copy = good;
  copy.head.count = 1000;
  EXPECT_TRUE(refused(frame));
  copy = good;
  copy.head.request = static_cast<DeviceRequest>(9);
  EXPECT_TRUE(refused(frame));
  EXPECT_TRUE(invalid(Change({1, 0, 8}))) << "the slot is taken";
  EXPECT_TRUE(invalid(Change({kMaxDeviceSlots, 0, 8})));
  EXPECT_TRUE(invalid(Change({7, 0, uint64_t{1} << 60})));
  EXPECT_TRUE(Change({7, 1, 0})) << "an empty slot is free already";
}

}  // namespace
}  // namespace rbc::worker
