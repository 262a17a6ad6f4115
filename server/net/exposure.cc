// Which addresses may be listened on.
// SPDX-License-Identifier: Apache-2.0
#include "server/net/exposure.h"

#include <fmt/format.h>

#include "server/net/address.h"

namespace rbc::server {
namespace {

Error Refused(const std::string& address, std::string_view why) {
  return {ErrorKind::kInvalidArgument, fmt::format("{} is reachable from other machines, and {}", address, why)};
}

Status CheckPublic(const std::string& text, bool tls, const FarmConfig& config) {
  const bool tokens = !config.tokens_file.empty();
  // Not even with insecure = true: a token that was sent in plain text is everybody's.
  if (!tls && tokens)
    return Refused(text, fmt::format("tokens would reach it in plain text; listen on tls://{} instead", text));
  if (config.insecure) return {};
  if (!tls)
    return Refused(text,
                   fmt::format("nothing is encrypted or authenticated there; listen on tls://{} with tls.certificate, "
                               "tls.key and auth.tokens_file, on loopback or a Unix socket, or set insecure = true",
                               text));
  if (!tokens)
    return Refused(text,
                   "asks nobody for a token; set auth.tokens_file and make tokens with rbc-farm --new-token USER, or "
                   "set insecure = true");
  return {};
}

}  // namespace

Status CheckAddresses(const FarmConfig& config) {
  for (const auto& text : config.listen) {
    RBC_ASSIGN_OR_RETURN(const auto address, ParseAddress(text));
    if (address.tls && (config.tls_certificate.empty() || config.tls_key.empty()))
      return {ErrorKind::kInvalidArgument, fmt::format("{} wants tls.certificate and tls.key, and {} is not set", text,
                                                       config.tls_certificate.empty() ? "tls.certificate" : "tls.key")};
    if (!address.is_loopback()) RBC_RETURN_IF_ERROR(CheckPublic(text, address.tls, config));
  }
  return {};
}

}  // namespace rbc::server
