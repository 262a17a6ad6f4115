// NumPy's files of one array.
// SPDX-License-Identifier: Apache-2.0
#include "client/cli/npy.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cstring>

#include "types/array_shape.h"
#include "types/data_model.h"
#include "types/type.h"

namespace rbc::cli {
namespace {

constexpr std::string_view kMagic("\x93NUMPY", 6);
constexpr size_t kAlignment = 64;  // of the data in the file

struct Spelling {
  std::string_view numpy;
  std::string_view ours;
  size_t size;
};
constexpr Spelling kSpellings[] = {{"|b1", "bool", 1},       {"|i1", "int8", 1},      {"|u1", "uint8", 1},
                                   {"<i2", "int16", 2},      {"<u2", "uint16", 2},    {"<i4", "int32", 4},
                                   {"<u4", "uint32", 4},     {"<i8", "int64", 8},     {"<u8", "uint64", 8},
                                   {"<f2", "float16", 2},    {"<f4", "float32", 4},   {"<f8", "float64", 8},
                                   {"<f16", "float128", 16}, {"<c8", "complex64", 8}, {"<c16", "complex128", 16}};

Error Damaged(std::string_view what) { return {ErrorKind::kInvalidArgument, fmt::format("the .npy file {}", what)}; }

// The text behind 'key': in the header, a Python dict; up to its comma outside of parentheses.
std::string_view Field(std::string_view header, std::string_view key) {
  const size_t at = header.find(fmt::format("'{}':", key));
  if (at == std::string_view::npos) return {};
  std::string_view rest = header.substr(at + key.size() + 3);
  rest.remove_prefix(std::min(rest.find_first_not_of(' '), rest.size()));
  const bool tuple = rest.starts_with('(');
  return rest.substr(0, tuple ? rest.find(')') + 1 : rest.find_first_of(",}"));
}

// "(3, 4)", "(3,)" or "()".
Result<std::vector<int64_t>> ShapeOf(std::string_view shape) {
  if (!shape.starts_with('(') || !shape.ends_with(')')) return Damaged("has no shape");
  shape = shape.substr(1, shape.size() - 2);
  std::vector<int64_t> out;
  while (!shape.empty()) {
    int64_t length = -1;
    const auto [end, failure] = std::from_chars(shape.data(), shape.data() + shape.size(), length);
    if (failure != std::errc() || length < 0) return Damaged("has no shape");
    out.push_back(length);
    shape.remove_prefix(static_cast<size_t>(end - shape.data()));
    if (!shape.empty() && shape[0] != ',') return Damaged("has no shape");
    shape.remove_prefix(std::min(shape.find_first_not_of(", "), shape.size()));
  }
  return out;
}

uint64_t BytesOf(const types::Type& type) {
  const auto size = types::SizeOf(type);
  return size ? *size : 1;
}

// A type as NumPy writes it: a struct as its members, called as in Python, and the bytes between them. What NumPy has
// no name for is bytes.
std::string DescrOf(const types::Type& type) {
  const auto* spelling = std::find_if(std::begin(kSpellings), std::end(kSpellings),
                                      [&](const Spelling& s) { return s.ours == type.ToString(); });
  if (spelling != std::end(kSpellings)) return fmt::format("'{}'", spelling->numpy);
  const auto layout = types::LayoutOfStruct(type);
  if (!layout) return fmt::format("'|V{}'", BytesOf(type));
  std::string out;
  uint64_t end = 0;
  const auto fill = [&](uint64_t to) {
    if (end != to) out += fmt::format("('', '|V{}'), ", to - end);
  };
  for (size_t i = 0; i < layout->offsets.size(); ++i) {
    fill(layout->offsets[i]);
    out += fmt::format("('f{}', {}), ", i, DescrOf(type.members()[i]));
    end = layout->offsets[i] + BytesOf(type.members()[i]);
  }
  fill(layout->size);
  return "[" + out + "]";
}

}  // namespace

Result<Npy> ReadNpy(const std::string& file) {
  const std::string_view bytes(file);
  if (bytes.size() < 12 || !bytes.starts_with(kMagic)) return Damaged("is none: it does not begin as one");
  const bool wide = bytes[6] >= 2;
  uint32_t length = 0;
  std::memcpy(&length, bytes.data() + 8, wide ? 4 : 2);
  const size_t begin = wide ? 12 : 10;
  if (bytes.size() - begin < length) return Damaged("ends within its header");
  const std::string_view header = bytes.substr(begin, length);
  std::string_view descr = Field(header, "descr");
  if (descr.size() < 2) return Damaged("does not say what it holds");
  descr = descr.substr(1, descr.size() - 2);
  const auto* spelling =
      std::find_if(std::begin(kSpellings), std::end(kSpellings), [&](const Spelling& s) { return s.numpy == descr; });
  if (spelling == std::end(kSpellings))
    return Error(ErrorKind::kUnsupported, fmt::format("the .npy file holds '{}'; give little-endian numbers", descr));
  Npy out;
  out.dtype = spelling->ours;
  RBC_ASSIGN_OR_RETURN(out.shape, ShapeOf(Field(header, "shape")));
  RBC_ASSIGN_OR_RETURN(const uint64_t count, types::CountElements(out.shape));
  out.fortran = Field(header, "fortran_order") == "True";
  const std::string_view data = bytes.substr(begin + length);
  if (data.size() / spelling->size < count) return Damaged("ends within its data");
  out.data = data.substr(0, count * spelling->size);
  return out;
}

std::string WriteNpy(const Npy& array) {
  const auto type = types::Type::Parse(array.dtype);
  int64_t count = 1;
  for (const int64_t length : array.shape) count *= length;
  const std::string descr =
      type ? DescrOf(*type) : fmt::format("'|V{}'", count == 0 ? 1 : array.data.size() / static_cast<size_t>(count));
  std::string header = fmt::format("{{'descr': {}, 'fortran_order': {}, 'shape': {}, }}", descr,
                                   array.fortran ? "True" : "False", types::ShapeText(array.shape));
  const size_t unpadded = 10 + header.size() + 1;
  header.append((unpadded + kAlignment - 1) / kAlignment * kAlignment - unpadded, ' ');
  header += '\n';
  std::string out(kMagic);
  out += '\x01';
  out += '\0';
  out += static_cast<char>(header.size() & 0xff);
  out += static_cast<char>(header.size() >> 8);
  return out + header + array.data;
}

}  // namespace rbc::cli
