// TLS to a farm: whom this client believes, what it shows of itself, and what to do when that does not work out.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <string>

#include "base/expected.h"
#include "client/src/address.h"
#include "client/src/deadline.h"
#include "thrift/tls_stream.h"

namespace rbc::client {

// What an error's `cause` says where a certificate is the matter.
inline constexpr char kWrongCertificate[] = "wrong certificate";

// The rules for one farm's connections. Immutable, thread-safe.
class TlsClient {
 public:
  // kInvalidArgument: a file is missing or is not what it should be.
  static Expected<std::shared_ptr<const TlsClient>> Make(const TlsFiles& files);

  // TLS on a socket that is connected to `address`, whose host the certificate must name. kConnectionLost, with the
  // cause kWrongCertificate where the farm's or our own is not accepted; kDeadlineExceeded.
  Expected<std::unique_ptr<TlsStream>> Begin(int fd, const Address& address, const Deadline& deadline) const;

 private:
  TlsClient(TlsContextHandle context, TlsFiles files) : context_(std::move(context)), files_(std::move(files)) {}
  Error Failed(const TlsStream& stream, TlsStream::Result result, const Address& address) const;

  const TlsContextHandle context_;
  const TlsFiles files_;
};

// What the farm's refusal of our side means, in a sentence: `alert` as TlsStream has it. "": nothing that is known.
std::string ExplainAlert(int alert);

}  // namespace rbc::client
