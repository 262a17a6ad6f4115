// A farm over fake workers on a Unix socket and loopback TCP, and stock generated clients for it.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <gtest/gtest.h>
#include <thrift/protocol/TBinaryProtocol.h>
#include <thrift/transport/TBufferTransports.h>

#include <chrono>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "gen/Farm.h"
#include "server/farm.h"
#include "tests/server/fake_backend.h"

namespace rbc::server::testing {

// A folder that goes with its contents.
class TemporaryFolder {
 public:
  TemporaryFolder();
  ~TemporaryFolder();
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

// One connection. Calls throw wire::FarmError and Thrift's transport exceptions.
class Client {
 public:
  // As Farm::addresses gives it; `ca` is believed by Thrift's own TLS.
  explicit Client(const std::string& address, const std::string& ca = "");
  wire::FarmClient* operator->() { return client_.get(); }
  wire::HelloReply Hello(const std::string& name_space = "default");
  wire::HelloReply Attach(const wire::HelloReply& session);
  void Close();

  wire::CompileReply Compile(const std::string& ir, const std::string& symbol = "f", int64_t request_id = 0,
                             int32_t deadline_ms = 0);
  wire::CallReply Call(int64_t function_id, const std::string& frame, int64_t request_id = 0);

 private:
  std::shared_ptr<void> tls_factory_;  // before what it made
  std::shared_ptr<apache::thrift::transport::TTransport> transport_;
  std::unique_ptr<wire::FarmClient> client_;
};

wire::AttachRequest AttachTo(const wire::HelloReply& session);
wire::CompileRequest MakeRequest(const std::string& ir, const std::string& symbol = "f");

// The kind of the FarmError that `action` throws; kInternal and a failed test where it throws none.
template <typename Action>
wire::FarmError ErrorOf(Action&& action) {
  try {
    action();
  } catch (const wire::FarmError& error) {
    return error;
  }
  ADD_FAILURE() << "no FarmError";
  return {};
}

class FarmTest : public ::testing::Test {
 protected:
  void SetUp() override;
  void TearDown() override;
  // Of tls:// addresses.
  TlsContext tls_;
  // Starts the farm with `config` changed by the test; a second call is a restart.
  void StartFarm();
  Client Connect() { return Client(unix_address_); }
  Client ConnectTcp() { return Client(tcp_address_); }
  std::string unix_path() const { return folder_.path() + "/farm.sock"; }

  TemporaryFolder folder_;
  FarmConfig config_;
  std::unique_ptr<FakeBackend> backend_;
  std::unique_ptr<Farm> farm_;
  std::string unix_address_, tcp_address_;
};

// Waits for `condition`, at most half a minute: on a busy machine any thread may stand still for a second or more.
template <typename Condition>
bool Eventually(Condition&& condition) {
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(30);
  while (!condition()) {
    if (std::chrono::steady_clock::now() >= end) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  return true;
}

// By how much memory may grow where it shall not. A sanitizer's own tables grow for long.
#ifdef RBC_SANITIZED
inline constexpr uint64_t kNoise = 128 << 20;
#else
inline constexpr uint64_t kNoise = 1 << 20;
#endif
// Anonymous resident bytes of this process.
uint64_t ResidentBytes();
// Bytes that this process holds from malloc.
uint64_t AllocatedBytes();
// A connected socket, or -1. Blocking, with a receive timeout of twenty seconds.
int RawConnect(const std::string& address);
// `message` with its length in front.
std::string Framed(const std::string& message);
// A whole framed request of `method`, as a stock client sends it. Arguments: the generated Farm_METHOD_args.
template <typename Arguments>
std::string FrameRequest(const std::string& method, int32_t seqid, const Arguments& arguments) {
  const auto buffer = std::make_shared<apache::thrift::transport::TMemoryBuffer>();
  apache::thrift::protocol::TBinaryProtocol protocol(buffer);
  protocol.writeMessageBegin(method, apache::thrift::protocol::T_CALL, seqid);
  arguments.write(&protocol);
  protocol.writeMessageEnd();
  return Framed(buffer->getBufferAsString());
}
// Of `attach`, to the session that hello gave.
std::string FrameAttach(int32_t seqid, const wire::HelloReply& session);
// One framed message off the socket, its length included; "" at end of file or timeout.
std::string ReadFrame(int fd);
// The sequence id of a framed message.
int32_t SequenceOf(const std::string& framed);
// Reads until end of file or timeout.
std::string ReadAll(int fd);

}  // namespace rbc::server::testing
