// TLS to a farm.
// SPDX-License-Identifier: Apache-2.0
#include "client/src/tls.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <poll.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace rbc::client {
namespace {

// What the check of the farm's certificate found; filled by OpenSSL's callback.
struct Finding {
  int code = X509_V_OK;
  std::string names, issuer, not_before, not_after;
};

template <typename Print>
std::string Printed(Print print) {
  BIO* const memory = BIO_new(BIO_s_mem());
  if (memory == nullptr) return "";
  print(memory);
  char* bytes = nullptr;
  const long size = BIO_get_mem_data(memory, &bytes);
  std::string out(bytes, static_cast<size_t>(std::max(size, 0L)));
  BIO_free(memory);
  return out;
}

std::string NameOf(const X509_NAME* name) {
  return Printed([&](BIO* to) { X509_NAME_print_ex(to, name, 0, XN_FLAG_RFC2253 & ~ASN1_STRFLGS_ESC_MSB); });
}

std::string TimeOf(const ASN1_TIME* time) {
  return Printed([&](BIO* to) { ASN1_TIME_print(to, time); });
}

std::string AddressText(const ASN1_OCTET_STRING* bytes) {
  char text[INET6_ADDRSTRLEN] = "";
  const int family = ASN1_STRING_length(bytes) == 4 ? AF_INET : AF_INET6;
  if (family == AF_INET6 && ASN1_STRING_length(bytes) != 16) return "?";
  ::inet_ntop(family, ASN1_STRING_get0_data(bytes), text, sizeof text);
  return text;
}

// The hosts that a certificate is for: "a.example, 10.0.0.7".
std::string HostsOf(const X509* certificate) {
  auto* const names =
      static_cast<GENERAL_NAMES*>(X509_get_ext_d2i(certificate, NID_subject_alt_name, nullptr, nullptr));
  std::string out;
  for (int i = 0; i < sk_GENERAL_NAME_num(names); ++i) {
    const GENERAL_NAME* const name = sk_GENERAL_NAME_value(names, i);
    std::string host;
    if (name->type == GEN_DNS)
      host.assign(reinterpret_cast<const char*>(ASN1_STRING_get0_data(name->d.dNSName)),
                  static_cast<size_t>(ASN1_STRING_length(name->d.dNSName)));
    else if (name->type == GEN_IPADD)
      host = AddressText(name->d.iPAddress);
    if (!host.empty()) out += (out.empty() ? "" : ", ") + host;
  }
  GENERAL_NAMES_free(names);
  return out.empty() ? "no host" : out;
}

int NoteFinding(int good, X509_STORE_CTX* store) {
  if (good == 1) return 1;
  const auto* const ssl = static_cast<SSL*>(X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx()));
  auto* const finding = static_cast<Finding*>(SSL_get_app_data(ssl));
  const X509* const certificate = X509_STORE_CTX_get_current_cert(store);
  if (finding == nullptr || certificate == nullptr) return 0;
  finding->code = X509_STORE_CTX_get_error(store);
  finding->names = HostsOf(certificate);
  finding->issuer = NameOf(X509_get_issuer_name(certificate));
  finding->not_before = TimeOf(X509_get0_notBefore(certificate));
  finding->not_after = TimeOf(X509_get0_notAfter(certificate));
  return 0;
}

Error Untrusted(const Address& address, const std::string& why) {
  Error error(ErrorKind::kConnectionLost, fmt::format("the certificate of the farm at {} {}", address.text, why));
  error.role = "client";
  error.cause = kWrongCertificate;
  return error;
}

Error Explain(const Finding& finding, const Address& address, const TlsFiles& files) {
  switch (finding.code) {
    case X509_V_ERR_HOSTNAME_MISMATCH:
    case X509_V_ERR_IP_ADDRESS_MISMATCH:
      return Untrusted(address, fmt::format("is for {} and not for {}; connect by a name that it is for, or ask the "
                                            "operator for a certificate with this one",
                                            finding.names, address.host));
    case X509_V_ERR_CERT_HAS_EXPIRED:
      return Untrusted(address,
                       fmt::format("expired on {}; ask the operator to renew it, and check this machine's clock",
                                   finding.not_after));
    case X509_V_ERR_CERT_NOT_YET_VALID:
      return Untrusted(address, fmt::format("is valid from {} on; check this machine's clock, or tell the operator",
                                            finding.not_before));
    case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
    case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
      return Untrusted(
          address,
          fmt::format(
              "is signed by {}, which {} does not trust; ask the operator for the CA's certificate and name its "
              "file: ca = \"FILE\" of this farm in rbc/client.toml, rbc --ca FILE, or RemoteJIT(tls=\"FILE\")",
              finding.issuer, files.ca.empty() ? "this machine" : files.ca));
    default:
      return Untrusted(
          address, fmt::format("is not accepted: {}; tell the operator", X509_verify_cert_error_string(finding.code)));
  }
}

Error BadFile(std::string_view what, const std::string& path, std::string_view why) {
  Error error(ErrorKind::kInvalidArgument, fmt::format("the {} '{}' {}", what, path, why));
  error.role = "client";
  return error;
}

Status CheckReadable(std::string_view what, const std::string& path) {
  if (::access(path.c_str(), R_OK) == 0) return {};
  return BadFile(what, path, fmt::format("cannot be read: {}; give another file", std::strerror(errno)));
}

Status UseCa(ssl_ctx_st* context, const std::string& path) {
  if (path.empty()) {
    SSL_CTX_set_default_verify_paths(context);
    return {};
  }
  RBC_RETURN_IF_ERROR(CheckReadable("CA file", path));
  if (SSL_CTX_load_verify_file(context, path.c_str()) == 1) return {};
  return BadFile("CA file", path, fmt::format("holds no certificates: {}; give them in PEM", TakeTlsComplaint()));
}

Status UseCertificate(ssl_ctx_st* context, const TlsFiles& files) {
  if (files.certificate.empty() && files.key.empty()) return {};
  const std::string& key = files.key.empty() ? files.certificate : files.key;  // one file may hold both
  RBC_RETURN_IF_ERROR(CheckReadable("client certificate", files.certificate));
  if (SSL_CTX_use_certificate_chain_file(context, files.certificate.c_str()) != 1)
    return BadFile("client certificate", files.certificate,
                   fmt::format("is none: {}; give it in PEM", TakeTlsComplaint()));
  RBC_RETURN_IF_ERROR(CheckReadable("client key", key));
  if (SSL_CTX_use_PrivateKey_file(context, key.c_str(), SSL_FILETYPE_PEM) != 1)
    return BadFile(
        "client key", key,
        fmt::format("does not fit: {}; give the certificate's key in PEM, without a password", TakeTlsComplaint()));
  return {};
}

// The certificate must be for this host, a name or a number.
void Expect(SSL* ssl, const std::string& host) {
  unsigned char number[sizeof(in6_addr)];
  if (::inet_pton(AF_INET, host.c_str(), number) == 1 || ::inet_pton(AF_INET6, host.c_str(), number) == 1) {
    X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), host.c_str());
    return;
  }
  SSL_set1_host(ssl, host.c_str());
  SSL_set_tlsext_host_name(ssl, host.c_str());
}

}  // namespace

std::string ExplainAlert(int alert) {
  switch (alert) {
    case SSL_AD_CERTIFICATE_REQUIRED:
      return "it asks for a client certificate; name yours: certificate and key of this farm in rbc/client.toml, or "
             "rbc "
             "--certificate FILE --key FILE";
    case SSL_AD_UNKNOWN_CA:
    case SSL_AD_BAD_CERTIFICATE:
    case SSL_AD_UNSUPPORTED_CERTIFICATE:
    case SSL_AD_CERTIFICATE_UNKNOWN:
    case SSL_AD_CERTIFICATE_REVOKED:
      return "it does not accept the client certificate; ask the operator for one";
    case SSL_AD_CERTIFICATE_EXPIRED:
      return "the client certificate has expired; ask the operator for a new one";
    case SSL_AD_PROTOCOL_VERSION:
      return "it does not speak this version of TLS; update the older of the two sides";
    default:
      return "";
  }
}

Expected<std::shared_ptr<const TlsClient>> TlsClient::Make(const TlsFiles& files) {
  TlsContextHandle context = NewTlsContext(false);
  if (context == nullptr) return Error(ErrorKind::kResourceExhausted, "this machine has no memory left for TLS");
  SSL_CTX_set_min_proto_version(context.get(), TLS1_2_VERSION);
  SSL_CTX_set_verify(context.get(), SSL_VERIFY_PEER, NoteFinding);
  RBC_RETURN_IF_ERROR(UseCa(context.get(), files.ca));
  RBC_RETURN_IF_ERROR(UseCertificate(context.get(), files));
  return std::shared_ptr<const TlsClient>(new TlsClient(std::move(context), files));
}

Error TlsClient::Failed(const TlsStream& stream, TlsStream::Result result, const Address& address) const {
  if (const std::string why = ExplainAlert(stream.alert()); !why.empty()) {
    Error error(ErrorKind::kConnectionLost, fmt::format("the farm at {} refuses this client: {}", address.text, why));
    error.role = "client";
    error.cause = kWrongCertificate;
    return error;
  }
  const std::string why = result == TlsStream::Result::kClosed ? "the other side ends it" : stream.failure();
  Error error(ErrorKind::kConnectionLost,
              fmt::format("there is no TLS with the farm at {}: {}; if it speaks plain text there, leave out tls://, "
                          "else ask its operator",
                          address.text, why));
  error.role = "client";
  error.retry_safe = true;
  return error;
}

Expected<std::unique_ptr<TlsStream>> TlsClient::Begin(int fd, const Address& address, const Deadline& deadline) const {
  auto stream = std::make_unique<TlsStream>(context_.get(), fd, false);
  Finding finding;
  SSL_set_app_data(stream->ssl(), &finding);
  Expect(stream->ssl(), address.host);
  for (;;) {
    const auto result = stream->Handshake();
    if (result == TlsStream::Result::kDone) break;
    if (finding.code != X509_V_OK) return Explain(finding, address, files_);
    if (result == TlsStream::Result::kClosed || result == TlsStream::Result::kFailed)
      return Failed(*stream, result, address);
    const int ms = deadline.RemainingMs();
    if (ms == 0) {
      Error error(ErrorKind::kDeadlineExceeded,
                  fmt::format("the farm at {} does not finish the TLS handshake within {} ms; check that it speaks TLS "
                              "there, or raise the time to connect",
                              address.text, deadline.GivenMs()));
      error.role = "client";
      error.retry_safe = true;
      return error;
    }
    pollfd wait{fd, static_cast<short>(result == TlsStream::Result::kWantsWrite ? POLLOUT : POLLIN), 0};
    ::poll(&wait, 1, ms);
  }
  SSL_set_app_data(stream->ssl(), nullptr);
  return stream;
}

}  // namespace rbc::client
