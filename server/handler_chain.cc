// Requests that run in order and hand their arrays on.
// SPDX-License-Identifier: Apache-2.0
#include "server/handler.h"

namespace rbc::server {

void Handler::chain(std::vector<wire::ChainOutcome>& /*reply*/, const wire::ChainRequest& /*request*/) {
  session();
  Throw(ErrorKind::kUnsupported, "this farm runs no chains");
}

}  // namespace rbc::server
