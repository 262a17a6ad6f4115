// Maps, reductions and scans over arrays as calls: the worker knows no other message.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/expected.h"
#include "gen/rbc_types.h"
#include "targets/target.h"

namespace rbc::server {

// An array that lies in a buffer: every element of it does.
struct ArrayInArena {
  uint64_t offset = 0;               // of element 0, 0, ... in the session's data arena
  std::shared_ptr<const void> kept;  // its memory goes to nobody else as long as this lives
  bool on_device = false;            // `offset` is a place of worker/device_frame.h instead
};
using FindInArena = std::function<Expected<ArrayInArena>(const wire::ArrayRef& array)>;
// A new array of the session's, for a result that stays.
using MakeArray = std::function<Expected<wire::ArrayRef>(const std::string& dtype, const std::vector<int64_t>& shape)>;

struct PackedArrays {
  wire::CallRequest call;                         // all but the function's id
  wire::ArrayRef result;                          // what the reply says about it; its data comes back with the call
  std::string pattern;                            // CompileOptions::map_pattern
  bool in_order = false;                          // of a reduction: by the code of a scan
  bool empty = false;                             // there is nothing to run: the result is complete
  std::string fill;                               // with `empty`: what a kept result holds
  std::vector<std::shared_ptr<const void>> kept;  // as long as it runs; not empty: the worker needs the arena
  std::optional<uint64_t> written;                // a buffer that held something before
};

// What a request over arrays needs to know.
struct ArrayScope {
  const FunctionDeclaration& function;
  uint64_t max_bytes;  // of a message
  const FindInArena& find;
  const MakeArray* keep = nullptr;  // set: the result stays
};

// kInvalidArgument: arrays that do not fit the signature or each other; kUnsupported: pointers and strings;
// kResourceExhausted: more bytes than a message holds.
Expected<PackedArrays> PackArrayMap(const ArrayScope& scope, const wire::ArrayMapRequest& request);
Expected<PackedArrays> PackReduction(const ArrayScope& scope, const wire::ArrayReduceRequest& request);
Expected<PackedArrays> PackScan(const ArrayScope& scope, const wire::ArrayScanRequest& request);

}  // namespace rbc::server
