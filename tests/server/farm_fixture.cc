// A farm over fake workers.
// SPDX-License-Identifier: Apache-2.0
#include "tests/server/farm_fixture.h"

#include <malloc.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <thrift/protocol/TBinaryProtocol.h>
#include <thrift/transport/TBufferTransports.h>
#include <thrift/transport/TSSLSocket.h>
#include <thrift/transport/TSocket.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>

#include "server/net/address.h"
#include "thrift/handle.h"

namespace rbc::server::testing {

using apache::thrift::protocol::TBinaryProtocol;
using apache::thrift::transport::TFramedTransport;
using apache::thrift::transport::TSocket;

TemporaryFolder::TemporaryFolder() {
  std::string pattern = (std::filesystem::temp_directory_path() / "rbc-farm-test-XXXXXX").string();
  path_ = mkdtemp(pattern.data());
}

TemporaryFolder::~TemporaryFolder() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

Client::Client(const std::string& address, const std::string& ca) {
  std::shared_ptr<TSocket> socket;
  if (address.rfind("unix:", 0) == 0) {
    socket = std::make_shared<TSocket>(address.substr(5));
  } else if (address.starts_with(kTlsScheme)) {
    const auto factory = std::make_shared<apache::thrift::transport::TSSLSocketFactory>();
    factory->loadTrustedCertificates(ca.c_str());
    factory->authenticate(true);
    const auto colon = address.rfind(':');
    socket = factory->createSocket(address.substr(kTlsScheme.size(), colon - kTlsScheme.size()),
                                   std::stoi(address.substr(colon + 1)));
    tls_factory_ = factory;
  } else {
    const auto colon = address.rfind(':');
    socket = std::make_shared<TSocket>(address.substr(0, colon), std::stoi(address.substr(colon + 1)));
  }
  socket->setRecvTimeout(30'000);
  constexpr int kLargest = 100 << 20;  // Thrift's own default takes frames of 16 MB only
  transport_ =
      std::make_shared<TFramedTransport>(socket, std::make_shared<apache::thrift::TConfiguration>(kLargest, kLargest));
  transport_->open();
  client_ = std::make_unique<wire::FarmClient>(std::make_shared<TBinaryProtocol>(transport_));
}

wire::HelloReply Client::Hello(const std::string& name_space) {
  wire::HelloRequest request;
  request.protocol_major = 1;
  request.protocol_minor = 0;
  request.client = "test";
  request.__set_name_space(name_space);
  wire::HelloReply reply;
  client_->hello(reply, request);
  return reply;
}

wire::AttachRequest AttachTo(const wire::HelloReply& session) {
  wire::AttachRequest request;
  request.session_id = session.session_id;
  request.secret = session.secret;
  request.farm_id = session.farm_id;
  return request;
}

std::string FrameAttach(int32_t seqid, const wire::HelloReply& session) {
  wire::Farm_attach_args attach;
  attach.request = AttachTo(session);
  return FrameRequest("attach", seqid, attach);
}

wire::HelloReply Client::Attach(const wire::HelloReply& session) {
  wire::HelloReply reply;
  client_->attach(reply, AttachTo(session));
  return reply;
}

void Client::Close() { transport_->close(); }

wire::CompileRequest MakeRequest(const std::string& ir, const std::string& symbol) {
  wire::CompileRequest request;
  request.target = "host";
  wire::FunctionDeclaration function;
  function.symbol = symbol;
  function.signature = "float64(float64)";
  function.abi = wire::Abi::Direct;
  request.functions = {function};
  request.__set_ir(ir);
  request.handle.assign(Bytes(HandleOf(request.target, request.functions, request.options, ir)));
  return request;
}

wire::CompileReply Client::Compile(const std::string& ir, const std::string& symbol, int64_t request_id,
                                   int32_t deadline_ms) {
  auto request = MakeRequest(ir, symbol);
  request.request_id = request_id;
  request.deadline_ms = deadline_ms;
  wire::CompileReply reply;
  client_->compile(reply, request);
  return reply;
}

wire::CallReply Client::Call(int64_t function_id, const std::string& frame, int64_t request_id) {
  wire::CallRequest request;
  request.request_id = request_id;
  request.function_id = function_id;
  request.frame = frame;
  wire::CallReply reply;
  client_->call(reply, request);
  return reply;
}

void FarmTest::SetUp() {
  config_.listen = {"unix:" + unix_path(), "127.0.0.1:0"};
  config_.state_dir = folder_.path() + "/state";
  config_.lend = false;
}

void FarmTest::StartFarm() {
  TearDown();
  ASSERT_TRUE(Complete(&config_));
  backend_ = std::make_unique<FakeBackend>();
  farm_ = std::make_unique<Farm>(config_, *backend_);
  std::vector<Listener> listeners;
  for (const auto& address : config_.listen) {
    auto listener = Listener::Open(address, tls_);
    ASSERT_TRUE(listener) << listener.error().message;
    listeners.push_back(*std::move(listener));
  }
  const auto status = farm_->Start(std::move(listeners));
  ASSERT_TRUE(status) << status.error().message;
  unix_address_ = farm_->addresses().front();
  tcp_address_ = farm_->addresses().back();
}

void FarmTest::TearDown() {
  farm_.reset();
  backend_.reset();
}

uint64_t ResidentBytes() {
  malloc_trim(0);
  std::ifstream in("/proc/self/smaps_rollup");
  std::string word;
  while (in >> word)
    if (word == "Anonymous:") {
      uint64_t kib = 0;
      in >> kib;
      return kib * 1024;
    }
  return 0;
}

int RawConnect(const std::string& text) {
  const auto address = ParseAddress(text);
  if (!address) return -1;
  const int fd = socket(address->storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const timeval timeout{.tv_sec = 20, .tv_usec = 0};
  setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof timeout);
  if (connect(fd, address->get(), address->size) == 0) return fd;
  close(fd);
  return -1;
}

std::string Framed(const std::string& message) {
  const uint32_t length = __builtin_bswap32(static_cast<uint32_t>(message.size()));
  return std::string(reinterpret_cast<const char*>(&length), sizeof length) + message;
}

uint64_t AllocatedBytes() {
  const auto info = mallinfo2();
  return info.uordblks + info.hblkhd;
}

std::string ReadFrame(int fd) {
  std::string out(4, '\0');
  if (recv(fd, out.data(), 4, MSG_WAITALL) != 4) return "";
  uint32_t length;
  std::memcpy(&length, out.data(), sizeof length);
  out.resize(4 + __builtin_bswap32(length));
  if (recv(fd, out.data() + 4, out.size() - 4, MSG_WAITALL) != static_cast<ssize_t>(out.size() - 4)) return "";
  return out;
}

int32_t SequenceOf(const std::string& framed) {
  uint32_t name, sequence;
  std::memcpy(&name, framed.data() + 8, sizeof name);
  std::memcpy(&sequence, framed.data() + 12 + __builtin_bswap32(name), sizeof sequence);
  return static_cast<int32_t>(__builtin_bswap32(sequence));
}

std::string ReadAll(int fd) {
  std::string out;
  char bytes[4096];
  for (ssize_t got; (got = recv(fd, bytes, sizeof bytes, 0)) > 0;) out.append(bytes, static_cast<size_t>(got));
  return out;
}

}  // namespace rbc::server::testing
