// A certificate authority of a test's own.
// SPDX-License-Identifier: Apache-2.0
#include "tests/harness/certificates.h"

#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include <cstdio>
#include <stdexcept>

namespace rbc::harness {
namespace {

template <auto kFree>
struct Free {
  template <typename T>
  void operator()(T* object) const {
    kFree(object);
  }
};
using Key = std::unique_ptr<EVP_PKEY, Free<EVP_PKEY_free>>;
using Certificate = std::unique_ptr<X509, Free<X509_free>>;
constexpr long kDay = 24 * 3600;

void Check(bool good, const char* what) {
  if (!good) throw std::runtime_error(std::string("OpenSSL cannot ") + what);
}

void AddExtension(X509* to, X509* issuer, int id, const std::string& value) {
  X509V3_CTX context;
  X509V3_set_ctx(&context, issuer, to, nullptr, nullptr, 0);
  X509_EXTENSION* const made = X509V3_EXT_conf_nid(nullptr, &context, id, value.c_str());
  Check(made != nullptr && X509_add_ext(to, made, -1) == 1, "add an extension");
  X509_EXTENSION_free(made);
}

std::string HostList(const std::vector<std::string>& hosts) {
  std::string out;
  for (const auto& host : hosts) {
    const bool number = host.find_first_not_of("0123456789.") == std::string::npos || host.find(':') != host.npos;
    out += (out.empty() ? "" : ",") + std::string(number ? "IP:" : "DNS:") + host;
  }
  return out;
}

// Everything but the extensions and the signature.
Certificate MakeBlank(EVP_PKEY* key, const CertificateRequest& request, long serial) {
  Certificate made(X509_new());
  X509_set_version(made.get(), 2);
  ASN1_INTEGER_set(X509_get_serialNumber(made.get()), serial);
  X509_gmtime_adj(X509_getm_notBefore(made.get()), request.from_days * kDay);
  X509_gmtime_adj(X509_getm_notAfter(made.get()), request.until_days * kDay);
  X509_set_pubkey(made.get(), key);
  X509_NAME_add_entry_by_txt(X509_get_subject_name(made.get()), "CN", MBSTRING_UTF8,
                             reinterpret_cast<const unsigned char*>(request.name.c_str()), -1, -1, 0);
  return made;
}

template <typename Write>
void WritePem(const std::string& path, Write write) {
  std::FILE* const file = std::fopen(path.c_str(), "w");
  Check(file != nullptr && write(file) == 1 && std::fclose(file) == 0, "write a PEM file");
}

}  // namespace

struct CertificateAuthority::Pair {
  Key key;
  Certificate certificate;
};

CertificateAuthority::CertificateAuthority(std::string folder, const std::string& name)
    : folder_(std::move(folder)), path_(folder_ + "/" + name + ".pem"), pair_(std::make_unique<Pair>()) {
  pair_->key.reset(EVP_EC_gen("P-256"));
  Check(pair_->key != nullptr, "make a key");
  pair_->certificate = MakeBlank(pair_->key.get(), {.name = name, .hosts = {}}, 1);
  X509* const self = pair_->certificate.get();
  X509_set_issuer_name(self, X509_get_subject_name(self));
  AddExtension(self, self, NID_basic_constraints, "critical,CA:TRUE");
  AddExtension(self, self, NID_key_usage, "critical,keyCertSign,cRLSign");
  Check(X509_sign(self, pair_->key.get(), EVP_sha256()) != 0, "sign");
  WritePem(path_, [&](std::FILE* file) { return PEM_write_X509(file, self); });
}

CertificateAuthority::~CertificateAuthority() = default;

CertificateFiles CertificateAuthority::Sign(const CertificateRequest& request) const {
  const Key key(EVP_EC_gen("P-256"));
  Check(key != nullptr, "make a key");
  const Certificate made = MakeBlank(key.get(), request, 100 + made_);
  X509_set_issuer_name(made.get(), X509_get_subject_name(pair_->certificate.get()));
  if (!request.hosts.empty())
    AddExtension(made.get(), pair_->certificate.get(), NID_subject_alt_name, HostList(request.hosts));
  Check(X509_sign(made.get(), pair_->key.get(), EVP_sha256()) != 0, "sign");
  const std::string base = folder_ + "/" + request.name + "-" + std::to_string(made_++);
  CertificateFiles files{base + ".crt", base + ".key"};
  WritePem(files.certificate, [&](std::FILE* file) { return PEM_write_X509(file, made.get()); });
  WritePem(files.key, [&](std::FILE* file) {
    return PEM_write_PrivateKey(file, key.get(), nullptr, nullptr, 0, nullptr, nullptr);
  });
  return files;
}

}  // namespace rbc::harness
