// Template expansion.
// SPDX-License-Identifier: Apache-2.0
#include "types/template.h"

#include <gtest/gtest.h>

namespace rbc::types {
namespace {

std::vector<std::string> Expand(std::string_view signature, const Templates& templates) {
  const Expected<std::vector<Type>> types = ExpandTemplates(signature, templates);
  if (!types) return {"error: " + types.error().message};
  std::vector<std::string> texts;
  for (const Type& type : *types) texts.push_back(type.ToDeclaration());
  return texts;
}
using Texts = std::vector<std::string>;

TEST(Template, OneNameHasOneMeaning) {
  EXPECT_EQ(Expand("T(T, T)", {{"T", {"int32", "float64"}}}),
            (Texts{"int32(int32, int32)", "float64(float64, float64)"}));
}

TEST(Template, EveryCombinationInOrder) {
  EXPECT_EQ(Expand("T(U)", {{"T", {"i8", "i16"}}, {"U", {"f32", "f64"}}}),
            (Texts{"int8(float32)", "int8(float64)", "int16(float32)", "int16(float64)"}));
}

TEST(Template, NestedNamesAreCorrelated) {
  EXPECT_EQ(
      Expand("U(T)", {{"T", {"U*", "bool"}}, {"U", {"i8", "{U2, U2}"}}, {"U2", {"f32"}}}),
      (Texts{"int8(int8*)", "int8(bool)", "{float32, float32}({float32, float32}*)", "{float32, float32}(bool)"}));
}

TEST(Template, KeepsNamesAndUnknownAtoms) {
  EXPECT_EQ(Expand("T add(T a, foo b, T[:] c)", {{"T", {"int32"}}, {"unused", {"f"}}}),
            (Texts{"int32 add(int32 a, foo b, int32[:] c)"}));
  EXPECT_EQ(Expand("i(i)", {}), (Texts{"int32(int32)"}));
}

TEST(Template, CyclesAreRefusedByName) {
  EXPECT_EQ(Expand("T(T)", {{"T", {"int8", "U"}}, {"U", {"{T, T}"}}}),
            (Texts{"error: template `T` leads to itself: T -> U -> T; break the cycle"}));
  EXPECT_EQ(Expand("T", {{"T", {"T"}}}), (Texts{"error: template `T` leads to itself: T -> T; break the cycle"}));
}

TEST(Template, BadTemplatesAreRefusedByName) {
  for (const auto& [templates, part] : std::initializer_list<std::pair<Templates, const char*>>{
           {{{"T", {}}}, "`T` has no types"},
           {{{"f", {"int8"}}}, "`f` already spells the type `float32`"},
           {{{"T U", {"int8"}}}, "`T U`"},
           {{{"T", {"(("}}}, "unbalanced"},
           {{{"T", {"void"}}}, "`T` stands for void"}}) {
    const Expected<std::vector<Type>> types = ExpandTemplates("int8(T)", templates);
    ASSERT_FALSE(types) << part;
    EXPECT_EQ(types.error().kind, ErrorKind::kInvalidArgument);
    EXPECT_NE(types.error().message.find(part), std::string::npos) << types.error().message;
  }
  EXPECT_EQ(Expand("T(int8)", {{"T", {"void"}}}), (Texts{"void(int8)"}));
}

TEST(Template, NumberAndDepthOfExpansionsAreBounded) {
  Templates many;
  std::string signature = "void(";
  for (char c = 'K'; c < 'Z'; ++c) {
    many[std::string(1, c) + "t"] = {"i8", "i16", "i32"};
    signature += std::string(1, c) + "t,";
  }
  signature.back() = ')';
  EXPECT_NE(Expand(signature, many)[0].find("4096"), std::string::npos);

  Templates deep;
  for (int i = 0; i < 1000; ++i) deep["T" + std::to_string(i)] = {"T" + std::to_string(i + 1) + "**"};
  EXPECT_NE(Expand("T0", deep)[0].find("error"), std::string::npos);

  Templates doubling;
  for (int i = 0; i < 60; ++i) {
    const std::string next = "T" + std::to_string(i + 1);
    doubling["T" + std::to_string(i)] = {"{" + next + "," + next + "}"};
  }
  EXPECT_NE(Expand("i(T0)", doubling)[0].find("65536 parts"), std::string::npos);
}

}  // namespace
}  // namespace rbc::types
