// Tells an attached GDB about code that was linked into this process.
// SPDX-License-Identifier: Apache-2.0
#include "targets/host/debugger.h"

#include <cstring>
#include <mutex>

#include "llvm/BinaryFormat/ELF.h"

// The interface: GDB sets a breakpoint in the function and reads the descriptor when it is hit, or when it attaches.
extern "C" {
struct jit_code_entry {
  jit_code_entry* next_entry;
  jit_code_entry* prev_entry;
  const char* symfile_addr;
  uint64_t symfile_size;
};
struct jit_descriptor {
  uint32_t version;
  uint32_t action_flag;  // 0 none, 1 register, 2 unregister
  jit_code_entry* relevant_entry;
  jit_code_entry* first_entry;
};
__attribute__((used, visibility("default"))) jit_descriptor __jit_debug_descriptor = {1, 0, nullptr, nullptr};
__attribute__((used, noinline, visibility("default"))) void __jit_debug_register_code() {
  asm volatile("" ::: "memory");
}
}

namespace rbc::host {
namespace {

namespace elf = llvm::ELF;

std::mutex list_mutex;

void Announce(uint32_t action, jit_code_entry* entry) {
  __jit_debug_descriptor.action_flag = action;
  __jit_debug_descriptor.relevant_entry = entry;
  __jit_debug_register_code();
  __jit_debug_descriptor.action_flag = 0;
  __jit_debug_descriptor.relevant_entry = nullptr;
}

template <typename T>
bool ReadAt(const std::string& bytes, uint64_t offset, T* out) {
  if (offset > bytes.size() || bytes.size() - offset < sizeof(T)) return false;
  std::memcpy(out, bytes.data() + offset, sizeof(T));
  return true;
}

std::string_view NameAt(const std::string& bytes, const elf::Elf64_Shdr& strings, uint32_t offset) {
  const uint64_t begin = strings.sh_offset + offset;
  if (offset >= strings.sh_size || begin >= bytes.size()) return {};
  return {bytes.data() + begin, strnlen(bytes.data() + begin, bytes.size() - begin)};
}

// Writes the address of each loaded section into its header. False: not such an object, or without DWARF.
bool PlaceSections(std::string& bytes, const std::function<uint64_t(std::string_view)>& address_of) {
  elf::Elf64_Ehdr header;
  elf::Elf64_Shdr names;
  if (!ReadAt(bytes, 0, &header) || !header.checkMagic() || header.e_ident[elf::EI_CLASS] != elf::ELFCLASS64 ||
      !ReadAt(bytes, header.e_shoff + uint64_t{header.e_shstrndx} * sizeof names, &names))
    return false;
  bool has_dwarf = false;
  for (uint32_t i = 0; i < header.e_shnum; ++i) {
    elf::Elf64_Shdr section;
    const uint64_t at = header.e_shoff + i * sizeof section;
    if (!ReadAt(bytes, at, &section)) return false;
    const std::string_view name = NameAt(bytes, names, section.sh_name);
    has_dwarf |= name == ".debug_info";
    if ((section.sh_flags & elf::SHF_ALLOC) == 0) continue;
    section.sh_addr = address_of(name);
    std::memcpy(bytes.data() + at, &section, sizeof section);
  }
  return has_dwarf;
}

}  // namespace

struct DebuggerEntry::Node : jit_code_entry {};

std::unique_ptr<DebuggerEntry> DebuggerEntry::Make(std::string_view object,
                                                   const std::function<uint64_t(std::string_view)>& address_of) {
  if (object.find(".debug_info") == std::string_view::npos) return nullptr;
  std::string placed(object);
  if (!PlaceSections(placed, address_of)) return nullptr;
  return std::unique_ptr<DebuggerEntry>(new DebuggerEntry(std::move(placed)));
}

DebuggerEntry::DebuggerEntry(std::string object) : object_(std::move(object)), node_(std::make_unique<Node>()) {
  const std::lock_guard lock(list_mutex);
  node_->symfile_addr = object_.data();
  node_->symfile_size = object_.size();
  node_->prev_entry = nullptr;
  node_->next_entry = __jit_debug_descriptor.first_entry;
  if (node_->next_entry != nullptr) node_->next_entry->prev_entry = node_.get();
  __jit_debug_descriptor.first_entry = node_.get();
  Announce(1, node_.get());
}

DebuggerEntry::~DebuggerEntry() {
  const std::lock_guard lock(list_mutex);
  if (node_->prev_entry != nullptr)
    node_->prev_entry->next_entry = node_->next_entry;
  else
    __jit_debug_descriptor.first_entry = node_->next_entry;
  if (node_->next_entry != nullptr) node_->next_entry->prev_entry = node_->prev_entry;
  Announce(2, node_.get());
}

}  // namespace rbc::host
