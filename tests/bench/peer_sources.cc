// Thrift's own servers, with its own generated client: the peer that our call path has to beat.
// SPDX-License-Identifier: Apache-2.0
#include <thrift/concurrency/ThreadFactory.h>
#include <thrift/concurrency/ThreadManager.h>
#include <thrift/protocol/TBinaryProtocol.h>
#include <thrift/server/TThreadPoolServer.h>
#include <thrift/server/TThreadedServer.h>
#include <thrift/transport/TBufferTransports.h>
#include <thrift/transport/TServerSocket.h>
#include <thrift/transport/TSocket.h>

#include <memory>

#include "bench_gen/Echo.h"
#include "tests/bench/peer.h"

namespace rbc::bench {
namespace {

using apache::thrift::concurrency::ThreadFactory;
using apache::thrift::concurrency::ThreadManager;
using apache::thrift::protocol::TBinaryProtocol;
using apache::thrift::protocol::TBinaryProtocolFactory;
using apache::thrift::server::TThreadedServer;
using apache::thrift::server::TThreadPoolServer;
using apache::thrift::transport::TFramedTransport;
using apache::thrift::transport::TFramedTransportFactory;
using apache::thrift::transport::TServerSocket;
using apache::thrift::transport::TSocket;

class Adder : public wire::EchoIf {
 public:
  double add(const double a, const double b) override { return a + b; }
};

// On a Unix socket, or for an empty path on a free TCP port.
std::shared_ptr<TServerSocket> MakeListener(const std::string& unix_path) {
  if (!unix_path.empty()) return std::make_shared<TServerSocket>(unix_path);
  return std::make_shared<TServerSocket>("127.0.0.1", 0);
}

enum class Kind { kThreadPool, kThreaded };

// The server says through a pipe on which port it listens, once it does.
class ReadyHandler : public apache::thrift::server::TServerEventHandler {
 public:
  ReadyHandler(std::shared_ptr<TServerSocket> listener, int fd) : listener_(std::move(listener)), fd_(fd) {}
  void preServe() override {
    const int port = listener_->getPort();
    if (write(fd_, &port, sizeof port) != sizeof port) _exit(1);
  }

 private:
  const std::shared_ptr<TServerSocket> listener_;
  const int fd_;
};

template <typename Server, typename... Arguments>
void RunServer(const std::shared_ptr<TServerSocket>& listener, int ready, const Arguments&... arguments) {
  Server server(arguments...);
  server.setServerEventHandler(std::make_shared<ReadyHandler>(listener, ready));
  server.serve();
}

void Serve(Kind kind, const std::string& unix_path, int ready) {
  const auto listener = MakeListener(unix_path);
  const auto processor = std::make_shared<wire::EchoProcessor>(std::make_shared<Adder>());
  const auto transport = std::make_shared<TFramedTransportFactory>();
  const auto protocol = std::make_shared<TBinaryProtocolFactory>();
  if (kind == Kind::kThreaded) {
    RunServer<TThreadedServer>(listener, ready, processor, listener, transport, protocol);
    return;
  }
  const auto pool = ThreadManager::newSimpleThreadManager(4);
  pool->threadFactory(std::make_shared<ThreadFactory>());
  pool->start();
  RunServer<TThreadPoolServer>(listener, ready, processor, listener, transport, protocol, pool);
}

Sample MeasureThrift(const Work& work, Kind kind, bool tcp) try {
  const TemporaryFolder folder;
  const std::string path = tcp ? "" : folder.path() + "/echo";
  int ready[2];
  if (pipe(ready) != 0) return {.error = "no pipe can be made"};
  ServerProcess server(work.mode, [&] { Serve(kind, path, ready[1]); });
  close(ready[1]);
  int port = 0;
  if (read(ready[0], &port, sizeof port) != sizeof port) return {.error = "the server does not start"};
  close(ready[0]);
  const auto socket = tcp ? std::make_shared<TSocket>("127.0.0.1", port) : std::make_shared<TSocket>(path);
  wire::EchoClient client(std::make_shared<TBinaryProtocol>(std::make_shared<TFramedTransport>(socket)));
  socket->open();
  return TimeCalls(work, server, [&](double a, double b) { return client.add(a, b); });
} catch (const std::exception& error) {
  return {.error = error.what()};
}

Sample ThreadPoolUnix(const Work& work) { return MeasureThrift(work, Kind::kThreadPool, false); }
Sample ThreadPoolTcp(const Work& work) { return MeasureThrift(work, Kind::kThreadPool, true); }
Sample ThreadedUnix(const Work& work) { return MeasureThrift(work, Kind::kThreaded, false); }
Sample ThreadedTcp(const Work& work) { return MeasureThrift(work, Kind::kThreaded, true); }

constexpr Source kSources[] = {
    {"thrift_pool_unix", ThreadPoolUnix},
    {"thrift_pool_tcp", ThreadPoolTcp},
    {"thrift_threaded_unix", ThreadedUnix},
    {"thrift_threaded_tcp", ThreadedTcp},
};

}  // namespace

std::span<const Source> PeerSources() { return kSources; }

}  // namespace rbc::bench
