// Template expansion: replace the first placeholder by each of its choices, then go on with each result.
// SPDX-License-Identifier: Apache-2.0
#include "types/template.h"

#include <algorithm>
#include <optional>

#include "types/spelling.h"

namespace rbc::types {
namespace {

using Choices = std::map<std::string, std::vector<Type>, std::less<>>;

Error Invalid(std::string message) { return Error(ErrorKind::kInvalidArgument, std::move(message)); }

std::vector<Type> Children(const Type& type) {
  switch (type.kind()) {
    case Kind::kPointer:
    case Kind::kArray:
      return {type.element()};
    case Kind::kStruct:
      return {type.members().begin(), type.members().end()};
    case Kind::kFunction: {
      std::vector<Type> children = {type.result()};
      children.insert(children.end(), type.parameters().begin(), type.parameters().end());
      return children;
    }
    default:
      return {};
  }
}

// The placeholders of a type in the order of its text.
void CollectNames(const Type& type, const Choices& choices, std::vector<std::string>& names) {
  if (type.is(Kind::kUnknown)) {
    if (choices.contains(type.atom()) && std::find(names.begin(), names.end(), type.atom()) == names.end()) {
      names.push_back(type.atom());
    }
    return;
  }
  for (const Type& child : Children(type)) CollectNames(child, choices, names);
}

std::optional<std::string> FirstName(const Type& type, const Choices& choices) {
  std::vector<std::string> names;
  CollectNames(type, choices, names);
  return names.empty() ? std::nullopt : std::optional(names.front());
}

Error VoidChoice(std::string_view name) {
  return Invalid("template `" + std::string(name) + "` stands for void where a value is needed; give it another type");
}

Expected<Type> Substitute(const Type& type, std::string_view name, const Type& choice);

Expected<std::vector<Type>> SubstituteAll(std::span<const Type> types, std::string_view name, const Type& choice) {
  std::vector<Type> out;
  for (const Type& type : types) {
    RBC_ASSIGN_OR_RETURN(Type replaced, Substitute(type, name, choice));
    if (replaced.is(Kind::kVoid)) return VoidChoice(name);
    out.push_back(std::move(replaced));
  }
  return out;
}

Expected<Type> Rebuild(const Type& type, std::string_view name, const Type& choice) {
  if (type.is(Kind::kStruct)) {
    RBC_ASSIGN_OR_RETURN(std::vector<Type> members, SubstituteAll(type.members(), name, choice));
    return Type::Struct(std::move(members));
  }
  if (type.is(Kind::kFunction)) {
    RBC_ASSIGN_OR_RETURN(Type result, Substitute(type.result(), name, choice));
    RBC_ASSIGN_OR_RETURN(std::vector<Type> parameters, SubstituteAll(type.parameters(), name, choice));
    return Type::Function(result.WithName({}), std::move(parameters));
  }
  RBC_ASSIGN_OR_RETURN(Type element, Substitute(type.element(), name, choice));
  if (type.is(Kind::kPointer)) return Type::Pointer(element.WithName({}));
  if (element.is(Kind::kVoid)) return VoidChoice(name);
  return Type::Array(element.WithName({}), type.rank(), type.contiguous());
}

// The type with every `name` in it replaced; C-style names stay.
Expected<Type> Substitute(const Type& type, std::string_view name, const Type& choice) {
  if (type.is(Kind::kUnknown)) return type.atom() == name ? choice.WithName(type.name()) : type;
  if (type.depth() == 0) return type;
  RBC_ASSIGN_OR_RETURN(const Type rebuilt, Rebuild(type, name, choice));
  if (rebuilt.depth() > kMaxTypeDepth || rebuilt.size() > kMaxTypeText) {
    return Invalid("template `" + std::string(name) + "` makes a type that nests deeper than the limit of " +
                   std::to_string(kMaxTypeDepth) + " or has more than " + std::to_string(kMaxTypeText) +
                   " parts; use a smaller type");
  }
  return rebuilt.WithName(type.name());
}

Expected<Choices> ParseChoices(const Templates& templates, const DataModel& model) {
  Choices choices;
  for (const auto& [name, texts] : templates) {
    RBC_ASSIGN_OR_RETURN(const Type placeholder, Type::Parse(name, model));
    if (!placeholder.is(Kind::kUnknown) || placeholder.atom() != name || !placeholder.name().empty()) {
      return Invalid("template name `" + name + "` already spells the type `" + placeholder.ToString() +
                     "`; use a name that is no type");
    }
    if (texts.empty()) return Invalid("template `" + name + "` has no types to choose from; give it at least one");
    for (const std::string& text : texts) {
      RBC_ASSIGN_OR_RETURN(Type choice, Type::Parse(text, model));
      choices[name].push_back(std::move(choice));
    }
  }
  return choices;
}

// Walks what `name` may stand for; `path` is how it was reached.
Status RefuseCycles(const std::string& name, const Choices& choices, std::vector<std::string>& path,
                    std::vector<std::string>& done) {
  if (std::find(done.begin(), done.end(), name) != done.end()) return {};
  const auto seen = std::find(path.begin(), path.end(), name);
  if (seen != path.end()) {
    std::string chain;
    for (auto it = seen; it != path.end(); ++it) chain += *it + " -> ";
    return Invalid("template `" + name + "` leads to itself: " + chain + name + "; break the cycle");
  }
  if (path.size() >= kMaxTypeDepth) {
    return Invalid("template `" + path.front() + "` leads through more than " + std::to_string(kMaxTypeDepth) +
                   " others; use fewer");
  }
  path.push_back(name);
  std::vector<std::string> names;
  for (const Type& choice : choices.at(name)) CollectNames(choice, choices, names);
  for (const std::string& next : names) RBC_RETURN_IF_ERROR(RefuseCycles(next, choices, path, done));
  path.pop_back();
  done.push_back(name);
  return {};
}

// Branches on each placeholder when it is first met; from then on it stands for that choice.
class Expander {
 public:
  explicit Expander(const Choices& choices) : choices_(choices) {}

  Status Expand(const Type& type) {
    const std::optional<std::string> name = FirstName(type, choices_);
    if (!name) return Add(type);
    if (const auto bound = bound_.find(*name); bound != bound_.end()) return ExpandWith(type, *name, bound->second);
    for (const Type& choice : choices_.at(*name)) {
      bound_[*name] = choice;
      RBC_RETURN_IF_ERROR(ExpandWith(type, *name, choice));
    }
    bound_.erase(*name);
    return {};
  }
  std::vector<Type> Take() { return std::move(out_); }

 private:
  Status ExpandWith(const Type& type, const std::string& name, Type choice) {
    RBC_ASSIGN_OR_RETURN(const Type next, Substitute(type, name, choice));
    return Expand(next);
  }
  Status Add(const Type& type) {
    if (out_.size() == kMaxExpansions) {
      return Invalid("a template expands to more than the limit of " + std::to_string(kMaxExpansions) +
                     " signatures; give fewer types");
    }
    out_.push_back(type);
    return {};
  }

  const Choices& choices_;
  std::map<std::string, Type> bound_;
  std::vector<Type> out_;
};

}  // namespace

Expected<std::vector<Type>> ExpandTemplates(const Type& signature, const Templates& templates, const DataModel& model) {
  RBC_ASSIGN_OR_RETURN(const Choices choices, ParseChoices(templates, model));
  std::vector<std::string> names, path, done;
  CollectNames(signature, choices, names);
  for (const std::string& name : names) RBC_RETURN_IF_ERROR(RefuseCycles(name, choices, path, done));
  Expander expander(choices);
  RBC_RETURN_IF_ERROR(expander.Expand(signature));
  return expander.Take();
}

Expected<std::vector<Type>> ExpandTemplates(std::string_view signature, const Templates& templates,
                                            const DataModel& model) {
  RBC_ASSIGN_OR_RETURN(const Type type, Type::Parse(signature, model));
  return ExpandTemplates(type, templates, model);
}

}  // namespace rbc::types
