// Which bytes an array takes.
// SPDX-License-Identifier: Apache-2.0
#include "types/array_extent.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>

#include "types/type.h"

namespace rbc::types {
namespace {

using Numbers = std::vector<int64_t>;

TEST(ArrayExtent, OfCommonArrays) {
  const auto of = [](const Numbers& shape, const Numbers& strides) { return *ExtentOf(shape, strides, 8); };
  EXPECT_EQ(of({}, {}).high, 8) << "one value";
  EXPECT_EQ(of({3, 4}, {32, 8}).high, 96);
  EXPECT_EQ(of({3, 4}, {32, 8}).elements, 12);
  EXPECT_EQ(of({5}, {-8}).low, -32);
  EXPECT_EQ(of({5}, {-8}).high, 8);
  EXPECT_EQ(of({1000}, {0}).high, 8) << "broadcast";
  EXPECT_EQ(of({3, 0}, {1 << 30, 8}).high, 0) << "no elements, no bytes";
  EXPECT_EQ(of({3, 0}, {8, 8}).elements, 0);
}

TEST(ArrayExtent, HostileNumbersAreRefused) {
  constexpr int64_t kMost = std::numeric_limits<int64_t>::max();
  EXPECT_FALSE(ExtentOf(Numbers{3}, Numbers{}, 8));
  EXPECT_FALSE(ExtentOf(Numbers{-1}, Numbers{8}, 8));
  EXPECT_FALSE(ExtentOf(Numbers{0, -1}, Numbers{8, 8}, 8));
  EXPECT_FALSE(ExtentOf(Numbers{kMost}, Numbers{0}, 8)) << "as many elements as no counter holds in bytes";
  EXPECT_FALSE(ExtentOf(Numbers{2}, Numbers{kMost}, 8));
  EXPECT_FALSE(ExtentOf(Numbers{2}, Numbers{std::numeric_limits<int64_t>::min()}, 8));
  EXPECT_FALSE(ExtentOf(Numbers{kMost, kMost}, Numbers{kMost, kMost}, 8));
  EXPECT_FALSE(ExtentOf(Numbers(33, 1), Numbers(33, 8), 8)) << "more dimensions than arrays have";
}

// Against all indices of small arrays.
TEST(ArrayExtent, HoldsEveryElement) {
  std::mt19937 random(7);
  const auto pick = [&](int low, int high) { return std::uniform_int_distribution<int64_t>(low, high)(random); };
  for (int round = 0; round < 500; ++round) {
    Numbers shape, strides;
    for (int64_t d = pick(0, 4); d > 0; --d) {
      shape.push_back(pick(1, 4));
      strides.push_back(pick(-40, 40));
    }
    int64_t low = 0, high = 0, count = 0;
    Numbers index(shape.size());
    for (bool more = true; more; ++count) {
      int64_t at = 0;
      for (size_t d = 0; d < shape.size(); ++d) at += index[d] * strides[d];
      low = std::min(low, at);
      high = std::max(high, at + 4);
      more = false;
      for (size_t d = shape.size(); d-- > 0 && !more;) {
        more = ++index[d] < shape[d];
        if (!more) index[d] = 0;
      }
    }
    const auto extent = ExtentOf(shape, strides, 4);
    ASSERT_TRUE(extent);
    EXPECT_EQ(extent->low, low);
    EXPECT_EQ(extent->high, high);
    EXPECT_EQ(extent->elements, count);
  }
}

TEST(ArrayExtent, DenseStrides) {
  EXPECT_THAT(DenseStrides(Numbers{2, 3, 4}, 8), ::testing::ElementsAre(96, 32, 8));
  EXPECT_THAT(DenseStrides(Numbers{2, 3, 4}, 8, true), ::testing::ElementsAre(8, 16, 48));
  EXPECT_THAT(DenseStrides(Numbers{2, 0}, 4), ::testing::ElementsAre(4, 4));
  EXPECT_TRUE(DenseStrides(Numbers{}, 8).empty());
}

TEST(ArrayExtent, ElementsArePlainValues) {
  for (const char* good : {"bool", "int8", "float16", "float64", "complex128", "{int32, float64}", "float128"})
    EXPECT_TRUE(ElementLayout(*Type::Parse(good))) << good;
  for (const char* bad : {"void", "string", "float64*", "{int32, float64*}", "float64[:]", "float64(float64)", "stuff"})
    EXPECT_FALSE(ElementLayout(*Type::Parse(bad))) << bad;
  EXPECT_EQ(ElementLayout(*Type::Parse("{int32, float64}"))->size, 16u);
}

}  // namespace
}  // namespace rbc::types
