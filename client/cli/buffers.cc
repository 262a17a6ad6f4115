// `rbc buffers`: the arrays that stay on the farm, by session, beside what is allowed.
// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <cstdio>
#include <iterator>
#include <nlohmann/json.hpp>

#include "client/cli/cli.h"

namespace rbc::cli {
namespace {

using Json = nlohmann::ordered_json;

// 1536 as "1.5 KiB".
std::string Size(double bytes) {
  constexpr const char* kUnits[] = {"KiB", "MiB", "GiB", "TiB", "PiB"};
  if (bytes < 1024) return fmt::format("{:.0f} B", bytes);
  size_t unit = 0;
  for (bytes /= 1024; bytes >= 1024 && unit + 1 < std::size(kUnits); ++unit) bytes /= 1024;
  return fmt::format("{:.1f} {}", bytes, kUnits[unit]);
}

// Of what an older or newer farm says: absent is nothing.
double Number(const Json& object, const char* key) {
  const auto at = object.find(key);
  return at != object.end() && at->is_number() ? at->get<double>() : 0;
}
std::string Id(const Json& object) { return object.value("id", Json(0)).dump(); }
std::string Text(const Json& object, const char* key) {
  const auto at = object.find(key);
  return at != object.end() && at->is_string() ? at->get<std::string>() : "";
}
// Others chose it: nothing in it moves the terminal's cursor.
std::string Shown(const Json& object, const char* key) {
  std::string out = Text(object, key);
  for (char& c : out)
    if (static_cast<unsigned char>(c) < ' ' || c == 0x7f) c = '?';
  return out;
}
const Json& List(const Json& object, const char* key) {
  static const Json kNothing = Json::array();
  const auto at = object.find(key);
  return at != object.end() && at->is_array() ? *at : kNothing;
}

std::string Type(const Json& array) {
  std::string out = Text(array, "dtype") + "[";
  for (const Json& extent : List(array, "shape")) out += (out.back() == '[' ? "" : ", ") + extent.dump();
  return out + "]";
}

void PrintArray(const Json& array) {
  const std::string name = Shown(array, "name");
  fmt::print("  {:<20} {:<28} {:>10}  {}\n", name.empty() ? "#" + Id(array) : name, Type(array),
             Size(Number(array, "bytes")), Text(array, "target"));
}

void PrintSession(const Json& session, const Json& limits) {
  const double count = Number(session, "buffers");
  fmt::print("session {} of {}, {}: {:.0f} of {:.0f} buffers, {} of {}\n", Id(session), Shown(session, "domain"),
             Shown(session, "client"), count, Number(limits, "max_buffers"), Size(Number(session, "data_bytes")),
             Size(Number(limits, "session_bytes")));
  const Json& arrays = List(session, "arrays");
  for (const Json& array : arrays) PrintArray(array);
  if (const double left = count - static_cast<double>(arrays.size()); left > 0)
    fmt::print("  and {:.0f} smaller ones\n", left);
}

}  // namespace

Result<std::string> BuffersJson(const std::string& status) {
  const Json all = Json::parse(status, nullptr, false);
  if (!all.is_object() || !all.contains("data"))
    return Error(ErrorKind::kProtocolMismatch,
                 "the farm's status does not tell of arrays; update the older of the two sides");
  Json out = {{"data", all["data"]}, {"sessions", Json::array()}};
  for (const Json& session : List(all, "sessions"))
    if (Number(session, "buffers") > 0)
      out["sessions"].push_back({{"id", session.value("id", Json())},
                                 {"domain", Text(session, "domain")},
                                 {"client", Text(session, "client")},
                                 {"buffers", session.value("buffers", Json())},
                                 {"data_bytes", session.value("data_bytes", Json())},
                                 {"arrays", List(session, "arrays")}});
  return out.dump(2);
}

void PrintBuffers(const std::string& buffers) {
  const Json all = Json::parse(buffers);
  const Json& data = all["data"];
  for (const Json& session : List(all, "sessions")) PrintSession(session, data);
  fmt::print("all: {:.0f} buffers, {} of {}; freed and kept for now: {}\n", Number(data, "buffers"),
             Size(Number(data, "bytes")), Size(Number(data, "max_bytes")), Size(Number(data, "spare_bytes")));
}

}  // namespace rbc::cli
