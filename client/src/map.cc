// Maps over rows.
// SPDX-License-Identifier: Apache-2.0
#include "rbc/map.h"

#include <fmt/format.h>

#include <algorithm>

#include "client/src/core.h"
#include "client/src/interrupt.h"
#include "rbc/function.h"
#include "types/match.h"

namespace rbc {
namespace {

// The first signature whose parameters have the columns' types.
Result<size_t> SignatureFor(const detail::Prepared& prepared, std::span<const Column> columns) {
  std::vector<types::Type> given;
  std::string text;
  for (const Column& column : columns) {
    RBC_ASSIGN_OR_RETURN(types::Type type, types::Type::Parse(column.dtype));
    text += (text.empty() ? "" : ", ") + type.ToString();
    given.push_back(std::move(type));
  }
  for (size_t i = 0; i < prepared.types.size(); ++i) {
    const auto parameters = prepared.types[i].parameters();
    if (std::equal(parameters.begin(), parameters.end(), given.begin(), given.end())) return i;
  }
  return Error(ErrorKind::kNoMatch,
               fmt::format("could not find matching function to given argument types: `{}`", text));
}

Status CheckColumns(std::span<const Column> columns, int64_t rows, const types::FrameLayout& layout) {
  if (rows < 0) return {ErrorKind::kInvalidArgument, fmt::format("a map of {} rows is not possible", rows)};
  for (size_t i = 0; i < columns.size(); ++i) {
    const Column& column = columns[i];
    const auto needed =
        rows == 0 || column.stride < 0
            ? 0
            : static_cast<unsigned __int128>(column.stride) * static_cast<uint64_t>(rows - 1) + layout.slots()[i].size;
    if (column.stride >= 0 && needed <= column.bytes) continue;
    return {ErrorKind::kInvalidArgument, fmt::format("column {} has {} bytes, too few for {} rows with a stride of {}",
                                                     i + 1, column.bytes, rows, column.stride)};
  }
  return {};
}

wire::MapRequest RequestOf(int64_t rows, std::span<const Column> columns) {
  wire::MapRequest request;
  request.rows = rows;
  for (const Column& column : columns) {
    wire::Column& out = request.columns.emplace_back();
    out.dtype = column.dtype;
    out.stride = column.stride;
    if (column.bytes != 0) out.data.assign(static_cast<const char*>(column.data), column.bytes);
  }
  return request;
}

}  // namespace

Result<MapResult> Caller::try_map(int64_t rows, std::span<const Column> columns) const {
  const auto map = [&]() -> Result<MapResult> {
    RBC_ASSIGN_OR_RETURN(const auto prepared, state_->Current());
    RBC_ASSIGN_OR_RETURN(const size_t index, SignatureFor(*prepared, columns));
    const detail::Overload& overload = *prepared->overloads[index];
    if (!prepared->declared[index]) return prepared->declared[index].error();
    RBC_RETURN_IF_ERROR(CheckColumns(columns, rows, overload.layout));
    bool is_explicit = false;
    const client::Deadline deadline = state_->core->DeadlineOf(timeout_ms_, &is_explicit);
    wire::MapRequest request = RequestOf(rows, columns);
    RBC_ASSIGN_OR_RETURN(wire::MapReply reply,
                         state_->core->farm->AskLoaded(
                             *prepared->module, deadline, [&](wire::FarmClient& client, const client::Loaded& loaded) {
                               request.function_id = loaded.reply->functions[*prepared->declared[index]].function_id;
                               request.request_id = state_->core->farm->NextRequestId();
                               client::ThisWaiting().request_id = request.request_id;
                               if (is_explicit) request.__set_deadline_ms(client::TellFarm(deadline));
                               wire::MapReply answer;
                               client.map_rows(answer, request);
                               return answer;
                             }));
    MapResult out;
    out.dtype = reply.result.dtype;
    out.rows = rows;
    out.data = std::move(reply.result.data);
    out.status = reply.status;
    out.row = reply.__isset.row ? reply.row : -1;
    out.output = reply.output;
    out.signature = overload.type.ToString();
    return out;
  };
  Result<MapResult> result = map();
  if (!result) result.error() = detail::NameIt(std::move(result.error()), state_->name);
  state_->core->Print(result ? result->output : result.error().output);
  return result;
}

}  // namespace rbc
