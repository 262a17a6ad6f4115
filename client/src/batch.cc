// Many calls in one message.
// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <map>
#include <memory>

#include "client/src/core.h"
#include "rbc/function.h"
#include "types/match.h"

namespace rbc {
namespace detail {
namespace {

// The result of one call into `result`.
Status TakeRow(const std::string& name, client::CallAnswer& answer, const TypedRows& rows, char* result) {
  if (answer.error) return NameIt(std::move(*answer.error), name);
  if (answer.status != 0) return BadStatus(name, answer.status);
  return CopyResult(answer.result, result, rows.result_size);
}

}  // namespace

Error OfRow(const std::pair<size_t, Error>& failed) {
  Error error = failed.second;
  error.message = fmt::format("row {}: {}", failed.first, error.message);
  return error;
}

Result<FailedRows> InvokeRows(CallerState& caller, size_t index, int64_t timeout_ms, const TypedRows& rows) {
  const auto run = [&]() -> Result<FailedRows> {
    FailedRows failed;
    RBC_ASSIGN_OR_RETURN(const std::shared_ptr<const Prepared> prepared, caller.Current());
    RBC_ASSIGN_OR_RETURN(const size_t declared, prepared->declared[index]);
    RBC_RETURN_IF_ERROR(CheckSizes(*prepared->overloads[index], rows.frame_size, rows.result_size));
    std::vector<client::CallMessage> messages(rows.count);
    for (size_t i = 0; i < rows.count; ++i)
      messages[i].frame = std::string_view(rows.frames + i * rows.frame_size, rows.frame_size);
    RBC_ASSIGN_OR_RETURN(client::Farm::AnsweredBatch answered,
                         caller.core->farm->CallBatch(*prepared->module, declared, std::move(messages),
                                                      caller.core->DeadlineOf(timeout_ms)));
    for (size_t i = 0; i < rows.count; ++i) {
      client::CallAnswer& answer = answered.answers[i];
      caller.core->Print(answer.error ? std::string_view(answer.error->output) : answer.output);
      Status taken = TakeRow(caller.name, answer, rows, rows.results + i * rows.result_size);
      if (!taken) failed.emplace_back(i, std::move(taken).error());
    }
    return failed;
  };
  if (rows.count == 0) return FailedRows();
  Result<FailedRows> failed = run();
  if (!failed) failed.error() = NameIt(std::move(failed.error()), caller.name);
  return failed;
}

}  // namespace detail

Result<std::vector<Result<CallResult>>> Caller::try_batch(std::span<const std::vector<Value>> rows) const {
  const auto named = [&](Error error) { return detail::NameIt(std::move(error), state_->name); };
  auto prepared = state_->Current();
  if (!prepared) return named(std::move(prepared).error());
  std::vector<Result<CallResult>> results(rows.size(), Result<CallResult>(CallResult{}));
  struct Group {
    std::vector<size_t> rows;
    std::vector<std::vector<types::Value>> values;
  };
  std::map<size_t, Group> groups;  // by signature
  for (size_t i = 0; i < rows.size(); ++i) {
    std::vector<types::Value> values;
    for (const Value& value : rows[i]) values.push_back(value.inner());
    auto index = types::BestMatch((*prepared)->types, std::span<const types::Value>(values));
    if (!index) {
      results[i] = named(std::move(index).error());
      continue;
    }
    groups[*index].rows.push_back(i);
    groups[*index].values.push_back(std::move(values));
  }
  for (const auto& [index, group] : groups) {
    auto answers = detail::CallRows(*state_, **prepared, index, group.values, timeout_ms_);
    if (!answers) return named(std::move(answers).error());
    for (size_t k = 0; k < group.rows.size(); ++k) {
      auto& answer = (*answers)[k];
      state_->core->Print(answer ? answer->output : answer.error().output);
      if (answer) {
        results[group.rows[k]] = detail::ResultOf(**prepared, index, *std::move(answer));
      } else {
        results[group.rows[k]] = std::move(answer).error();
      }
    }
  }
  return results;
}

}  // namespace rbc
