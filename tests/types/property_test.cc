// Properties over random types and random bytes. RBC_SEED repeats a run.
// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <cstdlib>
#include <iostream>

#include "tests/types/random_types.h"
#include "types/type.h"

namespace rbc::types {
namespace {

uint64_t Seed() {
  const char* given = std::getenv("RBC_SEED");
  const uint64_t seed = given != nullptr ? std::strtoull(given, nullptr, 0) : std::random_device()();
  std::cout << "RBC_SEED=" << seed << std::endl;
  return seed;
}

#ifdef RBC_SANITIZED
constexpr int kRounds = 20'000;
#else
constexpr int kRounds = 120'000;
#endif

TEST(Property, PrintingAndManglingAreInvertible) {
  std::mt19937_64 random(Seed());
  int tested = 0;
  while (tested < kRounds) {
    const Type type = RandomType(random, 5);
    const std::string text = type.ToString(), mangled = type.Mangle();
    if (text.size() > kMaxTypeText || mangled.size() > kMaxTypeText) continue;
    ++tested;
    const Expected<Type> parsed = Type::Parse(text);
    ASSERT_TRUE(parsed) << text << ": " << parsed.error().message;
    ASSERT_EQ(*parsed, type) << text;
    ASSERT_EQ(parsed->hash(), type.hash()) << text;
    ASSERT_EQ(parsed->ToString(), text);
    const Expected<Type> demangled = Type::Demangle(mangled);
    ASSERT_TRUE(demangled) << mangled << ": " << demangled.error().message;
    ASSERT_EQ(*demangled, type) << mangled;
    ASSERT_EQ(demangled->Mangle(), mangled);
  }
}

// Two mangled types in a row split in one way only: no proper prefix of one is a type.
TEST(Property, ManglingIsPrefixFree) {
  std::mt19937_64 random(Seed());
  for (int i = 0; i < kRounds / 40; ++i) {
    const std::string mangled = RandomType(random, 2).Mangle();
    for (size_t size = 0; size < mangled.size(); ++size) {
      ASSERT_FALSE(Type::Demangle(mangled.substr(0, size))) << mangled << " at " << size;
    }
  }
}

TEST(Property, EqualityIsStructural) {
  std::mt19937_64 random(Seed());
  for (int i = 0; i < kRounds / 4; ++i) {
    const Type a = RandomType(random, 2), b = RandomType(random, 2);
    ASSERT_EQ(a == b, a.ToString() == b.ToString()) << a.ToString() << " and " << b.ToString();
  }
}

// Whatever the text, the answer is a type that survives the round trip, or a typed error.
template <typename Read, typename Write>
void Fuzz(std::string_view alphabet, Read read, Write write) {
  std::mt19937_64 random(Seed());
  int accepted = 0;
  for (int i = 0; i < 3 * kRounds; ++i) {
    std::string text;
    for (size_t n = random() % 24; n > 0; --n) {
      text += random() % 50 == 0 ? static_cast<char>(random()) : alphabet[random() % alphabet.size()];
    }
    const Expected<Type> type = read(text);
    if (!type) {
      ASSERT_EQ(type.error().kind, ErrorKind::kInvalidArgument) << text;
      ASSERT_FALSE(type.error().message.empty());
      continue;
    }
    ++accepted;
    const Expected<Type> again = read(write(*type));
    ASSERT_TRUE(again) << text << " -> " << write(*type) << ": " << again.error().message;
    ASSERT_EQ(*again, *type) << text;
  }
  EXPECT_GT(accepted, 100);
}

TEST(Property, ParseSurvivesRandomText) {
  Fuzz(
      "(){}[]*,: idfab_1", [](const std::string& text) { return Type::Parse(text); },
      [](const Type& type) { return type.ToString(); });
}

TEST(Property, NamesSurviveTheRoundTrip) {
  std::mt19937_64 random(Seed());
  constexpr std::string_view kAlphabet = "(){}[]*,  idfab_1";
  for (int i = 0; i < 3 * kRounds; ++i) {
    std::string text;
    for (size_t n = random() % 24; n > 0; --n) text += kAlphabet[random() % kAlphabet.size()];
    const Expected<Type> type = Type::Parse(text);
    if (!type) continue;
    const Expected<Type> again = Type::Parse(type->ToDeclaration());
    ASSERT_TRUE(again) << text << " -> " << type->ToDeclaration() << ": " << again.error().message;
    ASSERT_EQ(again->ToDeclaration(), type->ToDeclaration()) << text;
    ASSERT_EQ(*again, *type) << text;
  }
}

TEST(Property, DemangleSurvivesRandomText) {
  Fuzz(
      "__iidPKaAN1V3vx", [](const std::string& text) { return Type::Demangle(text); },
      [](const Type& type) { return type.Mangle(); });
}

// Good texts with a few bytes changed reach deeper than noise does.
TEST(Property, DamagedTextsAreTypesOrErrors) {
  std::mt19937_64 random(Seed());
  for (int i = 0; i < kRounds / 2; ++i) {
    const Type type = RandomType(random, 3);
    std::string text = type.ToString(), mangled = type.Mangle();
    for (std::string* damaged : {&text, &mangled}) {
      for (int n = 1 + random() % 3; n > 0; --n) (*damaged)[random() % damaged->size()] = static_cast<char>(random());
    }
    if (const Expected<Type> parsed = Type::Parse(text)) {
      ASSERT_EQ(*Type::Parse(parsed->ToString()), *parsed) << text;
    }
    if (const Expected<Type> back = Type::Demangle(mangled)) {
      ASSERT_EQ(back->Mangle(), mangled);
    }
  }
}

}  // namespace
}  // namespace rbc::types
