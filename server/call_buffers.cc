// Buffers that a call or launch names.
// SPDX-License-Identifier: Apache-2.0
#include "server/call_buffers.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "types/array.h"
#include "types/frame.h"
#include "worker/data_arena.h"

namespace rbc::server {
namespace {

Error Invalid(std::string message) { return {ErrorKind::kInvalidArgument, std::move(message)}; }

class Finder {
 public:
  Finder(const FunctionDeclaration& function, std::string_view frame, std::span<const wire::ArrayRef> made,
         const SessionData& data, DevicePlaces* places)
      : function_(function), frame_(frame), made_(made), data_(data), places_(places) {}

  Status Add(const types::FrameLayout& layout, const wire::FrameBuffer& wanted) {
    const auto slots = layout.slots();
    const auto slot = std::find_if(slots.begin(), slots.end(), [&](const types::FrameSlot& each) {
      return static_cast<int64_t>(each.offset) == wanted.position;
    });
    if (slot == slots.end() || (slot->op != types::SlotOp::kPointer && slot->op != types::SlotOp::kArray))
      return Invalid(fmt::format("'{}' with signature `{}` has no pointer or array at byte {} of its frame",
                                 function_.symbol, function_.signature, wanted.position));
    if (wanted.position <= last_) return Invalid("the buffers of a call are not in ascending order of their positions");
    last_ = wanted.position;
    const bool is_array = slot->op == types::SlotOp::kArray;
    if (is_array && frame_.size() < slot->offset + types::FrameArrayBytes(slot->type.rank()))
      return Invalid(fmt::format("the frame of '{}' ends within its parameters", function_.symbol));
    if (!wanted.__isset.step) return is_array ? AddArray(*slot, wanted) : AddPointer(*slot, wanted);
    if (made_.empty())
      return Invalid(
          fmt::format("a buffer of '{}' names step {}, and this is no step of a chain", function_.symbol, wanted.step));
    const wire::ArrayRef& made = made_.front();
    made_ = made_.subspan(1);
    return is_array ? AddMadeArray(*slot, made) : AddMadePointer(*slot, made);
  }
  CallBuffers Take() && { return std::move(out_); }

 private:
  // Where it lies; in the frame both bits tell a place on a device.
  Expected<uint64_t> Place(ResolvedArray array) {
    if (array.buffer->device() != nullptr) {
      RBC_ASSIGN_OR_RETURN(ArrayInArena found, places_->Find(std::move(array)));
      out_.kept.push_back(std::move(found.kept));
      return found.offset;
    }
    out_.in_arena = true;
    out_.kept.push_back(array.buffer);
    return array.offset | worker::kInDataArena;
  }

  Status AddArray(const types::FrameSlot& slot, const wire::FrameBuffer& wanted) {
    types::FrameArray form = types::LoadFrameArray(frame_.data() + slot.offset, slot.type.rank());
    wire::ArrayRef array;
    array.dtype = slot.type.element().ToString();
    array.shape = std::move(form.shape);
    array.strides = std::move(form.strides);
    array.offset = wanted.offset;
    array.__set_buffer(wanted.buffer);
    RBC_ASSIGN_OR_RETURN(ResolvedArray found, data_.Resolve(array));
    RBC_ASSIGN_OR_RETURN(const uint64_t place, Place(std::move(found)));
    out_.arrays.emplace_back(slot.offset, place | worker::kInDataArena);
    return {};
  }

  // The array of a step, of which nobody knew the form before it ran.
  Status AddMadeArray(const types::FrameSlot& slot, const wire::ArrayRef& made) {
    if (made.dtype != slot.type.element().ToString() || made.shape.size() != slot.type.rank())
      return Misfit(slot, made);
    RBC_ASSIGN_OR_RETURN(ResolvedArray found, data_.Resolve(made));
    RBC_ASSIGN_OR_RETURN(const uint64_t place, Place(std::move(found)));
    out_.made.emplace_back(slot.offset, types::FrameArray{place | worker::kInDataArena, made.shape, made.strides});
    return {};
  }

  Status AddMadePointer(const types::FrameSlot& slot, const wire::ArrayRef& made) {
    const types::Type element = slot.type.element();
    if (!element.is(types::Kind::kVoid) && made.dtype != element.ToString()) return Misfit(slot, made);
    RBC_ASSIGN_OR_RETURN(const types::Type given, types::Type::Parse(made.dtype));
    RBC_ASSIGN_OR_RETURN(const uint64_t size, types::SizeOf(given));
    if (!types::IsContiguous(made.shape, made.strides, static_cast<uint32_t>(size)))
      return Invalid(
          fmt::format("the array of an earlier step has gaps between its elements and is no `{}` of '{}'; "
                      "declare the parameter as an array",
                      slot.type.ToString(), function_.symbol));
    wire::FrameBuffer buffer;
    buffer.buffer = made.buffer;
    buffer.offset = made.offset;
    return AddPointer(slot, buffer);
  }

  Error Misfit(const types::FrameSlot& slot, const wire::ArrayRef& made) const {
    return Invalid(
        fmt::format("the array of an earlier step has elements `{}` and {} dimensions and is no `{}` of '{}'; "
                    "queue a function that takes such",
                    made.dtype, made.shape.size(), slot.type.ToString(), function_.symbol));
  }

  Status AddPointer(const types::FrameSlot& slot, const wire::FrameBuffer& wanted) {
    if (function_.abi != Abi::kKernel)
      return {ErrorKind::kUnsupported,
              fmt::format("'{}' takes a buffer of the session as `{}`, which only kernels do; declare the parameter as "
                          "an array",
                          function_.symbol, slot.type.ToString())};
    RBC_ASSIGN_OR_RETURN(auto buffer, data_.Find(static_cast<uint64_t>(wanted.buffer)));
    if (wanted.offset < 0 || static_cast<uint64_t>(wanted.offset) > buffer->bytes())
      return Invalid(fmt::format("a pointer to byte {} of buffer {}, which has {} bytes, leads outside", wanted.offset,
                                 buffer->Title(), buffer->bytes()));
    worker::LaunchPointer pointer{};
    pointer.position = slot.offset;
    ResolvedArray found;
    found.offset = static_cast<uint64_t>(wanted.offset);
    if (buffer->device() == nullptr) {
      pointer.begin = buffer->offset();
      pointer.end = pointer.begin + buffer->bytes();
      found.offset += pointer.begin;
    }
    found.buffer = std::move(buffer);
    RBC_ASSIGN_OR_RETURN(pointer.place, Place(std::move(found)));
    out_.pointers.push_back(pointer);
    return {};
  }

  const FunctionDeclaration& function_;
  const std::string_view frame_;
  std::span<const wire::ArrayRef> made_;
  const SessionData& data_;
  DevicePlaces* const places_;
  int64_t last_ = -1;
  CallBuffers out_;
};

}  // namespace

void CallBuffers::StoreArrays(std::string* text, size_t head) const {
  for (const auto& [position, where] : arrays) std::memcpy(text->data() + head + position, &where, sizeof where);
  for (const auto& [position, array] : made) types::StoreFrameArray(array, text->data() + head + position);
}

Expected<CallBuffers> FindCallBuffers(const FunctionDeclaration& function, std::string_view frame,
                                      const std::vector<wire::FrameBuffer>& buffers,
                                      std::span<const wire::ArrayRef> made, const SessionData& data,
                                      DevicePlaces* places) {
  RBC_ASSIGN_OR_RETURN(const auto type, types::Type::Parse(function.signature));
  RBC_ASSIGN_OR_RETURN(const auto layout, types::FrameLayout::Make(type));
  Finder finder(function, frame, made, data, places);
  for (const auto& buffer : buffers) RBC_RETURN_IF_ERROR(finder.Add(layout, buffer));
  return std::move(finder).Take();
}

}  // namespace rbc::server
