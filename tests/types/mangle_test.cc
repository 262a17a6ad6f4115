// Mangling: the examples of the scheme, and what the inverse refuses.
// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include "types/type.h"

namespace rbc::types {
namespace {

TEST(Mangle, Examples) {
  const std::pair<const char*, const char*> kExamples[] = {
      {"int64(int64,int64)", "_lallA"},
      {"{i,d}", "_idK"},
      {"foo", "V3Vfoo"},
      {"int5", "V4Vint5"},
      {"i*", "_iP"},
      {"*", "_vP"},
      {"{}", "_K"},
      {"()", "_vavA"},
      {"f(d)(f(d,d))", "__fadAa_faddAA"},
      {"float64[:]", "_dN1N"},
      {"float64[:,:](int32[]*)", "__dN2Na__iN1CNPA"},
      {"float64[:,::1]", "_dN2CN"},
      {"{i*,{d}}", "__iP_dKK"},
      {"complex128(complex128, complex128)", "_DaDDA"},
  };
  for (const auto& [text, mangled] : kExamples) {
    const Expected<Type> type = Type::Parse(text);
    ASSERT_TRUE(type) << text;
    EXPECT_EQ(type->Mangle(), mangled) << text;
    const Expected<Type> back = Type::Demangle(mangled);
    ASSERT_TRUE(back) << mangled << ": " << back.error().message;
    EXPECT_EQ(*back, *type) << text;
  }
}

TEST(Mangle, DemangleRefusesWhatMangleDoesNotMake) {
  for (const char* bad : {"",       "_",         "k",
                          "_i",     "_iPP",      "ii",
                          "_lal",   "_laA",      "_lavlA",
                          "_lalvA", "_vK",       "_ivK",
                          "_vN1N",  "_dN0N",     "_dN33N",
                          "_dN01N", "_dN1",      "_dN-1N",
                          "V",      "V3",        "V3V",
                          "V3Vfo",  "V03Vfoo",   "V0V",
                          "V-1Vf",  "V4Vint8",   "V3Vint",
                          "V3Vi32", "V6Vsize_t", "V4V foo",
                          "V3Va,b", "V2Vi*",     "V99999999999999999999Vx",
                          "V3Va b", "_P",        "_aA",
                          "_A",     "P",         "K",
                          "V4Vvoid"}) {
    const Expected<Type> type = Type::Demangle(bad);
    EXPECT_FALSE(type) << bad << " is " << (type ? type->ToString() : "");
    if (!type) {
      EXPECT_EQ(type.error().kind, ErrorKind::kInvalidArgument);
    }
  }
}

TEST(Mangle, DemangleBoundsDepthAndSize) {
  EXPECT_FALSE(Type::Demangle(std::string(10'000, '_')));
  EXPECT_FALSE(Type::Demangle(std::string(10'000, '_') + "i" + std::string(10'000, 'P')));
  EXPECT_FALSE(Type::Demangle(std::string(kMaxTypeText + 1, 'i')));
  const std::string deepest = std::string(kMaxTypeDepth, '_') + "i" + std::string(kMaxTypeDepth, 'P');
  EXPECT_TRUE(Type::Demangle(deepest));
  EXPECT_FALSE(Type::Demangle("_" + deepest + "P"));
}

}  // namespace
}  // namespace rbc::types
