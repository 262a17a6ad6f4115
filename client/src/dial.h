// Opens sockets to a farm, within a deadline.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "base/expected.h"
#include "base/unique_fd.h"
#include "client/src/address.h"
#include "client/src/deadline.h"

namespace rbc::client {

struct Dialed {
  UniqueFd fd;
  bool same_machine = false;  // the peer answers without a network in between
};

// kConnectionLost with what to do about it, kDeadlineExceeded. REQUIRES: address is not kSsh. Of a kTls address this is
// the socket alone.
Expected<Dialed> Dial(const Address& address, const Deadline& deadline);

}  // namespace rbc::client
