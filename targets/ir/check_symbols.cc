// Undefined symbols of modules and objects against the table of runtime symbols.
// SPDX-License-Identifier: Apache-2.0
#include "targets/ir/check_symbols.h"

#include <elf.h>
#include <fmt/format.h>

#include <cstring>
#include <string>
#include <vector>

#include "llvm/IR/Module.h"
#include "targets/ir/diagnostics.h"
#include "targets/target.h"

namespace rbc::ir {
namespace {

constexpr size_t kMaxNamed = 20;  // of the missing symbols in one message

std::string Describe(const std::string& name, const RuntimeSymbols& symbols) {
  const auto why = symbols.WhyRefused(name);
  const auto shown = Bounded(name, 200);
  return why.empty() ? fmt::format("'{}'", shown) : fmt::format("'{}' ({})", shown, why);
}

Error Missing(const std::vector<std::string>& names, const RuntimeSymbols& symbols) {
  std::string list;
  for (size_t i = 0; i < names.size() && i < kMaxNamed; ++i) {
    if (i != 0) list += ", ";
    list += Describe(names[i], symbols);
  }
  if (names.size() > kMaxNamed) list += fmt::format(" and {} more", names.size() - kMaxNamed);
  return Error(ErrorKind::kMissingSymbol, fmt::format("the module needs {} that this farm does not offer: {}",
                                                      names.size() == 1 ? "a symbol" : "symbols", list));
}

}  // namespace

namespace {
constexpr unsigned kSharedSpace = 3;  // of NVPTX
}

Status CheckSymbols(const llvm::Module& module, const RuntimeSymbols& symbols) {
  std::vector<std::string> missing;
  for (const auto& global : module.global_values()) {
    if (!global.isDeclaration() || global.use_empty() || global.getName().starts_with("llvm.")) continue;
    // An open array in shared memory is what a launch brings.
    if (global.getAddressSpace() == kSharedSpace && module.getTargetTriple().isNVPTX()) continue;
    auto name = global.getName();
    name.consume_front("\1");
    if (symbols.Find(name) == nullptr) missing.push_back(name.str());
  }
  if (!missing.empty()) return Missing(missing, symbols);
  return {};
}

Status CheckObjectSymbols(std::string_view object, const RuntimeSymbols& symbols) {
  // Our own emitter's output: its offsets are right.
  Elf64_Ehdr header;
  std::memcpy(&header, object.data(), sizeof header);
  const auto section = [&](size_t index) {
    Elf64_Shdr found;
    std::memcpy(&found, object.data() + header.e_shoff + index * sizeof found, sizeof found);
    return found;
  };
  std::vector<std::string> missing;
  for (size_t i = 0; i < header.e_shnum; ++i) {
    const Elf64_Shdr table = section(i);
    if (table.sh_type != SHT_SYMTAB) continue;
    const char* names = object.data() + section(table.sh_link).sh_offset;
    for (size_t at = table.sh_info; at < table.sh_size / sizeof(Elf64_Sym); ++at) {
      Elf64_Sym symbol;
      std::memcpy(&symbol, object.data() + table.sh_offset + at * sizeof symbol, sizeof symbol);
      if (symbol.st_shndx != SHN_UNDEF || ELF64_ST_BIND(symbol.st_info) == STB_WEAK) continue;
      const char* name = names + symbol.st_name;
      if (std::strcmp(name, "_GLOBAL_OFFSET_TABLE_") != 0 && symbols.Find(name) == nullptr) missing.emplace_back(name);
    }
  }
  if (!missing.empty()) return Missing(missing, symbols);
  return {};
}

}  // namespace rbc::ir
