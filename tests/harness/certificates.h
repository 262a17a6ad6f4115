// A certificate authority of a test's own, and certificates that it signs.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <string>
#include <vector>

namespace rbc::harness {

struct CertificateRequest {
  std::string name = "farm";                                    // common name
  std::vector<std::string> hosts = {"localhost", "127.0.0.1"};  // names and numbers
  int64_t from_days = -1, until_days = 30;                      // from now
};

// Paths of PEM files.
struct CertificateFiles {
  std::string certificate, key;
};

// Throws std::runtime_error where OpenSSL fails. Elliptic curves: made in a moment.
class CertificateAuthority {
 public:
  // Writes NAME.pem, what clients are to trust, into `folder`, and later all that it signs.
  CertificateAuthority(std::string folder, const std::string& name);
  ~CertificateAuthority();
  const std::string& path() const { return path_; }
  CertificateFiles Sign(const CertificateRequest& request) const;

 private:
  struct Pair;
  std::string folder_, path_;
  std::unique_ptr<Pair> pair_;
  mutable int made_ = 0;
};

}  // namespace rbc::harness
