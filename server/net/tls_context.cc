// The farm's side of TLS.
// SPDX-License-Identifier: Apache-2.0
#include "server/net/tls_context.h"

#include <fmt/format.h>
#include <openssl/ssl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace rbc::server {
namespace {

Error Wrong(std::string_view key, const std::string& path, std::string_view why) {
  return {ErrorKind::kInvalidArgument, fmt::format("tls.{} = \"{}\": {}", key, path, why)};
}

Status CheckReadable(std::string_view key, const std::string& path) {
  if (access(path.c_str(), R_OK) == 0) return {};
  return Wrong(key, path, fmt::format("{}; give a PEM file that this user can read", std::strerror(errno)));
}

Status UseCertificate(ssl_ctx_st* context, const FarmConfig& config) {
  RBC_RETURN_IF_ERROR(CheckReadable("certificate", config.tls_certificate));
  if (SSL_CTX_use_certificate_chain_file(context, config.tls_certificate.c_str()) != 1)
    return Wrong("certificate", config.tls_certificate,
                 fmt::format("{}; give the farm's certificate in PEM, then those of its issuers", TakeTlsComplaint()));
  RBC_RETURN_IF_ERROR(CheckReadable("key", config.tls_key));
  // A key that does not fit the certificate is refused here too.
  if (SSL_CTX_use_PrivateKey_file(context, config.tls_key.c_str(), SSL_FILETYPE_PEM) != 1)
    return Wrong("key", config.tls_key,
                 fmt::format("{}; give the key of tls.certificate in PEM, without a password", TakeTlsComplaint()));
  return {};
}

// Clients must then have a certificate that one of these has signed.
Status UseClientCa(ssl_ctx_st* context, const std::string& path) {
  RBC_RETURN_IF_ERROR(CheckReadable("client_ca", path));
  STACK_OF(X509_NAME)* const names = SSL_load_client_CA_file(path.c_str());
  if (names == nullptr || SSL_CTX_load_verify_file(context, path.c_str()) != 1)
    return Wrong("client_ca", path, fmt::format("{}; give certificates in PEM", TakeTlsComplaint()));
  SSL_CTX_set_client_CA_list(context, names);  // takes them
  SSL_CTX_set_verify(context, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, nullptr);
  return {};
}

}  // namespace

Expected<TlsContext> ReadTlsContext(const FarmConfig& config) {
  TlsContext context(NewTlsContext(true));
  if (context == nullptr) return {ErrorKind::kUnavailable, "no memory for TLS"};
  const int least = config.tls_min_version == "1.2" ? TLS1_2_VERSION : TLS1_3_VERSION;
  if (SSL_CTX_set_min_proto_version(context.get(), least) != 1)
    return {ErrorKind::kUnavailable, fmt::format("this machine's OpenSSL has no TLS {}", config.tls_min_version)};
  RBC_RETURN_IF_ERROR(UseCertificate(context.get(), config));
  if (!config.tls_client_ca.empty()) RBC_RETURN_IF_ERROR(UseClientCa(context.get(), config.tls_client_ca));
  return context;
}

}  // namespace rbc::server
