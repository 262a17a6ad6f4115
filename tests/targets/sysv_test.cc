// Abi::kSysv against clang itself, on prototypes that are made up: each function gives back one of its parameters.
// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <map>
#include <random>

#include "tests/targets/clang.h"
#include "tests/targets/harness.h"
#include "types/data_model.h"

namespace rbc::testing {
namespace {

using types::Kind;
using types::Type;

constexpr const char* kScalars[] = {"bool",    "char8",   "int8",     "uint8",     "int16",      "uint16",
                                    "int32",   "uint32",  "int64",    "uint64",    "int128",     "uint128",
                                    "float32", "float64", "float128", "complex64", "complex128", "complex256"};

// C source with the structs and functions of one file, and values of their types.
class Prototypes {
 public:
  explicit Prototypes(uint64_t seed) : random_(seed) {}

  unsigned Below(unsigned limit) { return std::uniform_int_distribution<unsigned>(0, limit - 1)(random_); }

  Type RandomType(unsigned depth = 0) {
    if (depth > 2 || Below(3) != 0) return *Type::Parse(kScalars[Below(std::size(kScalars))]);
    // Small members come often: structs of up to 16 bytes are where the ABI is interesting.
    std::vector<Type> members;
    for (unsigned i = 1 + Below(4); i > 0; --i) {
      members.push_back(Below(2) == 0   ? *Type::Parse(kScalars[Below(10)])
                        : Below(2) == 0 ? *Type::Parse("float32")
                                        : RandomType(depth + 1));
    }
    return Type::Struct(std::move(members));
  }

  std::string CName(const Type& type) {
    switch (type.kind()) {
      case Kind::kVoid:
        return "void";
      case Kind::kBool:
        return "_Bool";
      case Kind::kChar:
        return "char";
      case Kind::kInt:
      case Kind::kUint:
        return (type.is(Kind::kUint) ? std::string("unsigned ") : std::string("signed ")) + Width(type.bits());
      case Kind::kFloat:
        return type.bits() == 32 ? "float" : type.bits() == 64 ? "double" : "long double";
      case Kind::kComplex:
        return CName(Type::Float(type.bits() / 2)) + " _Complex";
      case Kind::kStruct:
        return StructName(type);
      default:
        return "?";
    }
  }

  // Adds `result f(parameters)` that returns parameter `which`.
  void AddReturning(const std::string& name, const std::vector<Type>& parameters, size_t which) {
    std::string list;
    for (size_t i = 0; i < parameters.size(); ++i)
      list += fmt::format("{}{} p{}", i == 0 ? "" : ", ", CName(parameters[i]), i);
    functions_ += fmt::format("{} {}({}) {{ return p{}; }}\n", CName(parameters[which]), name, list, which);
  }

  std::string Source() const { return structs_ + functions_; }

  // A valid value of the type: every leaf gets a number of its own.
  void Fill(const Type& type, std::byte* at) {
    switch (type.kind()) {
      case Kind::kBool:
        *at = std::byte(Below(2));
        return;
      case Kind::kFloat:
        return FillFloat(type.bits(), at);
      case Kind::kComplex: {
        const Type part = Type::Float(type.bits() / 2);
        Fill(part, at);
        return Fill(part, at + *types::SizeOf(part));
      }
      case Kind::kStruct: {
        const auto layout = types::LayoutOfStruct(type);
        for (size_t i = 0; i < type.members().size(); ++i) Fill(type.members()[i], at + layout->offsets[i]);
        return;
      }
      default:
        for (size_t i = 0; i < type.bits() / 8; ++i) at[i] = std::byte(Below(256));
    }
  }

  // The same bytes in all leaves; padding may differ.
  static bool Same(const Type& type, const std::byte* a, const std::byte* b) {
    switch (type.kind()) {
      case Kind::kComplex: {
        const Type part = Type::Float(type.bits() / 2);
        const size_t size = *types::SizeOf(part);
        return Same(part, a, b) && Same(part, a + size, b + size);
      }
      case Kind::kStruct: {
        const auto layout = types::LayoutOfStruct(type);
        for (size_t i = 0; i < type.members().size(); ++i) {
          if (!Same(type.members()[i], a + layout->offsets[i], b + layout->offsets[i])) return false;
        }
        return true;
      }
      case Kind::kFloat:
        return std::memcmp(a, b, type.bits() == 128 ? 10 : type.bits() / 8) == 0;
      default:
        return std::memcmp(a, b, *types::SizeOf(type)) == 0;
    }
  }

 private:
  static const char* Width(uint32_t bits) {
    return bits == 8 ? "char" : bits == 16 ? "short" : bits == 32 ? "int" : bits == 64 ? "long" : "__int128";
  }

  std::string StructName(const Type& type) {
    const auto known = names_.find(type.Mangle());
    if (known != names_.end()) return known->second;
    std::string members;
    for (size_t i = 0; i < type.members().size(); ++i) members += fmt::format(" {} m{};", CName(type.members()[i]), i);
    const auto name = fmt::format("struct s{}", names_.size());
    structs_ += fmt::format("{} {{{} }};\n", name, members);
    names_.emplace(type.Mangle(), name);
    return name;
  }

  void FillFloat(uint32_t bits, std::byte* at) {
    const double number = static_cast<double>(static_cast<int>(Below(2000000)) - 1000000) / 64;
    if (bits == 32) {
      const auto value = static_cast<float>(number);
      std::memcpy(at, &value, sizeof value);
    } else if (bits == 64) {
      std::memcpy(at, &number, sizeof number);
    } else {
      const long double value = number;
      std::memcpy(at, &value, 10);
    }
  }

  std::mt19937_64 random_;
  std::string structs_;
  std::string functions_;
  std::map<std::string, std::string> names_;
};

struct Case {
  std::vector<Type> parameters;
  size_t which = 0;
};

std::vector<FunctionDeclaration> Declare(const std::vector<Case>& cases) {
  std::vector<FunctionDeclaration> declarations;
  for (size_t i = 0; i < cases.size(); ++i) {
    const Type signature = Type::Function(cases[i].parameters[cases[i].which], cases[i].parameters);
    declarations.push_back({fmt::format("f{}", i), signature.ToString(), Abi::kSysv});
  }
  return declarations;
}

// Calls each function with made-up arguments and compares what comes back with what went in.
void CallAll(Loaded& module, const std::vector<Case>& cases, const std::vector<FunctionDeclaration>& declarations,
             Prototypes& values) {
  for (size_t i = 0; i < cases.size(); ++i) {
    const auto layout = types::FrameLayout::Make(*Type::Parse(declarations[i].signature));
    ASSERT_TRUE(layout);
    ASSERT_EQ(module.artifact().entries[i].frame_size, layout->fixed_size());
    alignas(16) std::byte frame[8192] = {};
    alignas(16) std::byte result[1024];
    std::memset(result, 0xEE, sizeof result);
    ASSERT_LE(layout->fixed_size(), sizeof frame);
    ASSERT_LT(layout->result_size(), sizeof result);
    for (const auto& slot : layout->slots()) values.Fill(slot.type, frame + slot.offset);
    ASSERT_EQ(module.Call(i, frame, result), 0);
    const auto& slot = layout->slots()[cases[i].which];
    EXPECT_TRUE(Prototypes::Same(slot.type, frame + slot.offset, result))
        << declarations[i].signature << ", parameter " << cases[i].which;
    EXPECT_EQ(result[layout->result_size()], std::byte(0xEE))
        << declarations[i].signature << " writes behind its result";
  }
}

void CheckAgainstClang(const std::vector<Case>& cases, Prototypes& prototypes, std::string_view flags, uint8_t level) {
  for (size_t i = 0; i < cases.size(); ++i)
    prototypes.AddReturning(fmt::format("f{}", i), cases[i].parameters, cases[i].which);
  const auto module_text = ClangModule(prototypes.Source(), flags);
  const auto declarations = Declare(cases);
  CompileOptions options;
  options.opt_level = level;
  Loaded module(module_text, declarations, options);
  ASSERT_TRUE(module.ok());
  CallAll(module, cases, declarations, prototypes);
}

class Sysv : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!HasClang()) GTEST_SKIP() << "no clang on this machine";
  }
};

TEST_F(Sysv, EveryScalarAlone) {
  Prototypes prototypes(1);
  std::vector<Case> cases;
  for (const char* scalar : kScalars) {
    cases.push_back({{*Type::Parse(scalar)}, 0});
    cases.push_back({{Type::Struct({*Type::Parse(scalar)})}, 0});
    cases.push_back({{*Type::Parse("int32"), *Type::Parse(scalar), *Type::Parse("float64")}, 1});
  }
  CheckAgainstClang(cases, prototypes, "-O1", 2);
}

TEST_F(Sysv, EveryPairOfSmallMembers) {
  constexpr const char* kMembers[] = {"bool", "int8", "uint16", "int32", "int64", "float32", "float64", "complex64"};
  Prototypes prototypes(2);
  std::vector<Case> cases;
  for (const char* first : kMembers) {
    for (const char* second : kMembers) {
      cases.push_back({{Type::Struct({*Type::Parse(first), *Type::Parse(second)})}, 0});
      cases.push_back({{Type::Struct({*Type::Parse(first), *Type::Parse(second), *Type::Parse(first)})}, 0});
    }
  }
  CheckAgainstClang(cases, prototypes, "-O2", 1);
}

TEST_F(Sysv, RegistersRunOut) {
  Prototypes prototypes(3);
  std::vector<Case> cases;
  for (const char* scalar : {"int64", "float64"}) {
    for (const char* last :
         {"{int8, int8, int8}", "{float32, float32}", "{int64, float64}", "{int64, int64}", "complex64", "complex128",
          "int128", "{int128}", "bool", "int8", "float32", "float128", "{float32, int8}", "{int8, int16}"}) {
      for (unsigned count = 4; count <= 9; ++count) {
        Case made{std::vector<Type>(count, *Type::Parse(scalar)), count};
        made.parameters.push_back(*Type::Parse(last));
        made.parameters.push_back(*Type::Parse("{int32, int8}"));
        cases.push_back(made);
        made.which = count + 1;
        cases.push_back(made);
      }
    }
  }
  CheckAgainstClang(cases, prototypes, "-O1", 1);
}

class SysvRandom : public Sysv, public ::testing::WithParamInterface<std::tuple<const char*, int>> {};

TEST_P(SysvRandom, AgreesWithClang) {
  const auto [flags, level] = GetParam();
  Prototypes prototypes(level * 7919 + std::strlen(flags));
  std::vector<Case> cases;
  for (unsigned i = 0; i < 60; ++i) {
    Case made;
    for (unsigned count = 1 + prototypes.Below(12); count > 0; --count)
      made.parameters.push_back(prototypes.RandomType());
    for (made.which = 0; made.which < made.parameters.size(); made.which += 1 + prototypes.Below(3))
      cases.push_back(made);
  }
  CheckAgainstClang(cases, prototypes, flags, level);
}

INSTANTIATE_TEST_SUITE_P(Flags, SysvRandom,
                         ::testing::Values(std::tuple("-O0", 0), std::tuple("-O0 -Xclang -disable-O0-optnone", 2),
                                           std::tuple("-O1", 1), std::tuple("-O2", 2), std::tuple("-O2 -S", 3),
                                           std::tuple("-O3 -g", 3), std::tuple("-O2 -Xclang -opaque-pointers", 2)),
                         [](const auto& test) {
                           std::string name;
                           for (const char c : std::string(std::get<0>(test.param))) name += std::isalnum(c) ? c : '_';
                           return name + "_at_O" + std::to_string(std::get<1>(test.param));
                         });

TEST_F(Sysv, NamesExpectedAndFoundTypes) {
  const auto module = ClangModule("struct s { long a; double b; }; double f(struct s x) { return x.b; }", "-O1");
  auto artifact = Compile(module, {{"f", "float64({float64, float64})", Abi::kSysv}});
  ASSERT_FALSE(artifact);
  EXPECT_EQ(artifact.error().kind, ErrorKind::kInvalidModule);
  EXPECT_NE(artifact.error().message.find("parameter 1 is expected as double, found is i64"), std::string::npos)
      << artifact.error().message;
}

}  // namespace
}  // namespace rbc::testing
