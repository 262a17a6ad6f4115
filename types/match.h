// Which of a function's signatures takes a call's arguments.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/expected.h"
#include "types/type.h"
#include "types/value.h"

namespace rbc::types {

// How badly a parameter takes an argument of a type: 0 is a perfect fit, nullopt is not at all.
std::optional<uint32_t> Penalty(const Type& parameter, const Type& argument);
// As above for the value's type, but a null pointer fits every pointer and string, an untyped buffer every pointer, and
// structs match member by member. Does not look at numbers: see CheckFits.
std::optional<uint32_t> Penalty(const Type& parameter, const Value& argument);

// The index of the signature with the lowest sum of penalties, the first one on a tie. Entries that are no functions or
// take another number of arguments never match. kNoMatch: none matches.
Expected<size_t> BestMatch(std::span<const Type> signatures, std::span<const Type> arguments);
// The same for values, and the values must fit the chosen parameters. kInvalidArgument: one does not; the message names
// the value, the parameter's number (from 1) and its range.
Expected<size_t> BestMatch(std::span<const Type> signatures, std::span<const Value> arguments);

// The same where the caller knows more than the value tells: types[i], where it is not null, is the type of
// arguments[i] (a NumPy int32 rather than any integer). REQUIRES: as many types as arguments.
Expected<size_t> BestMatch(std::span<const Type> signatures, std::span<const Value> arguments,
                           std::span<const Type* const> types);

// kInvalidArgument: the value is outside of the parameter's range. `index` counts from 0.
Status CheckFits(const Type& parameter, const Value& argument, size_t index);

// kInvalidArgument: the type is no function, or has another number of parameters than the function (`arity`).
Status CheckSignature(const Type& signature, std::optional<size_t> arity);

// The signatures of one function in the order of their declaration. Not thread-safe.
class SignatureList {
 public:
  // `arity` is the number of parameters of the function that is declared; unknown: anything goes.
  explicit SignatureList(std::optional<size_t> arity = std::nullopt) : arity_(arity) {}

  // Empty, or a warning that the signature was there already (it is then not added again). Errors as CheckSignature.
  Expected<std::string> Add(Type signature);
  std::span<const Type> types() const { return types_; }

 private:
  std::optional<size_t> arity_;
  std::vector<Type> types_;
};

}  // namespace rbc::types
