// Penalties and the choice of a signature.
// SPDX-License-Identifier: Apache-2.0
#include "types/match.h"

#include <algorithm>
#include <limits>

#include "types/array.h"

namespace rbc::types {
namespace {

constexpr uint32_t kSignChange = 10;
constexpr uint32_t kKindChange = 1000;

bool IsInteger(Kind kind) { return kind == Kind::kInt || kind == Kind::kUint; }
bool HasWidth(Kind kind) {
  return IsInteger(kind) || kind == Kind::kFloat || kind == Kind::kComplex || kind == Kind::kChar;
}

struct Scalar {
  Kind kind;
  uint32_t bits;
};

std::optional<uint32_t> ScalarPenalty(Scalar to, Scalar from) {
  if (to.kind == from.kind && HasWidth(to.kind)) return from.bits > to.bits ? from.bits - to.bits : 0;
  if (IsInteger(to.kind) && IsInteger(from.kind)) return kSignChange;
  if (to.kind == Kind::kFloat && IsInteger(from.kind)) return kKindChange;
  if (to.kind == Kind::kComplex && (from.kind == Kind::kFloat || IsInteger(from.kind))) return kKindChange;
  return std::nullopt;
}

// TypeOf() of the numbers that most calls have, without making a Type.
std::optional<Scalar> CommonScalar(const Value& value) {
  if (value.As<double>() != nullptr) return Scalar{Kind::kFloat, 64};
  if (value.As<int64_t>() != nullptr) return Scalar{Kind::kInt, 64};
  if (value.As<std::complex<double>>() != nullptr) return Scalar{Kind::kComplex, 128};
  return std::nullopt;
}

// Of a parameter that is an array: element and dimensions are the very same, and one that wants its elements side by
// side gets them so.
std::optional<uint32_t> ArrayPenalty(const Type& parameter, const Buffer& buffer) {
  const size_t rank = buffer.shape.empty() ? 1 : buffer.shape.size();
  if (rank != parameter.rank() || !(buffer.element == parameter.element())) return std::nullopt;
  const Expected<uint64_t> size = SizeOf(buffer.element);
  if (!size) return std::nullopt;
  const bool fits = !parameter.contiguous() || IsContiguous(buffer, static_cast<uint32_t>(*size));
  return fits ? std::optional<uint32_t>(0) : std::nullopt;
}

// Memory with gaps is told to be so when it is packed; until then an array parameter takes it rather.
std::optional<uint32_t> PointerPenalty(const Type& parameter, const Buffer& buffer) {
  const Type& wanted = parameter.element();
  const bool any = buffer.element.is(Kind::kVoid) || buffer.fits_any_pointer;
  if (!any && !(buffer.element == wanted)) return std::nullopt;
  const Expected<uint64_t> size = SizeOf(buffer.element);
  return size && !IsContiguous(buffer, static_cast<uint32_t>(*size)) ? 1 : 0;
}

Error NoMatch(const std::string& arguments) {
  return Error(ErrorKind::kNoMatch, "could not find matching function to given argument types: `" + arguments + "`");
}

// An argument whose type the caller knows, or not.
struct TypedValue {
  const Value* value;
  const Type* type;
};

std::optional<uint32_t> Penalty(const Type& parameter, const TypedValue& argument) {
  return argument.type != nullptr ? types::Penalty(parameter, *argument.type)
                                  : types::Penalty(parameter, *argument.value);
}

Expected<size_t> IfFits(std::span<const Type> signatures, std::span<const Value> arguments, size_t index) {
  const std::span<const Type> parameters = signatures[index].parameters();
  for (size_t i = 0; i < arguments.size(); ++i) RBC_RETURN_IF_ERROR(CheckFits(parameters[i], arguments[i], i));
  return index;
}

template <typename Argument>
std::optional<uint32_t> SumOfPenalties(std::span<const Type> parameters, std::span<const Argument> arguments) {
  if (parameters.size() != arguments.size()) return std::nullopt;
  uint64_t sum = 0;
  for (size_t i = 0; i < parameters.size(); ++i) {
    const std::optional<uint32_t> penalty = Penalty(parameters[i], arguments[i]);
    if (!penalty) return std::nullopt;
    sum += *penalty;
  }
  return static_cast<uint32_t>(std::min<uint64_t>(sum, std::numeric_limits<uint32_t>::max()));
}

template <typename Argument>
std::optional<size_t> Best(std::span<const Type> signatures, std::span<const Argument> arguments) {
  std::optional<size_t> best;
  uint32_t lowest = 0;
  for (size_t i = 0; i < signatures.size(); ++i) {
    if (!signatures[i].is(Kind::kFunction)) continue;
    const std::optional<uint32_t> sum = SumOfPenalties(signatures[i].parameters(), arguments);
    if (!sum || (best && *sum >= lowest)) continue;
    best = i;
    lowest = *sum;
  }
  return best;
}

}  // namespace

std::optional<uint32_t> Penalty(const Type& parameter, const Type& argument) {
  const Scalar from{argument.kind(), argument.bits()};
  if (const std::optional<uint32_t> penalty = ScalarPenalty({parameter.kind(), parameter.bits()}, from)) return penalty;
  if (parameter == argument) return 0;
  // Any strides are also those of elements side by side.
  const bool arrays = parameter.is(Kind::kArray) && argument.is(Kind::kArray) && !parameter.contiguous();
  const bool fits = arrays && parameter.rank() == argument.rank() && parameter.element() == argument.element();
  return fits ? std::optional<uint32_t>(0) : std::nullopt;
}

std::optional<uint32_t> Penalty(const Type& parameter, const Value& argument) {
  if (const std::optional<Scalar> from = CommonScalar(argument)) {
    return ScalarPenalty({parameter.kind(), parameter.bits()}, *from);
  }
  const bool is_pointer = parameter.is(Kind::kPointer);
  if (argument.As<NullPointer>() != nullptr) {
    return is_pointer || parameter.is(Kind::kString) ? std::optional<uint32_t>(0) : std::nullopt;
  }
  const Buffer* buffer = argument.As<Buffer>();
  if (buffer != nullptr && parameter.is(Kind::kArray)) return ArrayPenalty(parameter, *buffer);
  if (buffer != nullptr && is_pointer) return PointerPenalty(parameter, *buffer);
  const StructValue* members = argument.As<StructValue>();
  if (members != nullptr && parameter.is(Kind::kStruct)) {
    return SumOfPenalties(parameter.members(), std::span<const Value>(members->members));
  }
  return Penalty(parameter, TypeOf(argument));
}

Expected<size_t> BestMatch(std::span<const Type> signatures, std::span<const Type> arguments) {
  if (const std::optional<size_t> best = Best(signatures, arguments)) return *best;
  return NoMatch(JoinTypes(arguments));
}

Expected<size_t> BestMatch(std::span<const Type> signatures, std::span<const Value> arguments) {
  const std::optional<size_t> best = Best(signatures, arguments);
  if (!best) {
    std::vector<Type> types;
    for (const Value& argument : arguments) types.push_back(TypeOf(argument));
    return NoMatch(JoinTypes(types));
  }
  return IfFits(signatures, arguments, *best);
}

Expected<size_t> BestMatch(std::span<const Type> signatures, std::span<const Value> arguments,
                           std::span<const Type* const> types) {
  std::vector<TypedValue> typed;
  for (size_t i = 0; i < arguments.size(); ++i) typed.push_back({&arguments[i], types[i]});
  const std::optional<size_t> best = Best(signatures, std::span<const TypedValue>(typed));
  if (!best) {
    std::vector<Type> known;
    for (const TypedValue& t : typed) known.push_back(t.type != nullptr ? *t.type : TypeOf(*t.value));
    return NoMatch(JoinTypes(known));
  }
  return IfFits(signatures, arguments, *best);
}

Status CheckFits(const Type& parameter, const Value& argument, size_t index) {
  const bool exact = (parameter.bits() == 64 && parameter.is(Kind::kFloat) && argument.As<double>() != nullptr) ||
                     (parameter.bits() == 64 && parameter.is(Kind::kInt) && argument.As<int64_t>() != nullptr);
  if (exact) return {};
  if (!IsPlain(parameter)) return {};
  std::string scratch(SizeOf(parameter).value(), '\0');
  Status stored = StoreValue(argument, parameter, scratch.data());
  if (stored) return stored;
  return std::move(stored.error()).While("converting the argument for parameter " + std::to_string(index + 1));
}

Status CheckSignature(const Type& signature, std::optional<size_t> arity) {
  if (!signature.is(Kind::kFunction)) {
    return Error(ErrorKind::kInvalidArgument,
                 "expected signature with function kind, got `" + signature.ToString() + "`");
  }
  const size_t given = signature.parameters().size();
  if (!arity || *arity == given) return {};
  return Error(ErrorKind::kInvalidArgument, "mismatch of the number of arguments: function " + std::to_string(*arity) +
                                                ", signature " + std::to_string(given) + " (`" + signature.ToString() +
                                                "`)");
}

Expected<std::string> SignatureList::Add(Type signature) {
  RBC_RETURN_IF_ERROR(CheckSignature(signature, arity_));
  if (std::find(types_.begin(), types_.end(), signature) != types_.end()) {
    return "signature `" + signature.ToString() + "` is declared twice; the second declaration has no effect";
  }
  types_.push_back(std::move(signature));
  return std::string();
}

}  // namespace rbc::types
