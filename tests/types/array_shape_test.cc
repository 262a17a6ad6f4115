// Shapes that stretch to one another.
// SPDX-License-Identifier: Apache-2.0
#include "types/array_shape.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace rbc::types {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

Extents Stretched(std::vector<Extents> shapes) { return *BroadcastShapes(shapes); }

TEST(ArrayShape, StretchesAsNumPyDoes) {
  EXPECT_THAT(Stretched({}), ElementsAre());
  EXPECT_THAT(Stretched({{}, {}}), ElementsAre());
  EXPECT_THAT(Stretched({{3}, {}}), ElementsAre(3));
  EXPECT_THAT(Stretched({{8, 1, 6, 1}, {7, 1, 5}}), ElementsAre(8, 7, 6, 5));
  EXPECT_THAT(Stretched({{0}, {1}}), ElementsAre(0));
  EXPECT_THAT(Stretched({{1}, {0}}), ElementsAre(0));
  EXPECT_THAT(Stretched({{2, 1}, {1, 4}, {4}}), ElementsAre(2, 4));
}

TEST(ArrayShape, LengthsThatDifferAreRefusedWithAllShapes) {
  const std::vector<Extents> shapes = {{3, 2}, {4}};
  const auto refused = BroadcastShapes(shapes);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().kind, ErrorKind::kInvalidArgument);
  EXPECT_THAT(refused.error().message, HasSubstr("(3, 2) (4,)"));
  EXPECT_FALSE(BroadcastShapes(std::vector<Extents>{{0}, {2}}));
}

TEST(ArrayShape, WhatRepeatsHasNoStep) {
  EXPECT_THAT(BroadcastStrides(Extents{3, 1}, Extents{8, 8}, Extents{2, 3, 4}), ElementsAre(0, 8, 0));
  EXPECT_THAT(BroadcastStrides(Extents{}, Extents{}, Extents{5}), ElementsAre(0));
  EXPECT_THAT(BroadcastStrides(Extents{5}, Extents{-16}, Extents{5}), ElementsAre(-16));
}

TEST(ArrayShape, CountsElementsAndRefusesTheImpossible) {
  EXPECT_EQ(*CountElements(Extents{}), 1u);
  EXPECT_EQ(*CountElements(Extents{int64_t{1} << 40, 0, int64_t{1} << 40}), 0u);
  EXPECT_FALSE(CountElements(Extents{-1, 0}));
  EXPECT_FALSE(CountElements(Extents{int64_t{1} << 40, int64_t{1} << 40}));
  EXPECT_FALSE(CountElements(Extents(kMaxArrayRank + 1, 1)));
}

TEST(ArrayShape, IndicesAreThoseOfCOrder) {
  EXPECT_THAT(IndexOf(0, Extents{}), ElementsAre());
  EXPECT_THAT(IndexOf(7, Extents{2, 3, 4}), ElementsAre(0, 1, 3));
  EXPECT_THAT(IndexOf(23, Extents{2, 3, 4}), ElementsAre(1, 2, 3));
}

}  // namespace
}  // namespace rbc::types
