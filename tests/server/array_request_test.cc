// Requests over arrays as calls: the order of the elements, and what is refused before a worker sees it.
// SPDX-License-Identifier: Apache-2.0
#include "server/array_request.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>

#include "server/array_iteration.h"
#include "worker/data_arena.h"
#include "worker/launch_frame.h"

namespace rbc::server {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using types::Extents;

TEST(Iteration, MergesWhatLiesEvenly) {
  const auto dense = Collapse({{2, 3, 4}, {{96, 32, 8}, {96, 32, 8}}}, false);
  EXPECT_THAT(dense.shape, ElementsAre(24));
  EXPECT_THAT(dense.strides[0], ElementsAre(8));
  const auto row = Collapse({{2, 3}, {{24, 8}, {0, 8}}}, false);
  EXPECT_THAT(row.shape, ElementsAre(2, 3));
  const auto everywhere = Collapse({{2, 3}, {{24, 8}, {0, 0}}}, false);
  EXPECT_THAT(everywhere.shape, ElementsAre(6));
  EXPECT_THAT(everywhere.strides[1], ElementsAre(0));
  EXPECT_TRUE(Collapse({{1, 1}, {{8, 8}}}, true).shape.empty());
  const auto backwards = Collapse({{2, 3}, {{-24, -8}}}, false);
  EXPECT_THAT(backwards.shape, ElementsAre(6));
  EXPECT_THAT(backwards.strides[0], ElementsAre(-8));
}

TEST(Iteration, PutsTheSmallestStepInnermostOnlyWhereItMay) {
  const Iteration fortran{{2, 3}, {{8, 16}, {8, 16}}};
  EXPECT_THAT(Collapse(fortran, true).shape, ElementsAre(6));
  EXPECT_THAT(Collapse(fortran, false).shape, ElementsAre(2, 3));
}

TEST(Iteration, PatternsTellHowColumnsLie) {
  const std::vector<uint64_t> sizes = {8, 4, 8};
  EXPECT_EQ(PatternOf({{5}, {{8}, {0}, {16}}}, sizes), "cbs");
  EXPECT_EQ(PatternOf({{}, {{}, {}, {}}}, sizes), "ccc");
}

wire::ArrayRef Array(const std::string& dtype, Extents shape, Extents strides, size_t bytes) {
  wire::ArrayRef array;
  array.dtype = dtype;
  array.shape = std::move(shape);
  array.strides = std::move(strides);
  array.__set_data(std::string(bytes, '\1'));
  return array;
}

class ArrayRequest : public ::testing::Test {
 protected:
  const FunctionDeclaration add_{"add", "float64(float64, float64)", Abi::kDirect};
  const FindInArena find_ = [](const wire::ArrayRef& array) -> Expected<ArrayInArena> {
    if (array.buffer != 7) return Error(ErrorKind::kBufferLost, "no such buffer");
    return ArrayInArena{4096, std::make_shared<int>(0)};
  };
  const ArrayScope scope_{add_, 1 << 20, find_};

  std::string Why(const wire::ArrayMapRequest& request) const {
    const auto packed = PackArrayMap(scope_, request);
    return packed ? "fine" : std::string(Name(packed.error().kind)) + ": " + packed.error().message;
  }
  static wire::ArrayMapRequest Request(wire::ArrayRef x, wire::ArrayRef y) {
    wire::ArrayMapRequest request;
    request.inputs = {std::move(x), std::move(y)};
    return request;
  }
};

TEST_F(ArrayRequest, LargeResultsGoPastTheCaches) {
  const auto pattern = [this](int64_t rows, int64_t stride, bool masked) {
    const auto kept = [&](const char* dtype, int64_t size) {
      wire::ArrayRef array = Array(dtype, {rows}, {size}, 0);
      array.__isset.data = false;
      array.__set_buffer(7);
      return array;
    };
    auto request = Request(kept("float64", 8), kept("float64", 8));
    request.__set_into(kept("float64", stride));
    if (masked) request.__set_where(kept("bool", 1));
    const auto packed = PackArrayMap(scope_, request);
    return packed ? packed->pattern : packed.error().message;
  };
  EXPECT_EQ(pattern(4 << 20, 8, false), "ccn");
  EXPECT_EQ(pattern((4 << 20) - 1, 8, false), "ccc");
  EXPECT_EQ(pattern(4 << 20, 16, false), "ccs");
  EXPECT_EQ(pattern(4 << 20, 8, true), "ccc");
}

TEST_F(ArrayRequest, PlacesArraysOfTheMessageAndOfTheArena) {
  wire::ArrayRef kept = Array("float64", {3}, {8}, 0);
  kept.__isset.data = false;
  kept.__set_buffer(7);
  const auto packed = PackArrayMap(scope_, Request(kept, Array("float64", {}, {}, 8)));
  ASSERT_TRUE(packed) << packed.error().message;
  EXPECT_EQ(packed->pattern, "cbc");
  EXPECT_EQ(packed->kept.size(), 1u);
  EXPECT_EQ(packed->call.out_bytes, 24);
  const auto& frame = packed->call.frame;
  worker::ArrayHead head;
  std::memcpy(&head, frame.data(), sizeof head);
  EXPECT_EQ(head.operands, 3u);
  EXPECT_EQ(head.dimensions, 1u);
  EXPECT_EQ(head.magic, worker::kArrayMagic);
  const auto word = [&frame](size_t i) {
    uint64_t value;
    std::memcpy(&value, frame.data() + sizeof(worker::ArrayHead) + i * 8, sizeof value);
    return value;
  };
  EXPECT_EQ(word(0), 3u);
  EXPECT_EQ(word(1), worker::kInDataArena | 4096);
  EXPECT_EQ(word(2), 8u);
  EXPECT_EQ(word(4), 0u) << "the one value repeats";
}

TEST_F(ArrayRequest, LyingArraysAreRefused) {
  const auto good = Array("float64", {3}, {8}, 24);
  EXPECT_EQ(Why(Request(good, good)), "fine");
  EXPECT_THAT(Why(Request(good, Array("float64", {4}, {8}, 24))), HasSubstr("do not hold"));
  EXPECT_THAT(Why(Request(good, Array("float64", {3}, {-8}, 24))), HasSubstr("do not hold"));
  EXPECT_THAT(Why(Request(good, Array("float64", {3}, {int64_t{1} << 61}, 24))), HasSubstr("InvalidArgument"));
  EXPECT_THAT(Why(Request(good, Array("float64", {3}, {8, 8}, 24))), HasSubstr("InvalidArgument"));
  EXPECT_THAT(Why(Request(good, Array("float64", {-3}, {8}, 24))), HasSubstr("negative length"));
  EXPECT_THAT(Why(Request(good, Array("float32", {3}, {4}, 12))), HasSubstr("convert it"));
  EXPECT_THAT(Why(Request(good, Array("float64", {2}, {8}, 16))), HasSubstr("do not stretch"));
  auto moved = good;
  moved.offset = std::numeric_limits<int64_t>::max();
  EXPECT_THAT(Why(Request(good, moved)), HasSubstr("do not hold"));
  moved.offset = -8;
  EXPECT_THAT(Why(Request(good, moved)), HasSubstr("begins at byte -8"));
  auto gone = good;
  gone.__set_buffer(8);
  EXPECT_THAT(Why(Request(good, gone)), HasSubstr("BufferLost"));
  auto huge = Array("float64", {int64_t{1} << 20}, {0}, 8);
  EXPECT_THAT(Why(Request(huge, huge)), HasSubstr("put them into buffers"));
}

TEST_F(ArrayRequest, WhatIsWrittenMustFit) {
  const auto good = Array("float64", {3}, {8}, 24);
  auto request = Request(good, good);
  request.__set_into(Array("float64", {3}, {0}, 8));
  EXPECT_THAT(Why(request), HasSubstr("repeats"));
  request.__set_into(Array("float64", {2}, {8}, 16));
  EXPECT_THAT(Why(request), HasSubstr("do not stretch"));
  request = Request(Array("float64", {1}, {8}, 8), Array("float64", {2, 1}, {8, 8}, 16));
  request.__set_into(Array("float64", {1}, {8}, 8));
  EXPECT_THAT(Why(request), HasSubstr("the array to write into"));
}

TEST_F(ArrayRequest, ReductionsNeedAnAssociativeSignatureAndSomethingToReduce) {
  wire::ArrayReduceRequest request;
  request.input = Array("float64", {2, 3}, {24, 8}, 48);
  request.__set_axis(2);
  EXPECT_EQ(PackReduction(scope_, request).error().kind, ErrorKind::kInvalidArgument);
  request.__set_axis(-2);
  const auto packed = PackReduction(scope_, request);
  ASSERT_TRUE(packed) << packed.error().message;
  EXPECT_THAT(packed->result.shape, ElementsAre(3));
  request.input = Array("float64", {0}, {8}, 0);
  request.__isset.axis = false;
  EXPECT_THAT(PackReduction(scope_, request).error().message, HasSubstr("no identity"));
  request.__set_identity(std::string(8, '\2'));
  const auto empty = PackReduction(scope_, request);
  ASSERT_TRUE(empty && empty->empty);
  EXPECT_EQ(empty->result.data, std::string(8, '\2'));
  const FunctionDeclaration one{"one", "float64(float64)", Abi::kDirect};
  EXPECT_EQ(PackReduction({one, 1 << 20, find_}, request).error().kind, ErrorKind::kInvalidArgument);
}

}  // namespace
}  // namespace rbc::server
