// A published name as bytes: magic, version, digest of the rest, the rest.
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cstring>

#include "base/serial.h"
#include "server/names/name_registry.h"

namespace rbc::server {
namespace {

constexpr std::string_view kMagic = "RBCNAME1";

Digest DigestOf(std::string_view body) { return Hasher().Add("rbc-name").Add(body).Finish(); }

Error Corrupt() { return {ErrorKind::kInternal, "the file of the published name is damaged"}; }

}  // namespace

std::string Serialize(const PublishedName& name) {
  Writer body;
  for (const auto* text : {&name.name_space, &name.name, &name.owner}) body.PutBytes(*text);
  body.Put(name.expires_ms);
  body.PutBytes(name.target);
  body.PutBytes(Bytes(name.handle));
  body.Put(name.options.opt_level);
  body.Put(static_cast<uint8_t>(name.options.debug));
  body.Put(static_cast<uint8_t>(name.options.allow_contract));
  body.Put(static_cast<uint8_t>(name.serial));
  body.Put(static_cast<uint32_t>(name.functions.size()));
  for (const auto& function : name.functions) {
    body.PutBytes(function.symbol);
    body.PutBytes(function.signature);
    body.Put(function.abi);
  }
  body.Put(name.function);
  body.Put(name.ir.size());
  body.Put(static_cast<uint8_t>(name.ir.compressed()));
  body.PutBytes(name.ir.bytes());
  std::string out(kMagic);
  out.append(Bytes(DigestOf(body.bytes())));
  return out + body.bytes();
}

Expected<PublishedName> ParsePublishedName(std::string_view bytes) {
  constexpr size_t kHead = kMagic.size() + sizeof(Digest);
  if (bytes.size() < kHead || bytes.substr(0, kMagic.size()) != kMagic) return Corrupt();
  const auto body = bytes.substr(kHead);
  if (Bytes(DigestOf(body)) != bytes.substr(kMagic.size(), sizeof(Digest))) return Corrupt();
  Reader in(body);
  PublishedName name;
  for (auto* text : {&name.name_space, &name.name, &name.owner}) *text = in.GetString();
  name.expires_ms = in.Get<int64_t>();
  name.target = in.GetString();
  const auto handle = in.GetBytes();
  if (handle.size() != name.handle.size()) return Corrupt();
  std::memcpy(name.handle.data(), handle.data(), handle.size());
  name.options.opt_level = in.Get<uint8_t>();
  name.options.debug = in.GetBool();
  name.options.allow_contract = in.GetBool();
  name.serial = in.GetBool();
  constexpr size_t kLeastFunction = 9;
  name.functions.resize(in.GetCount(kLeastFunction));
  for (auto& function : name.functions) {
    function.symbol = in.GetString();
    function.signature = in.GetString();
    function.abi = in.Get<Abi>();
  }
  name.function = in.Get<uint32_t>();
  const auto size = in.Get<uint64_t>();
  const bool compressed = in.GetBool();
  name.ir = PackedText::FromParts(in.GetString(), size, compressed);
  if (!in.AtEnd() || name.function >= name.functions.size()) return Corrupt();
  return name;
}

}  // namespace rbc::server
