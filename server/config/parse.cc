// rbc-farm.toml to FarmConfig and back.
// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>
#include <toml++/toml.h>

#include <algorithm>
#include <charconv>
#include <fstream>
#include <sstream>

#include "server/config/config.h"

namespace rbc::server {
namespace {

Error At(const std::string& origin, const toml::source_position& at, std::string_view what) {
  return {ErrorKind::kInvalidArgument, fmt::format("{}:{}:{}: {}", origin, at.line, at.column, what)};
}

// "64 MiB", "1GiB", "4096"; false: not a size.
bool ParseSize(std::string_view text, uint64_t* out) {
  const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), *out);
  if (failure != std::errc{}) return false;
  std::string_view unit(end, static_cast<size_t>(text.data() + text.size() - end));
  while (!unit.empty() && unit.front() == ' ') unit.remove_prefix(1);
  constexpr std::pair<std::string_view, int> kUnits[] = {{"", 0},     {"B", 0},    {"KiB", 10},
                                                         {"MiB", 20}, {"GiB", 30}, {"TiB", 40}};
  for (const auto& [name, shift] : kUnits) {
    if (unit != name) continue;
    if (*out > (~uint64_t{0} >> shift)) return false;
    *out <<= shift;
    return true;
  }
  return false;
}

std::string PrintSize(uint64_t bytes) {
  constexpr std::pair<std::string_view, int> kUnits[] = {{"GiB", 30}, {"MiB", 20}, {"KiB", 10}};
  for (const auto& [name, shift] : kUnits)
    if (bytes != 0 && bytes % (uint64_t{1} << shift) == 0) return fmt::format("\"{} {}\"", bytes >> shift, name);
  return fmt::format("{}", bytes);
}

std::string Bound(const NumberKey& key, uint64_t value) {
  return key.unit == NumberKey::kBytes ? PrintSize(value) : fmt::format("{}", value);
}

// Sets one key from its node. Each overload returns what is wrong, or "".
std::string Set(FarmConfig* config, const NumberKey& key, const toml::node& node) {
  uint64_t value = 0;
  if (const auto number = node.value_exact<int64_t>()) {
    if (*number < 0) return fmt::format("{} is negative", *number);
    value = static_cast<uint64_t>(*number);
  } else if (const auto text = node.value_exact<std::string>(); text && key.unit == NumberKey::kBytes) {
    if (!ParseSize(*text, &value)) return fmt::format("\"{}\" is no size; write bytes or \"64 MiB\"", *text);
  } else {
    return key.unit == NumberKey::kBytes ? "wants a whole number of bytes or \"64 MiB\"" : "wants a whole number";
  }
  if (value < key.least || value > key.most)
    return fmt::format("{} is out of range, {} to {}", value, Bound(key, key.least), Bound(key, key.most));
  config->*key.member = value;
  return "";
}

std::string Set(FarmConfig* config, const FlagKey& key, const toml::node& node) {
  const auto flag = node.value_exact<bool>();
  if (!flag) return "wants true or false";
  config->*key.member = *flag;
  return "";
}

std::string Set(FarmConfig* config, const TextKey& key, const toml::node& node) {
  const auto text = node.value_exact<std::string>();
  if (!text) return "wants a string";
  if (!key.choices.empty() && std::find(key.choices.begin(), key.choices.end(), *text) == key.choices.end())
    return fmt::format("\"{}\" is none of {}", *text, fmt::join(key.choices, ", "));
  config->*key.member = *text;
  return "";
}

std::string Set(FarmConfig* config, const FractionKey& key, const toml::node& node) {
  const auto number = node.value<double>();
  if (!number || !(*number > 0) || *number > 1) return "wants a number above 0 and at most 1";
  config->*key.member = *number;
  return "";
}

std::string Set(FarmConfig* config, const TextListKey& key, const toml::node& node) {
  const auto* list = node.as_array();
  if (list == nullptr) return "wants a list of strings";
  std::vector<std::string> texts;
  for (const auto& element : *list) {
    const auto text = element.value_exact<std::string>();
    if (!text) return "wants a list of strings";
    texts.push_back(*text);
  }
  config->*key.member = std::move(texts);
  return "";
}

const ConfigKey* FindKey(std::string_view section, std::string_view name) {
  for (const auto& key : ConfigKeys())
    if (key.section == section && key.name == name) return &key;
  return nullptr;
}

bool IsSection(std::string_view name) {
  const auto& keys = ConfigKeys();
  return std::any_of(keys.begin(), keys.end(), [&](const ConfigKey& key) { return key.section == name; });
}

Status SetSection(FarmConfig* config, std::string_view section, const toml::table& table, const std::string& origin) {
  for (const auto& [name, node] : table) {
    const auto* key = FindKey(section, name.str());
    if (key == nullptr)
      return At(origin, name.source().begin, fmt::format("unknown key \"{}\" in [{}]", name.str(), section));
    const auto wrong = std::visit([&](const auto& value) { return Set(config, value, node); }, key->value);
    if (!wrong.empty()) return At(origin, node.source().begin, fmt::format("{}.{}: {}", section, name.str(), wrong));
  }
  return {};
}

constexpr std::string_view kTargets = "targets";

// [targets.NAME]
Status SetTargets(FarmConfig* config, const toml::table& targets, const std::string& origin) {
  for (const auto& [name, node] : targets) {
    const std::string section = fmt::format("{}.{}", kTargets, name.str());
    if (!IsSection(section)) return At(origin, name.source().begin, fmt::format("unknown section \"{}\"", section));
    if (!node.is_table()) return At(origin, node.source().begin, fmt::format("[{}] wants to be a section", section));
    RBC_RETURN_IF_ERROR(SetSection(config, section, *node.as_table(), origin));
  }
  return {};
}

std::string Quote(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) {
      out += fmt::format("\\u{:04x}", static_cast<unsigned>(c));
    } else {
      out += c;
    }
  }
  return out + "\"";
}

std::string Print(const FarmConfig& c, const NumberKey& key) { return Bound(key, c.*key.member); }
std::string Print(const FarmConfig& c, const FlagKey& key) { return c.*key.member ? "true" : "false"; }
std::string Print(const FarmConfig& c, const TextKey& key) { return Quote(c.*key.member); }
std::string Print(const FarmConfig& c, const FractionKey& key) { return fmt::format("{:.3g}", c.*key.member); }
std::string Print(const FarmConfig& c, const TextListKey& key) {
  std::vector<std::string> quoted;
  for (const auto& text : c.*key.member) quoted.push_back(Quote(text));
  return fmt::format("[{}]", fmt::join(quoted, ", "));
}

}  // namespace

Expected<FarmConfig> ParseConfig(std::string_view text, const std::string& origin) {
  const toml::parse_result parsed = toml::parse(text, std::string_view(origin));
  if (!parsed) return At(origin, parsed.error().source().begin, parsed.error().description());
  FarmConfig config;
  for (const auto& [name, node] : parsed.table()) {
    if (name.str() == kTargets && node.is_table()) {
      RBC_RETURN_IF_ERROR(SetTargets(&config, *node.as_table(), origin));
      continue;
    }
    if (!IsSection(name.str()))
      return At(origin, name.source().begin, fmt::format("unknown section \"{}\"", name.str()));
    if (!node.is_table()) return At(origin, node.source().begin, fmt::format("[{}] wants to be a section", name.str()));
    RBC_RETURN_IF_ERROR(SetSection(&config, name.str(), *node.as_table(), origin));
  }
  return config;
}

Expected<FarmConfig> ReadConfig(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  if (!in) return {ErrorKind::kInvalidArgument, fmt::format("cannot read the configuration file {}", path)};
  std::ostringstream text;
  text << in.rdbuf();
  return ParseConfig(text.str(), path);
}

std::string PrintConfig(const FarmConfig& config) {
  std::string out = "# Configuration of rbc-farm. Every key is shown; docs/configuration.md explains them.\n";
  std::string_view section;
  for (const auto& key : ConfigKeys()) {
    if (key.section != section) out += fmt::format("\n[{}]\n", section = key.section);
    const auto value = std::visit([&](const auto& v) { return Print(config, v); }, key.value);
    out += fmt::format("# {}\n{} = {}\n", key.doc, key.name, value);
  }
  return out;
}

}  // namespace rbc::server
