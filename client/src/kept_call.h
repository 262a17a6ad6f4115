// Calls whose array results stay on the farm.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <string>
#include <vector>

#include "client/src/chain.h"
#include "client/src/core.h"
#include "client/src/packed_row.h"
#include "rbc/buffer.h"

namespace rbc::detail {

struct KeptAnswer {
  Answer answer;               // its value has nothing where the result has arrays
  std::vector<Buffer> arrays;  // in the order of the result
};

// Calls overload number `index` for each row, in one message; otherwise as CallValues. kInvalidArgument: it returns no
// arrays.
Expected<std::vector<Expected<KeptAnswer>>> CallKept(const CallerState& caller, const Prepared& prepared, size_t index,
                                                     const std::vector<std::vector<types::Value>>& rows,
                                                     const std::string& name, int64_t timeout_ms,
                                                     std::atomic<int64_t>* request_id = nullptr,
                                                     CallProfile* profile = nullptr);

// The same of rows that are packed, on a farm that keeps results (protocol 1.4).
Expected<std::vector<Expected<KeptAnswer>>> CallKeptRows(const CallerState& caller, const Prepared& prepared,
                                                         size_t index, const std::vector<PackedRow>& rows,
                                                         const std::string& name, const client::Deadline& deadline,
                                                         bool explicit_deadline, std::atomic<int64_t>* request_id,
                                                         CallProfile* profile);
// One row, whose arrays come into this process: the answer has all of the result.
Expected<Answer> CallAndFetch(const CallerState& caller, const Prepared& prepared, size_t index, PackedRow row,
                              const client::Deadline& deadline, bool explicit_deadline,
                              std::atomic<int64_t>* request_id, CallProfile* profile);

// The arrays of a reply to `caller`. kProtocolMismatch: they are not those of the result.
Expected<std::vector<Buffer>> TakeKept(const CallerState& caller, const types::Type& result, wire::CallReply& reply,
                                       const client::ChainReply& chain);
// What else it returns: in a struct as the result has it, with nothing in the places of arrays.
Expected<types::Value> TakePlain(const types::Type& result, std::string_view bytes);

}  // namespace rbc::detail
