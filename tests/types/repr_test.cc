// Texts of numbers against the Python interpreter that $RBC_PYTHON names.
// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>
#include <unistd.h>

#include <bit>
#include <cinttypes>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <functional>
#include <iostream>
#include <random>
#include <sstream>

#include "types/value.h"

namespace rbc::types {
namespace {

double FromBits(uint64_t bits) { return std::bit_cast<double>(bits); }

std::vector<double> Numbers() {
  std::vector<double> numbers = {0.0,
                                 -0.0,
                                 1.0,
                                 3.5,
                                 1e15,
                                 1e16,
                                 9999999999999998.0,
                                 123456789012345680.0,
                                 1e-4,
                                 1e-5,
                                 0.0001,
                                 1e22,
                                 1e100,
                                 5e-324,
                                 1.7976931348623157e308,
                                 0.1,
                                 2.0 / 3.0,
                                 -1e16,
                                 1e5,
                                 100.0,
                                 12.5,
                                 INFINITY,
                                 -INFINITY,
                                 NAN,
                                 1e-7,
                                 123e-7};
  std::mt19937_64 random(42);
  for (int i = 0; i < 3000; ++i) numbers.push_back(FromBits(random()));
  for (int i = 0; i < 1000; ++i) numbers.push_back(std::ldexp(static_cast<double>(random() % 1000), random() % 70) / 8);
  for (int e = -30; e < 30; ++e) numbers.push_back(std::pow(10.0, e));
  return numbers;
}

// The lines that a Python program prints.
std::vector<std::string> RunPython(const std::string& program) {
  const char* python = std::getenv("RBC_PYTHON");
  std::string path = testing::TempDir() + "rbc_repr_XXXXXX";
  const int fd = mkstemp(path.data());
  EXPECT_GE(fd, 0);
  close(fd);
  std::ofstream(path) << program;
  std::vector<std::string> lines;
  FILE* pipe = popen(((python != nullptr ? python : "python3") + (" " + path)).c_str(), "r");
  char line[4096];
  while (pipe != nullptr && std::fgets(line, sizeof line, pipe) != nullptr) {
    lines.emplace_back(line, std::strcspn(line, "\n"));
  }
  EXPECT_EQ(pclose(pipe), 0);
  std::remove(path.c_str());
  return lines;
}

std::string HexBits(double number) {
  char text[32];
  std::snprintf(text, sizeof text, "0x%016" PRIx64, std::bit_cast<uint64_t>(number));
  return text;
}

void ExpectPythonAgrees(const std::string& expression, const std::vector<double>& numbers,
                        const std::function<std::string(double, double)>& ours) {
  std::ostringstream program;
  program << "import struct\nd = lambda b: struct.unpack('<d', struct.pack('<Q', b))[0]\nnumbers = [";
  for (const double number : numbers) program << HexBits(number) << ",";
  program << "]\nfor i, b in enumerate(numbers):\n  x, y = d(b), d(numbers[i - 1])\n  print(" << expression << ")\n";
  const std::vector<std::string> lines = RunPython(program.str());
  ASSERT_EQ(lines.size(), numbers.size());
  for (size_t i = 0; i < numbers.size(); ++i) {
    const double y = numbers[i == 0 ? numbers.size() - 1 : i - 1];
    ASSERT_EQ(ours(numbers[i], y), lines[i]) << HexBits(numbers[i]) << " " << HexBits(y);
  }
}

TEST(Repr, Floats) {
  ExpectPythonAgrees("repr(x)", Numbers(), [](double x, double) { return ToPythonRepr(x, Type::Float(64)); });
}

TEST(Repr, ComplexNumbers) {
  ExpectPythonAgrees("repr(complex(x, y))", Numbers(),
                     [](double x, double y) { return ToPythonRepr(std::complex<double>(x, y), Type::Complex(128)); });
}

TEST(Repr, StructsAndOneTuples) {
  const Type type = Type::Parse("{f64, {bool, f64}, {f64}}").value();
  ExpectPythonAgrees("(x, (x < y, y), (x,))", Numbers(), [&](double x, double y) {
    return ToPythonRepr(Value::Struct({x, Value::Struct({x < y, y}), Value::Struct({x})}), type);
  });
}

TEST(Repr, Integers) {
  const auto ours = [](double x, double) {
    const auto bits = std::bit_cast<uint64_t>(x);
    const Value wide = static_cast<Int128>(bits) * -static_cast<Int128>(0x7fffffffffffffff);
    return ToPythonRepr(wide, Type::Int(128)) + " " + ToPythonRepr(bits, Type::Uint(64));
  };
  ExpectPythonAgrees("b * -0x7fffffffffffffff, b, sep=' '", Numbers(), ours);
}

// What Python prints reads back as the same value.
TEST(Repr, TextsReadBack) {
  for (const double number : Numbers()) {
    const Type type = Type::Float(64);
    const Expected<Value> back = ParseValue(type, ToPythonRepr(number, type));
    ASSERT_TRUE(back) << number;
    ASSERT_TRUE(*back == Value(number) || std::isnan(number)) << number;
    const std::complex<double> pair(number, -number);
    const Expected<Value> complex = ParseValue(Type::Complex(128), ToPythonRepr(pair, Type::Complex(128)));
    ASSERT_TRUE(complex) << number;
    ASSERT_TRUE(*complex == Value(pair) || std::isnan(number)) << number;
  }
}

// float32: the shortest text that gives the same float, also against every digit count below it.
TEST(Repr, Float32IsShortestForItsWidth) {
  std::mt19937 random(1);
  for (int i = 0; i < 20'000; ++i) {
    const auto number = std::bit_cast<float>(static_cast<uint32_t>(random()));
    if (!std::isfinite(number)) continue;
    const std::string text = ToPythonRepr(number, Type::Float(32));
    ASSERT_EQ(std::strtof(text.c_str(), nullptr), number) << text;
    size_t digits = 0;
    for (const char c : text.substr(0, text.find('e'))) digits += c >= '0' && c <= '9';
    if (text.find('e') == std::string::npos || digits < 2) continue;
    char shorter[64];
    std::snprintf(shorter, sizeof shorter, "%.*e", static_cast<int>(digits) - 2, static_cast<double>(number));
    ASSERT_NE(std::strtof(shorter, nullptr), number) << text;
  }
}

}  // namespace
}  // namespace rbc::types
