// The farm's side of TLS: its certificate, and whom it lets in.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>

#include "base/expected.h"
#include "server/config/config.h"
#include "thrift/tls_stream.h"

namespace rbc::server {

using TlsContext = std::shared_ptr<ssl_ctx_st>;

// From the files that [tls] names. kInvalidArgument: one is missing, unreadable or does not fit the others; the message
// names key and file.
Expected<TlsContext> ReadTlsContext(const FarmConfig& config);

}  // namespace rbc::server
