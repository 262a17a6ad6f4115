// Sizes, alignments and offsets against this compiler's own, for generated structs and every scalar.
// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <complex>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "types/type.h"
#include "types/value.h"

namespace rbc::types {
namespace {

using HalfStandIn = uint16_t;  // float16 has 2 bytes, as this compiler's C++ has no name for it

struct Row {
  const char* text;
  uint64_t size, alignment;
  std::vector<uint64_t> offsets;
};

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Winvalid-offsetof"
#include "generated_structs.inc"
#pragma GCC diagnostic pop

TEST(Layout, GeneratedStructsAreLaidOutAsTheCompilerDoes) {
  ASSERT_GE(kRows.size(), 300u);
  for (const Row& row : kRows) {
    const Expected<StructLayout> layout = LayoutOfStruct(Type::Parse(row.text).value());
    ASSERT_TRUE(layout) << row.text << ": " << layout.error().message;
    EXPECT_EQ(layout->size, row.size) << row.text;
    EXPECT_EQ(layout->alignment, row.alignment) << row.text;
    EXPECT_EQ(layout->offsets, row.offsets) << row.text;
  }
}

template <typename T>
void ExpectLayout(const char* text) {
  const Expected<SizeAndAlignment> layout = LayoutOf(Type::Parse(text).value());
  ASSERT_TRUE(layout) << text;
  EXPECT_EQ(layout->size, sizeof(T)) << text;
  EXPECT_EQ(layout->alignment, alignof(T)) << text;
}

TEST(Layout, ScalarsOnTheHost) {
  ExpectLayout<bool>("bool");
  ExpectLayout<wchar_t>("wchar_t");
  ExpectLayout<long>("long");
  ExpectLayout<size_t>("size_t");
  ExpectLayout<Int128>("int128");
  ExpectLayout<long double>("long double");
  ExpectLayout<std::complex<float>>("complex64");
  ExpectLayout<std::complex<long double>>("complex256");
  ExpectLayout<void*>("foo*");
  ExpectLayout<char*>("string");
  EXPECT_EQ(*SizeOf(Type::Complex(32)), 4u);
  EXPECT_EQ(*AlignOf(Type::Complex(32)), 2u);
  EXPECT_EQ(*SizeOf(Type::Struct({})), 0u);
}

TEST(Layout, TargetsDiffer) {
  const Type type = Type::Parse("{int8, void*}").value();
  EXPECT_EQ(*SizeOf(type, kHostX86_64), 16u);
  EXPECT_EQ(*SizeOf(type, kCuda), 16u);
  EXPECT_EQ(*SizeOf(type, kCuda32), 8u);
  EXPECT_FALSE(SizeOf(Type::Float(128), kCuda));
  EXPECT_FALSE(SizeOf(Type::Complex(256), kCuda32));
  DataModel pairs;
  pairs.complex_aligned_as_pair = true;
  EXPECT_EQ(*AlignOf(Type::Complex(64), pairs), 8u);
  DataModel i386;
  i386.int128_alignment = 4;
  EXPECT_EQ(*AlignOf(Type::Int(128), i386), 4u);
}

TEST(Layout, WhatHasNoSizeIsNamed) {
  for (const char* text : {"void", "foo", "int5", "uint24", "float80", "float128[:]", "i(i)", "{i, int5}", "complex96",
                           "char5", "complex5"}) {
    const Expected<uint64_t> size = SizeOf(Type::Parse(text).value());
    ASSERT_FALSE(size) << text;
    EXPECT_EQ(size.error().kind, ErrorKind::kUnsupported);
  }
  EXPECT_NE(SizeOf(Type::Parse("{i, int5}").value()).error().message.find("`int5`"), std::string::npos);
  const Expected<StructLayout> scalar = LayoutOfStruct(Type::Int(32));
  ASSERT_FALSE(scalar);
  EXPECT_EQ(scalar.error().kind, ErrorKind::kInvalidArgument);
}

}  // namespace
}  // namespace rbc::types
