// Names of functions in text IR, and which of them is meant.
// SPDX-License-Identifier: Apache-2.0
#include "client/src/symbols.h"

#include <cxxabi.h>
#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <memory>

#include "client/src/bitcode_symbols.h"

namespace rbc::client {
namespace {

int HexDigit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

// "a\22b" as LLVM writes odd names: two hex digits behind a backslash.
std::string Unescape(std::string_view text) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\\' && i + 2 < text.size() && HexDigit(text[i + 1]) >= 0 && HexDigit(text[i + 2]) >= 0) {
      out.push_back(static_cast<char>(HexDigit(text[i + 1]) * 16 + HexDigit(text[i + 2])));
      i += 2;
    } else {
      out.push_back(text[i]);
    }
  }
  return out;
}

bool IsNameChar(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '$' ||
         c == '.' || c == '_';
}

// The name behind the '@' of "define ... @name(" or @"name"; or "@name ="; empty if there is none.
std::string DefinedName(std::string_view line) {
  for (size_t i = 0; i < line.size(); ++i) {
    if (line[i] == '"') {  // of a type; it may hold anything
      i = line.find('"', i + 1);
      if (i == std::string_view::npos) return "";
    } else if (line[i] == '@') {
      std::string_view rest = line.substr(i + 1);
      if (rest.starts_with('"')) return Unescape(rest.substr(1, rest.find('"', 1) - 1));
      return std::string(rest.substr(0, std::find_if_not(rest.begin(), rest.end(), IsNameChar) - rest.begin()));
    }
  }
  return "";
}

bool HasWord(std::string_view line, std::string_view word) {
  const size_t at = line.find(word);
  return at != std::string_view::npos && at < line.find('@');
}

// Of one that others can name.
bool IsDefinition(std::string_view line) {
  return line.starts_with("define ") && !HasWord(line, " internal ") && !HasWord(line, " private ");
}

// "@name = ... alias double (double), ptr @other"
bool IsAlias(std::string_view line) {
  const size_t at = line.starts_with('@') ? line.find(" alias ") : std::string_view::npos;
  if (at == std::string_view::npos) return false;
  const std::string_view linkage = line.substr(0, at + 1), type = line.substr(at, line.find(',', at) - at);
  return type.find('(') != std::string_view::npos && linkage.find(" internal ") == std::string_view::npos &&
         linkage.find(" private ") == std::string_view::npos;
}

std::vector<std::string> TextFunctions(std::string_view ir) {
  std::vector<std::string> out;
  while (!ir.empty()) {
    const size_t end = ir.find('\n');
    std::string_view line = ir.substr(0, end);
    ir.remove_prefix(end == std::string_view::npos ? ir.size() : end + 1);
    line.remove_prefix(std::min(line.find_first_not_of(" \t"), line.size()));
    if (!IsDefinition(line) && !IsAlias(line)) continue;
    std::string name = DefinedName(line);
    if (!name.empty()) out.push_back(std::move(name));
  }
  return out;
}

// "ns::add(double, double)" of an Itanium symbol; empty for anything else.
std::string DemangleCxx(const std::string& symbol) {
  if (!symbol.starts_with("_Z")) return "";
  int status = 0;
  const std::unique_ptr<char, decltype(&std::free)> text(abi::__cxa_demangle(symbol.c_str(), nullptr, nullptr, &status),
                                                         &std::free);
  return status == 0 && text ? text.get() : "";
}

// Where the parameter list of a demangled function starts.
size_t ParameterList(std::string_view text) {
  const size_t close = text.rfind(')');
  if (close == std::string_view::npos) return std::string_view::npos;
  int depth = 0;
  for (size_t i = close + 1; i-- > 0;) {
    if (text[i] == ')') ++depth;
    if (text[i] == '(' && --depth == 0) return i;
  }
  return std::string_view::npos;
}

// `name` may be "add", "ns::add" or the whole "ns::add(double, double)".
bool IsCxxNamed(std::string_view demangled, std::string_view name) {
  if (demangled == name) return true;
  const std::string_view path = demangled.substr(0, ParameterList(demangled));
  return path == name || (path.size() > name.size() + 2 && path.ends_with(name) &&
                          path.substr(0, path.size() - name.size()).ends_with("::"));
}

bool TakesTheSame(std::string_view demangled, const types::Type& signature) {
  const size_t start = ParameterList(demangled);
  if (start == std::string_view::npos) return false;
  const auto function = types::Type::Parse(fmt::format("void{}", demangled.substr(start)));
  return function && function->is(types::Kind::kFunction) &&
         std::equal(function->parameters().begin(), function->parameters().end(), signature.parameters().begin(),
                    signature.parameters().end());
}

struct Candidate {
  std::string symbol, demangled;
};

std::string Listed(const std::vector<Candidate>& candidates) {
  std::string out;
  for (const Candidate& c : candidates) out += fmt::format("{}'{}'", out.empty() ? "" : ", ", c.demangled);
  return out;
}

// The first names of the module, for an error.
std::string Offered(const std::vector<std::string>& defined) {
  constexpr size_t kMost = 8;
  std::string out = "it defines ";
  for (size_t i = 0; i < defined.size() && i < kMost; ++i) out += fmt::format("{}'{}'", i == 0 ? "" : ", ", defined[i]);
  if (defined.size() > kMost) out += fmt::format(" and {} more", defined.size() - kMost);
  return out;
}

}  // namespace

bool IsBitcode(std::string_view ir) { return ir.starts_with("BC\xc0\xde") || ir.starts_with("\xde\xc0\x17\x0b"); }

std::optional<std::vector<std::string>> DefinedFunctions(std::string_view ir) {
  if (IsBitcode(ir)) return BitcodeFunctions(ir);
  return TextFunctions(ir);
}

Expected<std::string> ResolveSymbol(const std::string& name, const types::Type& signature, bool alone,
                                    const std::optional<std::vector<std::string>>& defined, std::string_view ir) {
  const std::string mangled = name + signature.Mangle();
  if (!defined || defined->empty()) return alone && ir.find(mangled) == ir.npos ? name : mangled;
  const auto has = [&](const std::string& symbol) {
    return std::find(defined->begin(), defined->end(), symbol) != defined->end();
  };
  if (has(name) && (alone || !has(mangled))) return name;
  if (has(mangled)) return mangled;
  std::vector<Candidate> candidates;
  for (const std::string& symbol : *defined) {
    std::string demangled = DemangleCxx(symbol);
    if (!demangled.empty() && IsCxxNamed(demangled, name)) candidates.push_back({symbol, std::move(demangled)});
  }
  if (candidates.size() > 1) {
    std::vector<Candidate> same;
    for (const Candidate& c : candidates)
      if (TakesTheSame(c.demangled, signature)) same.push_back(c);
    if (same.size() == 1) candidates = std::move(same);
  }
  if (candidates.size() == 1) return candidates[0].symbol;
  if (candidates.size() > 1)
    return Error(ErrorKind::kUnknownName,
                 fmt::format("'{}' may be any of {}; name one of these", name, Listed(candidates)));
  return Error(ErrorKind::kUnknownName,
               fmt::format("the module has neither '{}' nor '{}' nor a C++ function of that name; {}", name, mangled,
                           Offered(*defined)));
}

}  // namespace rbc::client
