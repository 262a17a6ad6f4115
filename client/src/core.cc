// What the public classes share behind their handles.
// SPDX-License-Identifier: Apache-2.0
#include "client/src/core.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>

#include "client/src/symbols.h"
#include "types/match.h"

namespace rbc::detail {
namespace {

wire::CompileOptions ToWire(const FunctionOptions& options) {
  wire::CompileOptions out;
  out.opt_level = options.opt_level;
  out.debug = options.debug;
  out.allow_contract = options.allow_contract;
  out.serial = options.serial;
  return out;
}

std::string ListTargets(const wire::HelloReply& hello) {
  std::string out;
  for (const auto& target : hello.targets) out += fmt::format("{}'{}'", out.empty() ? "" : ", ", target.name);
  return out.empty() ? "none" : out;
}

}  // namespace

void Core::Print(std::string_view text) const {
  if (text.empty()) return;
  if (options.on_output) return options.on_output(text);
  std::fwrite(text.data(), 1, text.size(), stdout);
  std::fflush(stdout);
}

int64_t Core::TimeoutOf(int64_t timeout_ms, bool* is_explicit) const {
  if (timeout_ms <= 0) timeout_ms = options.timeout.count();
  *is_explicit = timeout_ms > 0;
  return timeout_ms > 0 ? timeout_ms : farm->options().timeout_ms;
}

client::Deadline Core::DeadlineOf(int64_t timeout_ms, bool* is_explicit) const {
  bool given = false;
  const int64_t ms = TimeoutOf(timeout_ms, &given);
  if (is_explicit != nullptr) *is_explicit = given;
  return client::Deadline::AfterMs(ms);
}

Expected<std::shared_ptr<const Overload>> MakeOverload(std::string_view signature) {
  RBC_ASSIGN_OR_RETURN(types::Type type, types::Type::Parse(signature));
  RBC_RETURN_IF_ERROR(types::CheckSignature(type, std::nullopt));
  RBC_ASSIGN_OR_RETURN(types::FrameLayout layout, types::FrameLayout::Make(type));
  return std::make_shared<const Overload>(Overload{std::move(type), std::move(layout), {}});
}

std::vector<std::shared_ptr<const Overload>> CallerState::Overloads() const {
  const std::lock_guard lock(core->farm->mutex());
  return overloads_;
}

std::string CallerState::Target() const {
  const std::lock_guard lock(core->farm->mutex());
  return target_;
}

Expected<bool> CallerState::Add(std::string_view signature) {
  if (connected)
    return Error(ErrorKind::kInvalidArgument,
                 fmt::format("'{}' is somebody's published function; its signature is given", name));
  RBC_ASSIGN_OR_RETURN(auto overload, MakeOverload(signature));
  std::shared_ptr<const Prepared> old;  // may be the last one that holds its module: goes without the lock
  const std::lock_guard lock(core->farm->mutex());
  if (!overloads_.empty())
    RBC_RETURN_IF_ERROR(types::CheckSignature(overload->type, overloads_[0]->type.parameters().size()));
  for (const auto& known : overloads_)
    if (known->type == overload->type) return false;
  overloads_.push_back(std::move(overload));
  old.swap(prepared_);
  return true;
}

Expected<size_t> CallerState::IndexOf(std::string_view signature) {
  RBC_ASSIGN_OR_RETURN(const types::Type type, types::Type::Parse(signature));
  for (int pass = 0;; ++pass) {
    const auto list = Overloads();
    for (size_t i = 0; i < list.size(); ++i)
      if (list[i]->type == type) return i;
    if (pass > 0) return Error(ErrorKind::kInternal, "a signature is gone that was added in this moment");
    if (connected)
      return Error(ErrorKind::kNoMatch, fmt::format("'{}' is published as `{}`, not as `{}`; ask for its own type",
                                                    name, list[0]->type.ToString(), type.ToString()));
    RBC_RETURN_IF_ERROR([&]() -> Status {
      auto added = Add(signature);
      return added ? Status() : Status(std::move(added).error());
    }());
  }
}

Expected<std::string> CallerState::SetTarget(std::string_view next) {
  if (connected && next != Target())
    return Error(ErrorKind::kInvalidArgument,
                 fmt::format("'{}' is somebody's published function; its target is given", name));
  RBC_ASSIGN_OR_RETURN(const auto hello, core->farm->Hello(core->DeadlineOf(0)));
  const bool known = std::any_of(hello->targets.begin(), hello->targets.end(), [&](const auto& t) {
    // "cuda:1" is the second device of "cuda"; whether there is one the farm says.
    return next.substr(0, next.find(':')) == t.name;
  });
  if (!known)
    return Error(ErrorKind::kUnknownTarget,
                 fmt::format("the farm has no target '{}'; it has {}", next, ListTargets(*hello)));
  std::shared_ptr<const Prepared> old;
  const std::lock_guard lock(core->farm->mutex());
  std::string previous = target_;
  if (previous != next) {
    target_ = next;
    old.swap(prepared_);
  }
  return previous;
}

void CallerState::Adopt(std::shared_ptr<const Prepared> prepared, std::vector<std::shared_ptr<const Overload>> list) {
  const std::lock_guard lock(core->farm->mutex());
  connected = true;
  target_ = prepared->target;
  prepared_ = std::move(prepared);
  overloads_ = std::move(list);
}

Expected<std::shared_ptr<const Prepared>> CallerState::Current() {
  std::string target;
  std::vector<std::shared_ptr<const Overload>> list;
  {
    const std::lock_guard lock(core->farm->mutex());
    if (prepared_) return prepared_;
    target = target_;
    list = overloads_;
  }
  RBC_ASSIGN_OR_RETURN(std::shared_ptr<const Prepared> made, Prepare(std::move(target), std::move(list)));
  std::shared_ptr<const Prepared> other;  // of a thread that was as fast
  const std::lock_guard lock(core->farm->mutex());
  if (made->target == target_ && made->overloads == overloads_) {
    other.swap(prepared_);
    prepared_ = made;
  }
  return made;
}

std::shared_ptr<const Prepared> CallerState::TakeLine(size_t index, uint32_t frame_size, uint32_t result_size,
                                                      client::Farm::Line* line) {
  const std::lock_guard lock(core->farm->mutex());
  if (!prepared_ || !prepared_->declared[index]) return nullptr;
  const types::FrameLayout& layout = prepared_->overloads[index]->layout;
  if (layout.fixed_size() != frame_size || layout.result_size() != result_size) return nullptr;
  *line = core->farm->TakeLine(*prepared_->module, *prepared_->declared[index]);
  return line->lease ? prepared_ : nullptr;
}

Expected<std::shared_ptr<const Prepared>> CallerState::Prepare(
    std::string target, std::vector<std::shared_ptr<const Overload>> list) const {
  if (list.empty()) return Error(ErrorKind::kNoMatch, fmt::format("'{}' has no signature; add one", name));
  auto out = std::make_shared<Prepared>();
  out->target = std::move(target);
  std::vector<wire::FunctionDeclaration> declarations;
  for (const auto& overload : list) {
    out->types.push_back(overload->type);
    auto symbol = client::ResolveSymbol(name, overload->type, list.size() == 1, defined, source.ir());
    if (!symbol) {
      out->declared.emplace_back(std::move(symbol).error());
      continue;
    }
    out->declared.emplace_back(declarations.size());
    wire::FunctionDeclaration declaration;
    declaration.symbol = *std::move(symbol);
    declaration.signature = overload->type.ToString();
    declaration.abi = static_cast<wire::Abi::type>(options.abi.value_or(source.abi()));
    declarations.push_back(std::move(declaration));
  }
  out->overloads = std::move(list);
  if (declarations.empty()) return out->declared[0].error();
  out->module = core->farm->Add(source.ir(), out->target, std::move(declarations), ToWire(options));
  return std::shared_ptr<const Prepared>(std::move(out));
}

}  // namespace rbc::detail
