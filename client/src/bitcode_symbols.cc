// The symbol table that LLVM writes behind a bitcode module: block SYMTAB (irsymtab's layout) with names in STRTAB.
// SPDX-License-Identifier: Apache-2.0
#include "client/src/bitcode_symbols.h"

#include <algorithm>
#include <cstdint>
#include <cstring>

namespace rbc::client {
namespace {

// llvm/Bitcode/LLVMBitCodes.h and llvm/Bitstream/BitCodeEnums.h; fixed by LLVM's promise of compatibility.
constexpr uint32_t kStrtabBlock = 23, kSymtabBlock = 25;
constexpr uint32_t kEndBlock = 0, kEnterSubblock = 1, kDefineAbbrev = 2, kUnabbrevRecord = 3;
constexpr uint32_t kFixed = 1, kVbr = 2, kArray = 3, kChar6 = 4, kBlob = 5;
constexpr size_t kMostSymbols = 1 << 20;

// Reads bits, lowest first. After the first read past the end ok() is false and every read gives 0.
class BitReader {
 public:
  explicit BitReader(std::string_view bytes) : bytes_(bytes) {}
  uint64_t Read(uint32_t bits) {
    uint64_t out = 0;
    if (bits > 64 || bits > bytes_.size() * 8 - at_) {
      ok_ = false;
      return 0;
    }
    for (uint32_t done = 0; done < bits;) {
      const uint32_t in_byte = at_ % 8, take = std::min(8 - in_byte, bits - done);
      const uint64_t part = (static_cast<uint8_t>(bytes_[at_ / 8]) >> in_byte) & ((1u << take) - 1);
      out |= part << done;
      done += take;
      at_ += take;
    }
    return out;
  }
  uint64_t ReadVbr(uint32_t bits) {
    uint64_t out = 0;
    for (uint32_t shift = 0; shift < 64 && ok_; shift += bits - 1) {
      const uint64_t piece = Read(bits);
      out |= (piece & ((uint64_t{1} << (bits - 1)) - 1)) << shift;
      if ((piece >> (bits - 1)) == 0) return out;
    }
    ok_ = false;
    return 0;
  }
  void Align32() {
    at_ = (at_ + 31) / 32 * 32;
    if (at_ > bytes_.size() * 8) {
      at_ = bytes_.size() * 8;
      ok_ = false;
    }
  }
  std::string_view ReadBytes(uint64_t size) {
    const size_t from = at_ / 8;
    if (!ok_ || size > bytes_.size() - from) {
      ok_ = false;
      return {};
    }
    at_ += size * 8;
    return bytes_.substr(from, size);
  }
  bool AtEnd() const { return at_ + 32 > bytes_.size() * 8; }
  bool ok() const { return ok_; }

 private:
  std::string_view bytes_;
  size_t at_ = 0;  // in bits
  bool ok_ = true;
};

// The blob of a block that holds one abbreviated record [literal, blob] and nothing else of interest.
std::string_view BlobOf(std::string_view block, uint32_t width) {
  BitReader in(block);
  bool literal_then_blob = false;
  while (in.ok() && !in.AtEnd()) {
    const uint64_t id = in.Read(width);
    if (id == kEndBlock || id == kEnterSubblock || id == kUnabbrevRecord) return {};
    if (id == kDefineAbbrev) {
      const uint64_t count = in.ReadVbr(5);
      literal_then_blob = count == 2;
      for (uint64_t i = 0; i < count && in.ok(); ++i) {
        if (in.Read(1) != 0) {
          in.ReadVbr(8);
          literal_then_blob &= i == 0;
          continue;
        }
        const uint64_t encoding = in.Read(3);
        if (encoding == kFixed || encoding == kVbr) in.ReadVbr(5);
        if (encoding != kFixed && encoding != kVbr && encoding != kArray && encoding != kChar6 && encoding != kBlob)
          return {};
        literal_then_blob &= i == 1 && encoding == kBlob;
      }
      continue;
    }
    if (!literal_then_blob) return {};
    const uint64_t size = in.ReadVbr(6);
    in.Align32();
    return in.ReadBytes(size);
  }
  return {};
}

struct Tables {
  std::string_view symtab, strtab;
};

// Walks over the blocks at top level; each says how long it is.
Tables FindTables(std::string_view bitcode) {
  Tables out;
  BitReader in(bitcode);
  in.Read(32);  // 'BC' 0xC0DE
  while (in.ok() && !in.AtEnd()) {
    if (in.Read(2) != kEnterSubblock) break;
    const uint64_t block = in.ReadVbr(8);
    const uint64_t width = in.ReadVbr(4);
    in.Align32();
    const uint64_t words = in.Read(32);
    const std::string_view body = in.ReadBytes(words * 4);
    if (width < 2 || width > 32) break;
    if (block == kStrtabBlock) out.strtab = BlobOf(body, static_cast<uint32_t>(width));
    if (block == kSymtabBlock) out.symtab = BlobOf(body, static_cast<uint32_t>(width));
  }
  return out;
}

uint32_t Word(std::string_view bytes, size_t at) {
  uint32_t out = 0;
  if (at + 4 <= bytes.size()) std::memcpy(&out, bytes.data() + at, 4);
  return out;
}

// llvm/Object/IRSymtab.h, storage::Header and storage::Symbol.
constexpr size_t kSymbolsRange = 4 + 8 + 8 + 8;  // version, producer, modules, comdats
constexpr size_t kSymbolSize = 24;               // name, IR name, comdat, flags
constexpr uint32_t kVersion = 3;
constexpr uint32_t kUndefined = 1 << 3, kGlobal = 1 << 10, kFormatSpecific = 1 << 11, kExecutable = 1 << 13;

}  // namespace

std::optional<std::vector<std::string>> BitcodeFunctions(std::string_view bitcode) {
  if (bitcode.starts_with("\xde\xc0\x17\x0b")) {  // a wrapper: magic, version, offset, size
    const size_t offset = Word(bitcode, 8), size = Word(bitcode, 12);
    if (offset > bitcode.size() || size > bitcode.size() - offset) return std::nullopt;
    bitcode = bitcode.substr(offset, size);
  }
  const Tables tables = FindTables(bitcode);
  if (tables.symtab.empty() || tables.strtab.empty()) return std::nullopt;
  if (Word(tables.symtab, 0) != kVersion) return std::nullopt;
  const size_t from = Word(tables.symtab, kSymbolsRange), count = Word(tables.symtab, kSymbolsRange + 4);
  if (count > kMostSymbols || from > tables.symtab.size() || count * kSymbolSize > tables.symtab.size() - from)
    return std::nullopt;
  std::vector<std::string> out;
  for (size_t i = 0; i < count; ++i) {
    const size_t symbol = from + i * kSymbolSize;
    const uint32_t name = Word(tables.symtab, symbol + 8), size = Word(tables.symtab, symbol + 12),
                   flags = Word(tables.symtab, symbol + 20);
    if (name > tables.strtab.size() || size > tables.strtab.size() - name) return std::nullopt;
    if ((flags & kUndefined) == 0 && (flags & kFormatSpecific) == 0 && (flags & kGlobal) != 0 &&
        (flags & kExecutable) != 0)
      out.emplace_back(tables.strtab.substr(name, size));
  }
  return out;
}

}  // namespace rbc::client
