// The handle of a module.
// SPDX-License-Identifier: Apache-2.0
#include "thrift/handle.h"

namespace rbc {

Digest HandleOf(const std::string& target, const std::vector<wire::FunctionDeclaration>& functions,
                const wire::CompileOptions& options, const std::string& ir) {
  Hasher hasher;
  hasher.Add("rbc-handle-1").Add(target).Add(static_cast<uint64_t>(options.opt_level));
  hasher.Add(uint64_t{options.debug} | uint64_t{options.allow_contract} << 1 | uint64_t{options.serial} << 2);
  hasher.Add(functions.size());
  for (const auto& f : functions) hasher.Add(f.symbol).Add(f.signature).Add(static_cast<uint64_t>(f.abi));
  return hasher.Add(ir).Finish();
}

}  // namespace rbc
