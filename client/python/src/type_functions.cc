// The type system for rbc/typesystem.py: texts in, texts and tuples out.
// SPDX-License-Identifier: Apache-2.0
#include <nanobind/stl/map.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include "client/python/src/farm_object.h"
#include "client/python/src/python_error.h"
#include "types/frame.h"
#include "types/match.h"
#include "types/template.h"
#include "types/type.h"

namespace rbc::python {
namespace {

types::Type Parse(const std::string& text) { return OrThrow(types::Type::Parse(text)); }

const char* KindText(types::Kind kind) {
  static constexpr const char* kTexts[] = {"void",   "bool",    "char",   "int",      "uint",  "float",  "complex",
                                           "string", "pointer", "struct", "function", "array", "unknown"};
  return kTexts[static_cast<size_t>(kind)];
}

// (kind, bits, rank, name, children): children are element; members; result, then parameters.
nb::tuple Describe(const types::Type& type) {
  nb::list children;
  if (type.is(types::Kind::kPointer) || type.is(types::Kind::kArray)) children.append(Describe(type.element()));
  if (type.is(types::Kind::kStruct))
    for (const types::Type& member : type.members()) children.append(Describe(member));
  if (type.is(types::Kind::kFunction)) {
    children.append(Describe(type.result()));
    for (const types::Type& parameter : type.parameters()) children.append(Describe(parameter));
  }
  return nb::make_tuple(KindText(type.kind()), type.bits(), type.rank(), std::string(type.name()), children,
                        type.ToString());
}

std::vector<std::string> Expand(const std::string& signature,
                                const std::map<std::string, std::vector<std::string>>& templates) {
  const types::Templates given(templates.begin(), templates.end());
  std::vector<std::string> out;
  for (const types::Type& type : OrThrow(types::ExpandTemplates(signature, given))) out.push_back(type.ToDeclaration());
  return out;
}

std::optional<uint32_t> Penalty(const std::string& parameter, const std::string& argument) {
  return types::Penalty(Parse(parameter), Parse(argument));
}

}  // namespace

void DefineTypes(nb::module_& module) {
  module.def("describe_type", [](const std::string& text) { return Describe(Parse(text)); });
  module.def("normalize_type", [](const std::string& text) { return Parse(text).ToString(); });
  module.def("declare_type", [](const std::string& text) { return Parse(text).ToDeclaration(); });
  module.def("mangle_type", [](const std::string& text) { return Parse(text).Mangle(); });
  module.def("demangle_type", [](const std::string& text) { return OrThrow(types::Type::Demangle(text)).ToString(); });
  module.def("size_of_type", [](const std::string& text) { return OrThrow(types::SizeOf(Parse(text))); });
  module.def("expand_templates", &Expand);
  module.def("penalty", &Penalty);
  module.def("match_types", [](const std::vector<std::string>& signatures, const std::vector<std::string>& arguments) {
    std::vector<types::Type> candidates, given;
    for (const std::string& s : signatures) candidates.push_back(Parse(s));
    for (const std::string& a : arguments) given.push_back(Parse(a));
    return OrThrow(types::BestMatch(candidates, given));
  });
  module.def(
      "check_signature",
      [](const std::string& text, std::optional<size_t> arity) { OrThrow(types::CheckSignature(Parse(text), arity)); },
      nb::arg("text"), nb::arg("arity").none());
}

}  // namespace rbc::python
