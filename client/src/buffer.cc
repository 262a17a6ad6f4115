// Arrays that stay on the farm between calls.
// SPDX-License-Identifier: Apache-2.0
#include "rbc/buffer.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/strided_walk.h"
#include "client/src/buffer_state.h"
#include "client/src/recall.h"
#include "client/src/strided_copy.h"
#include "types/array.h"
#include "types/array_extent.h"
#include "types/array_shape.h"

namespace rbc {
namespace {

constexpr std::string_view kHost = "host";  // the farm's own memory, as a target

Error Invalid(std::string message) { return {ErrorKind::kInvalidArgument, std::move(message)}; }

// The farm's words about a buffer, checked: they become lengths of copies here.
Status CheckInfo(const wire::BufferInfo& info) {
  RBC_ASSIGN_OR_RETURN(const auto type, types::Type::Parse(info.dtype));
  RBC_ASSIGN_OR_RETURN(const auto element, types::ElementLayout(type));
  RBC_ASSIGN_OR_RETURN(const auto extent, types::ExtentOf(info.shape, info.strides, element.size));
  if (extent.low >= 0 && extent.high <= info.bytes && info.offset >= 0) return {};
  return {ErrorKind::kProtocolMismatch,
          fmt::format("the farm describes buffer {} with lengths that do not fit", info.id)};
}

// Tells the user how far it is, some times a second.
class Progress {
 public:
  Progress(const detail::Core& core, uint64_t total) : report_(core.options.on_progress), total_(total) {}
  void Moved(uint64_t bytes) {
    done_ += bytes;
    if (!report_ || client::Clock::now() < next_) return;
    next_ = client::Clock::now() + kPause;
    report_(std::min(done_, total_), total_);
  }

 private:
  static constexpr auto kPause = std::chrono::milliseconds(100);
  const std::function<void(uint64_t, uint64_t)>& report_;
  const uint64_t total_;
  uint64_t done_ = 0;
  client::Clock::time_point next_ = client::Clock::now() + kPause;
};

client::BulkChannel::Place PlaceIn(const detail::BufferState& state, int64_t offset) {
  const auto element = types::ElementLayout(*types::Type::Parse(state.owned.info.dtype))->size;
  return {state.owned.info.id, static_cast<uint64_t>(offset), static_cast<uint32_t>(element)};
}

// A run of a view after the other; an array without gaps is one run.
Status Upload(const detail::BufferState& state, int64_t offset, const client::Runs& runs, const char* from,
              uint64_t bytes) {
  const auto& core = *state.core;
  const bool whole = runs.shape.empty() && bytes == static_cast<uint64_t>(state.owned.info.bytes);
  if (whole && client::WouldRecall(core.options.recall, core.farm->IsFar(), bytes) &&
      core.farm->KnowsRecall(state.owned.epoch)) {
    RBC_ASSIGN_OR_RETURN(const bool known, client::Recall(*core.farm, state.owned.epoch, state.owned.info.id,
                                                          {from, bytes}, core.DeadlineOf(0)));
    if (known) return {};
  }
  return core.farm->CopyIn(state.owned.epoch, core.DeadlineOf(0), [&](client::BulkChannel& channel) {
    Progress progress(core, bytes);
    Status status;
    const char* next = from;
    auto there = PlaceIn(state, offset);
    ForEachElement(runs.shape, runs.strides, [&](int64_t place) {
      there.offset = static_cast<uint64_t>(offset + place);
      if (status) status = channel.Put(there, next, runs.bytes, [&](uint64_t moved) { progress.Moved(moved); });
      next += runs.bytes;
    });
    if (status) status = channel.AwaitPuts();
    return status;
  });
}

// Of a view all that lies between its first and its last byte.
Status Download(const detail::BufferState& state, int64_t offset, const types::ArrayExtent& extent,
                const client::Runs& runs, char* to, uint64_t bytes) {
  const auto& core = *state.core;
  const uint64_t span = static_cast<uint64_t>(extent.high - extent.low);
  const bool dense = runs.shape.empty();
  const auto around = dense ? nullptr : std::make_unique_for_overwrite<char[]>(span);
  RBC_RETURN_IF_ERROR(core.farm->CopyIn(state.owned.epoch, core.DeadlineOf(0), [&](client::BulkChannel& channel) {
    Progress progress(core, dense ? bytes : span);
    return channel.Get(PlaceIn(state, offset + extent.low), dense ? to : around.get(), span,
                       [&](uint64_t moved) { progress.Moved(moved); });
  }));
  if (!dense) client::Gather(to, around.get() - extent.low, runs);
  return {};
}

constexpr int64_t kPartBytes = 64 << 20;  // of an array on its way to a device, in the farm's memory at once

wire::BufferSpec SpecOf(const Buffer& like, const std::vector<int64_t>& shape, const std::string& target) {
  wire::BufferSpec spec;
  spec.dtype = like.dtype();
  spec.shape = shape;
  if (!target.empty() && target != kHost) spec.__set_target(target);
  return spec;
}

// move(part, here, first) for parts of an array on a device: `here` is as large, in the farm's memory, and `first` is
// how many bytes came before.
template <typename Move>
Status ByWayOfHost(const Buffer& array, const std::shared_ptr<detail::Core>& core, Move&& move) {
  const Buffer whole = array.is_contiguous() ? array.reshape({array.size()}) : array;
  const int64_t rows = whole.shape()[0];
  const int64_t row_bytes = static_cast<int64_t>(whole.bytes()) / rows;
  const int64_t most = std::clamp<int64_t>(kPartBytes / row_bytes, 1, rows);
  std::vector<int64_t> shape = whole.shape();
  shape[0] = most;
  RBC_ASSIGN_OR_RETURN(const Buffer passage, detail::Inside::MakeBuffer(core, SpecOf(whole, shape, {})));
  for (int64_t first = 0; first < rows; first += most) {
    const int64_t count = std::min(most, rows - first);
    RBC_RETURN_IF_ERROR(
        move(whole.slice(0, first, first + count), passage.slice(0, 0, count), static_cast<size_t>(first * row_bytes)));
  }
  return {};
}

}  // namespace

wire::ArrayRef detail::Inside::RefTo(const Buffer& buffer) {
  wire::ArrayRef out;
  out.dtype = buffer.dtype();
  out.shape = buffer.shape();
  out.strides = buffer.strides();
  out.offset = buffer.offset();
  out.__set_buffer(buffer.id());
  return out;
}

Expected<Buffer> detail::Inside::ViewOf(const Buffer& buffer, std::vector<int64_t> shape, std::vector<int64_t> strides,
                                        int64_t offset) {
  RBC_ASSIGN_OR_RETURN(const auto extent, types::ExtentOf(shape, strides, buffer.element_size()));
  if (extent.elements != 0 && (offset + extent.low < 0 || offset + extent.high > buffer.state_->owned.info.bytes))
    return Invalid(fmt::format("a view of shape {} at byte {} leaves the array of {} bytes", types::ShapeText(shape),
                               offset, buffer.state_->owned.info.bytes));
  Buffer out = buffer;
  out.shape_ = std::move(shape);
  out.strides_ = std::move(strides);
  out.offset_ = offset;
  out.size_ = extent.elements;
  return out;
}

types::Buffer detail::Inside::ArrayOf(const Buffer& buffer, std::vector<int64_t> shape, std::vector<int64_t> strides,
                                      int64_t offset) {
  const auto& owned = buffer.state_->owned;
  types::Buffer out{.direction = types::Direction::kInOut, .element = *types::Type::Parse(buffer.dtype())};
  const auto place = static_cast<uint64_t>(owned.info.offset + offset);
  const auto size = static_cast<uint32_t>(buffer.element_size());
  out.data = owned.arena == nullptr ? nullptr : owned.arena->At(place, 0);
  if (shape.empty()) {  // one value is an array of one
    shape = {1};
    strides = {size};
  }
  out.bytes = types::BytesOf(shape, size).value_or(~uint64_t{0});
  out.owner = buffer.state_;
  out.shape = std::move(shape);
  out.strides = std::move(strides);
  out.in_arena = place;
  return out;
}

Error detail::NameLost(Error error, const Core& core, std::span<const int64_t> ids) {
  if (error.kind != ErrorKind::kBufferLost) return error;
  for (const int64_t id : ids) {
    const auto buffer = core.buffers.Find(id);
    if (buffer == nullptr) continue;
    if (const Status held = buffer->CheckHeld(); !held) error.message = held.error().message;
  }
  return error;
}

Expected<Buffer> detail::Inside::Adopt(const std::shared_ptr<Core>& core, client::OwnedBuffer made, uint64_t ends) {
  RBC_RETURN_IF_ERROR(CheckInfo(made.info));
  const auto state = std::make_shared<BufferState>(core, std::move(made), ends);
  core->buffers.Add(state->owned.info.id, state->owned.info.name, state);
  return Buffer(state);
}

Result<std::vector<Buffer>> detail::Inside::PartsOf(const Buffer& whole) {
  RBC_ASSIGN_OR_RETURN(const auto type, types::Type::Parse(whole.dtype_));
  const size_t count = type.is(types::Kind::kStruct) ? type.members().size() : 0;
  const auto parts = std::make_shared<BufferParts>(whole.state_, count);
  std::vector<Buffer> out;
  for (size_t i = 0; i < count; ++i) {
    RBC_ASSIGN_OR_RETURN(Buffer part, whole.try_member(i));
    part.state_ = std::make_shared<BufferState>(parts, part.dtype_);
    out.push_back(std::move(part));
  }
  return out;
}

Buffer::Buffer(std::shared_ptr<detail::BufferState> state) : state_(std::move(state)) {
  const wire::BufferInfo& info = state_->owned.info;
  dtype_ = info.dtype;
  shape_ = info.shape;
  strides_ = info.strides;
  element_size_ = types::ElementLayout(*types::Type::Parse(dtype_))->size;
  size_ = types::ExtentOf(shape_, strides_, element_size_)->elements;
}

int64_t Buffer::id() const { return state_->owned.info.id; }
const std::string& Buffer::name() const { return state_->owned.info.name; }
const std::string& Buffer::target() const { return state_->owned.info.target; }

bool Buffer::is_contiguous() const {
  return client::RunsOf(shape_, strides_, element_size_).shape.empty() || size_ == 0;
}

void* Buffer::data() const {
  const auto& owned = state_->owned;
  if (owned.arena == nullptr || !owned.info.target.empty()) return nullptr;
  char* const begin =
      owned.arena->At(static_cast<uint64_t>(owned.info.offset), static_cast<uint64_t>(owned.info.bytes));
  return begin == nullptr ? nullptr : begin + offset_;
}

Status Buffer::CheckSpan(std::string_view type) const {
  RBC_RETURN_IF_ERROR(state_->CheckAlive());
  if (dtype_ != type) return Invalid(fmt::format("the buffer holds `{}`, asked for is `{}`", dtype_, type));
  if (!is_contiguous()) return Invalid("the elements of this view do not lie side by side; copy it");
  if (!target().empty())
    return Invalid(fmt::format("the buffer lies on target \"{}\"; use copy_to, or to_target(\"host\")", target()));
  if (data() == nullptr) return Invalid("the buffer's memory is the farm's only; use copy_to");
  return {};
}

Status Buffer::CheckArray(std::string_view type, size_t rank) const {
  if (dtype_ == type && shape_.size() == rank && is_contiguous()) return {};
  return Invalid(
      fmt::format("asked for is an array of `{}` with {} dimension(s), side by side; the buffer holds `{}` "
                  "with {}{}",
                  type, rank, dtype_, shape_.size(), is_contiguous() ? "" : ", with gaps"));
}

void Buffer::CheckType(std::string_view type) const {
  if (dtype_ != type)
    throw Exception(Invalid(fmt::format("the buffer holds `{}`, given is `{}`; convert it", dtype_, type)));
}

Result<void> Buffer::try_copy_from(const void* from, size_t given) const {
  if (given != bytes()) return Invalid(fmt::format("the array has {} bytes, given are {}", bytes(), given));
  RBC_RETURN_IF_ERROR(state_->CheckAlive());
  if (size_ == 0) return {};
  if (!target().empty()) {
    return ByWayOfHost(*this, state_->core, [&](const Buffer& part, const Buffer& here, size_t first) -> Status {
      RBC_RETURN_IF_ERROR(here.try_copy_from(static_cast<const char*>(from) + first, here.bytes()));
      return part.try_copy_from(here);
    });
  }
  const auto runs = client::RunsOf(shape_, strides_, element_size_);
  if (auto* memory = static_cast<char*>(data())) {
    client::Scatter(memory, from, runs);
    return {};
  }
  return Upload(*state_, offset_, runs, static_cast<const char*>(from), given);
}

Result<void> Buffer::try_copy_to(void* to, size_t given) const {
  if (given != bytes()) return Invalid(fmt::format("the array has {} bytes, there is room for {}", bytes(), given));
  RBC_RETURN_IF_ERROR(state_->CheckAlive());
  if (size_ == 0) return {};
  if (!target().empty()) {
    return ByWayOfHost(*this, state_->core, [&](const Buffer& part, const Buffer& here, size_t first) -> Status {
      RBC_RETURN_IF_ERROR(here.try_copy_from(part));
      return here.try_copy_to(static_cast<char*>(to) + first, here.bytes());
    });
  }
  const auto runs = client::RunsOf(shape_, strides_, element_size_);
  if (const auto* memory = static_cast<const char*>(data())) {
    client::Gather(to, memory, runs);
    return {};
  }
  RBC_ASSIGN_OR_RETURN(const auto extent, types::ExtentOf(shape_, strides_, element_size_));
  return Download(*state_, offset_, extent, runs, static_cast<char*>(to), given);
}

Result<void> Buffer::try_copy_from(const Buffer& from) const {
  if (from.dtype_ != dtype_ || from.shape_ != shape_)
    return Invalid(fmt::format("`{}` of shape {} cannot be copied to `{}` of shape {}", from.dtype_,
                               types::ShapeText(from.shape_), dtype_, types::ShapeText(shape_)));
  const auto& core = *state_->core;
  if (from.state_->core->farm != core.farm) return Invalid("the array to copy from belongs to another connection");
  RBC_RETURN_IF_ERROR(state_->CheckAlive());
  RBC_RETURN_IF_ERROR(from.state_->CheckAlive());
  if (size_ == 0) return {};
  return core.farm->AskIn(state_->owned.epoch, core.DeadlineOf(0),
                          [source = detail::Inside::RefTo(from), destination = detail::Inside::RefTo(*this)](
                              wire::FarmClient& client) { client.buffer_copy(source, destination); });
}

Result<Buffer> Buffer::try_to_target(std::string target) const {
  RBC_ASSIGN_OR_RETURN(Buffer out, detail::Inside::MakeBuffer(state_->core, SpecOf(*this, shape_, target)));
  RBC_RETURN_IF_ERROR(out.try_copy_from(*this));
  return out;
}

Result<Buffer> Buffer::try_slice(size_t dimension, int64_t start, int64_t stop, int64_t step) const {
  if (dimension >= shape_.size())
    return Invalid(fmt::format("the array has {} dimensions and no number {}", shape_.size(), dimension));
  const int64_t length = shape_[dimension];
  const bool up = step > 0;
  const bool good = up ? start >= 0 && start <= stop && stop <= length
                       : step != 0 && stop >= -1 && stop <= start && start < std::max<int64_t>(length, 1);
  if (!good)
    return Invalid(
        fmt::format("indices {} to {} by {} are not in a dimension of length {}", start, stop, step, length));
  Buffer out = *this;
  const int64_t count = start == stop ? 0 : (stop - start - (up ? 1 : -1)) / step + 1;
  out.shape_[dimension] = length == 0 ? 0 : count;
  if (count > 1) out.strides_[dimension] = strides_[dimension] * step;  // else it may be any step
  if (out.shape_[dimension] != 0) out.offset_ += start * strides_[dimension];
  out.size_ = types::ExtentOf(out.shape_, out.strides_, element_size_)->elements;
  return out;
}

Result<Buffer> Buffer::try_reshape(std::vector<int64_t> shape) const {
  auto strides = types::DenseStrides(shape, element_size_);
  RBC_ASSIGN_OR_RETURN(const auto extent, types::ExtentOf(shape, strides, element_size_));
  if (extent.elements != size_)
    return Invalid(fmt::format("the array has {} elements, the new shape {}", size_, extent.elements));
  if (!is_contiguous()) return Invalid("the elements of this view do not lie side by side; copy it first");
  Buffer out = *this;
  out.shape_ = std::move(shape);
  out.strides_ = std::move(strides);
  return out;
}

Buffer Buffer::transpose() const {
  Buffer out = *this;
  out.shape_.assign(shape_.rbegin(), shape_.rend());
  out.strides_.assign(strides_.rbegin(), strides_.rend());
  return out;
}

Result<Buffer> Buffer::try_member(size_t number) const {
  RBC_ASSIGN_OR_RETURN(const auto type, types::Type::Parse(dtype_));
  if (!type.is(types::Kind::kStruct) || number >= type.members().size())
    return Invalid(fmt::format("elements of type `{}` have no member {}", dtype_, number));
  RBC_ASSIGN_OR_RETURN(const auto layout, types::LayoutOfStruct(type));
  const types::Type& member = type.members()[number];
  RBC_ASSIGN_OR_RETURN(const auto element, types::ElementLayout(member));
  Buffer out = *this;
  out.dtype_ = member.ToString();
  out.element_size_ = element.size;
  out.offset_ += static_cast<int64_t>(layout.offsets[number]);
  return out;
}

Status detail::Inside::FreeNow(const Buffer& buffer) { return buffer.state_->Free(); }

void Buffer::free() const { ValueOrThrow(Result<void>(state_->Free())); }

Result<size_t> RemoteJIT::try_free(const std::string& name) const {
  size_t freed = 0;
  for (const auto& buffer : core_->buffers.Find(name)) {
    if (!buffer->CheckHeld()) continue;
    RBC_RETURN_IF_ERROR(buffer->Free());
    ++freed;
  }
  if (freed != 0) return freed;
  return Error(ErrorKind::kBufferLost, fmt::format("no array with the name \"{}\" is held here", name));
}

Result<Buffer> detail::Inside::MakeBuffer(const std::shared_ptr<Core>& core, const wire::BufferSpec& spec) {
  RBC_ASSIGN_OR_RETURN(auto owned, core->farm->CreateBuffer(spec, core->DeadlineOf(0)));
  // A farm of before 1.3 knows no devices here.
  if (spec.target != owned.info.target)
    return Error(ErrorKind::kUnsupported, fmt::format("this farm keeps no arrays on target \"{}\"", spec.target));
  return Adopt(core, std::move(owned), core->farm->Ends());
}

Result<Buffer> RemoteJIT::try_empty(std::string dtype, std::vector<int64_t> shape, BufferOptions options) const {
  wire::BufferSpec spec;
  spec.dtype = std::move(dtype);
  spec.shape = std::move(shape);
  spec.fortran = options.fortran;
  if (!options.name.empty()) spec.__set_name(options.name);
  if (!options.target.empty() && options.target != kHost) spec.__set_target(options.target);
  return detail::Inside::MakeBuffer(core_, spec);
}

Result<Buffer> RemoteJIT::try_to_device(std::string dtype, std::vector<int64_t> shape, const void* data, size_t bytes,
                                        BufferOptions options) const {
  RBC_ASSIGN_OR_RETURN(Buffer out, try_empty(std::move(dtype), std::move(shape), std::move(options)));
  RBC_RETURN_IF_ERROR(out.try_copy_from(data, bytes));
  return out;
}

Result<std::vector<BufferDescription>> RemoteJIT::try_buffers() const {
  RBC_ASSIGN_OR_RETURN(const auto infos, core_->farm->Ask(core_->DeadlineOf(0), [](wire::FarmClient& client) {
    std::vector<wire::BufferInfo> reply;
    client.buffers(reply);
    return reply;
  }));
  std::vector<BufferDescription> out;
  for (const auto& info : infos)
    out.push_back({info.id, info.name, info.dtype, info.shape, info.strides, info.bytes, info.target});
  return out;
}

}  // namespace rbc
