// Buffers that calls and launches name: where they lie, and what is refused before a worker sees it.
// SPDX-License-Identifier: Apache-2.0
#include "server/call_buffers.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>

#include "server/pack_request.h"
#include "types/array.h"
#include "worker/data_arena.h"

namespace rbc::server {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::StartsWith;

// Memory of a device that is none.
class Heap : public DeviceHeap {
 public:
  explicit Heap(std::string target) : target_(std::move(target)) {}
  const std::string& target() const override { return target_; }
  Expected<uint32_t> Take(uint64_t) override { return ++slots_; }
  void Release(uint32_t) override {}
  std::string WhyLost() const override { return why_lost; }
  std::string why_lost;

 private:
  const std::string target_;
  uint32_t slots_ = 0;
};

class CallBuffersTest : public ::testing::Test {
 protected:
  const FunctionDeclaration kernel_{"k", "void(int32, float64*, float64[:])", Abi::kKernel};  // 0, 8, 16
  const FunctionDeclaration function_{"f", "void(int32, float64*, float64[:])", Abi::kDirect};

  uint64_t Make(std::shared_ptr<DeviceHeap> device = nullptr) {
    auto made = data_.Create({"prices", "float64", {10}, false}, std::move(device));
    EXPECT_TRUE(made);
    return (*made)->id();
  }
  static std::string Frame(int64_t length = 10, int64_t stride = 8) {
    std::string frame(40, '\0');
    types::StoreFrameArray({0, {length}, {stride}}, frame.data() + 16);
    return frame;
  }
  static wire::FrameBuffer At(int32_t position, uint64_t buffer, int64_t offset = 0) {
    wire::FrameBuffer out;
    out.position = position;
    out.buffer = static_cast<int64_t>(buffer);
    out.offset = offset;
    return out;
  }
  Expected<CallBuffers> Find(const FunctionDeclaration& function, const std::vector<wire::FrameBuffer>& buffers,
                             const std::string& frame = Frame(), const std::string& target = "cuda") {
    DevicePlaces places(target, function.symbol);
    return FindCallBuffers(function, frame, buffers, made_, data_, &places);
  }
  std::string Why(const FunctionDeclaration& function, const std::vector<wire::FrameBuffer>& buffers,
                  const std::string& frame = Frame(), const std::string& target = "cuda") {
    const auto found = Find(function, buffers, frame, target);
    return found ? "fine" : std::string(Name(found.error().kind)) + ": " + found.error().message;
  }

  std::vector<wire::ArrayRef> made_;
  DataTotals totals_;
  SessionData data_{{}, totals_, 1000};
};

TEST_F(CallBuffersTest, AreWhereTheyLie) {
  const uint64_t here = Make();
  const uint64_t begin = (*data_.Find(here))->offset();
  const auto device = std::make_shared<Heap>("cuda");
  const uint64_t there = Make(device), other = Make(device);
  const auto found = Find(kernel_, {At(8, here, 24), At(16, there)});
  ASSERT_TRUE(found) << found.error().message;
  EXPECT_TRUE(found->in_arena);
  EXPECT_EQ(found->kept.size(), 2u);
  ASSERT_EQ(found->pointers.size(), 1u);
  EXPECT_EQ(found->pointers[0].position, 8u);
  EXPECT_EQ(found->pointers[0].place, (begin + 24) | worker::kInDataArena);
  EXPECT_EQ(found->pointers[0].begin, begin);
  EXPECT_EQ(found->pointers[0].end, begin + 80);
  EXPECT_EQ(found->arrays,
            (std::vector<std::pair<uint32_t, uint64_t>>{{16, worker::DevicePlace(1, 0) | worker::kInDataArena}}));

  const auto both = Find(kernel_, {At(8, other, 80), At(16, there, 72)}, Frame(5, -16));
  ASSERT_TRUE(both) << both.error().message;
  EXPECT_FALSE(both->in_arena);
  EXPECT_EQ(both->pointers[0].place, worker::DevicePlace(2, 80));
  EXPECT_EQ(both->arrays[0].second, worker::DevicePlace(1, 72) | worker::kInDataArena);

  // As the worker gets it: the head, the pointers, then the frame with the array's place.
  wire::LaunchRequest launch;
  launch.grid = launch.block = {1};
  launch.frame = Frame();
  const auto packed = PackLaunch(launch, *found);
  ASSERT_TRUE(packed);
  worker::LaunchHead head;
  uint64_t count = 0, where = 0;
  ASSERT_EQ(packed->frame.size(), sizeof head + sizeof count + sizeof(worker::LaunchPointer) + launch.frame.size());
  std::memcpy(&head, packed->frame.data(), sizeof head);
  std::memcpy(&count, packed->frame.data() + sizeof head, sizeof count);
  std::memcpy(&where, packed->frame.data() + packed->frame.size() - 24, sizeof where);
  EXPECT_EQ(head.magic, worker::kHeadWithPointers);
  EXPECT_EQ(count, 1u);
  EXPECT_EQ(where, found->arrays[0].second);
}

TEST_F(CallBuffersTest, OfStepsHaveTheFormThatTheStepMade) {
  const uint64_t here = Make();
  const uint64_t begin = (*data_.Find(here))->offset();
  const auto step = [](int32_t position) {
    wire::FrameBuffer out;
    out.position = position;
    out.__set_step(1);
    return out;
  };
  const auto array = [&](std::vector<int64_t> shape, std::vector<int64_t> strides, int64_t offset = 0) {
    wire::ArrayRef out;
    out.dtype = "float64";
    out.shape = std::move(shape);
    out.strides = std::move(strides);
    out.offset = offset;
    out.__set_buffer(static_cast<int64_t>(here));
    return out;
  };
  made_ = {array({2, 5}, {40, 8}), array({3}, {-16}, 64)};
  const auto found = Find(kernel_, {step(8), step(16)}, Frame(0, 0));
  ASSERT_TRUE(found) << found.error().message;
  ASSERT_EQ(found->pointers.size(), 1u);
  EXPECT_EQ(found->pointers[0].place, begin | worker::kInDataArena);
  std::string text = "head" + Frame(0, 0);
  found->StoreArrays(&text, 4);
  const auto stored = types::LoadFrameArray(text.data() + 20, 1);
  EXPECT_EQ(stored.where, (begin + 64) | worker::kInDataArena);
  EXPECT_EQ(stored.shape, std::vector<int64_t>{3});
  EXPECT_EQ(stored.strides, std::vector<int64_t>{-16});

  EXPECT_THAT(Why(kernel_, {step(8), step(16)}, Frame().substr(0, 30)), HasSubstr("ends within"));
  made_ = {array({2, 5}, {40, 8})};
  EXPECT_THAT(Why(kernel_, {step(16)}), AllOf(StartsWith("InvalidArgument"), HasSubstr("2 dimensions")));
  EXPECT_THAT(Why(kernel_, {step(8), step(16)}), HasSubstr("no step of a chain"));
  EXPECT_THAT(Why(function_, {step(8)}), StartsWith("Unsupported"));
  made_ = {array({5}, {16})};
  EXPECT_THAT(Why(kernel_, {step(8)}), HasSubstr("gaps"));
  made_ = {array({5}, {8})};
  made_[0].dtype = "int64";
  EXPECT_THAT(Why(kernel_, {step(8)}), AllOf(HasSubstr("`int64`"), HasSubstr("float64*")));
  EXPECT_THAT(Why(kernel_, {step(16)}), HasSubstr("`int64`"));
}

TEST_F(CallBuffersTest, WhatDoesNotFitIsRefused) {
  const uint64_t here = Make();
  const auto device = std::make_shared<Heap>("cuda"), pinned = std::make_shared<Heap>("cuda:1");
  const uint64_t there = Make(device), far = Make(pinned);
  EXPECT_EQ(Why(kernel_, {At(8, here)}), "fine");
  for (const int32_t position : {0, 4, 12, 17, 40, -8, INT32_MAX, INT32_MIN})
    EXPECT_THAT(Why(kernel_, {At(position, here)}),
                AllOf(StartsWith("InvalidArgument"), HasSubstr("no pointer or array")));
  EXPECT_THAT(Why(kernel_, {At(16, there), At(8, here)}), HasSubstr("ascending"));
  EXPECT_THAT(Why(kernel_, {At(8, here), At(8, here)}), HasSubstr("ascending"));
  for (const int64_t offset : {int64_t{-1}, int64_t{81}, INT64_MAX, INT64_MIN}) {
    EXPECT_THAT(Why(kernel_, {At(8, there, offset)}), AllOf(StartsWith("InvalidArgument"), HasSubstr("\"prices\"")));
    EXPECT_THAT(Why(kernel_, {At(16, there, offset)}), StartsWith("InvalidArgument"));
  }
  EXPECT_EQ(Why(kernel_, {At(8, there, 80)}), "fine");
  EXPECT_EQ(Why(kernel_, {At(16, there, 800)}, Frame(0, -8)), "fine") << "without elements it needs no memory";
  EXPECT_THAT(Why(kernel_, {At(16, there, 8)}), HasSubstr("reaches beyond"));
  EXPECT_THAT(Why(kernel_, {At(16, there)}, Frame(11)), HasSubstr("reaches beyond"));
  EXPECT_THAT(Why(kernel_, {At(16, there)}, Frame(2, -8)), HasSubstr("reaches beyond"));
  EXPECT_THAT(Why(kernel_, {At(16, there)}, Frame(-1)), StartsWith("InvalidArgument"));
  EXPECT_THAT(Why(kernel_, {At(16, there)}, Frame(INT64_MAX, INT64_MAX)), StartsWith("InvalidArgument"));
  EXPECT_THAT(Why(kernel_, {At(16, there)}, Frame().substr(0, 30)), HasSubstr("ends within"));
  EXPECT_THAT(Why(kernel_, {At(8, far)}), AllOf(HasSubstr("cuda:1"), HasSubstr("runs on \"cuda\"")));
  EXPECT_THAT(Why(function_, {At(16, there)}, Frame(), "host"), HasSubstr("runs on \"host\""));
  EXPECT_THAT(Why(function_, {At(8, there)}), StartsWith("Unsupported"));
  EXPECT_EQ(Why(function_, {At(16, here)}, Frame(), "host"), "fine");
  EXPECT_THAT(Why(kernel_, {At(8, 77)}), StartsWith("BufferLost"));
  device->why_lost = "its worker ended in 'crash'";
  EXPECT_THAT(Why(kernel_, {At(16, there)}),
              AllOf(StartsWith("BufferLost"), HasSubstr("\"prices\""), HasSubstr("crash")));
}

}  // namespace
}  // namespace rbc::server
