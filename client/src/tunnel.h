// A farm behind ssh: the system's ssh forwards a Unix socket of ours to the farm's.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/types.h>

#include <memory>
#include <string>

#include "base/expected.h"
#include "base/unique_fd.h"
#include "client/src/address.h"
#include "client/src/deadline.h"

namespace rbc::client {

// One ssh process, ended with this object. It runs `cat` on the far side: what comes back through it shows that the
// user is let in and the forwarding stands, and the process ends with its input, however this process ends.
// Keys and host names are ssh's own business; it never asks (BatchMode).
class Tunnel {
 public:
  // REQUIRES: address is kSsh. kConnectionLost with ssh's own words, kDeadlineExceeded.
  static Expected<std::unique_ptr<Tunnel>> Open(const Address& address, const Deadline& deadline);
  ~Tunnel();
  Tunnel(const Tunnel&) = delete;
  Tunnel& operator=(const Tunnel&) = delete;

  // The near end, to be dialed.
  const Address& near() const { return near_; }
  // False once ssh has ended. What it said is in Complaint().
  bool Alive();
  std::string Complaint() const;
  // In a forked child: forget the process and the directory, which are the parent's.
  void Abandon();

 private:
  Tunnel() = default;
  Status Start(const Address& address);
  Status WaitReady(const Address& address, const Deadline& deadline);
  Error Failed(const Address& address, std::string_view what) const;

  pid_t pid_ = -1;
  std::string directory_;
  Address near_;
  UniqueFd input_;   // to ssh's standard input
  UniqueFd output_;  // from its standard output
};

}  // namespace rbc::client
