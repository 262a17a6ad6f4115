// gRPC C++, synchronous, unary: the peer that many would have used instead.
// SPDX-License-Identifier: Apache-2.0
#include <grpcpp/grpcpp.h>

#include <chrono>
#include <limits>
#include <memory>

#include "bench_gen/echo.grpc.pb.h"
#include "tests/bench/peer.h"

namespace rbc::bench {
namespace {

class Adder final : public grpc_wire::Echo::Service {
  grpc::Status Add(grpc::ServerContext* context, const grpc_wire::Pair* pair, grpc_wire::Sum* sum) override {
    sum->set_value(pair->a() + pair->b());
    return grpc::Status::OK;
  }
};

void Serve(const std::string& address) {
  Adder service;
  grpc::ServerBuilder builder;
  builder.AddListeningPort(address, grpc::InsecureServerCredentials());
  builder.RegisterService(&service);
  const auto server = builder.BuildAndStart();
  if (server == nullptr) _exit(1);
  server->Wait();
}

Sample UnaryUnix(const Work& work) {
  const TemporaryFolder folder;
  const std::string address = "unix:" + folder.path() + "/echo";
  // gRPC must not be touched before the fork.
  ServerProcess server(work.mode, [&] { Serve(address); });
  const auto channel = grpc::CreateChannel(address, grpc::InsecureChannelCredentials());
  if (!channel->WaitForConnected(std::chrono::system_clock::now() + std::chrono::seconds(10))) {
    return {.error = "the server does not start within 10 s"};
  }
  const auto stub = grpc_wire::Echo::NewStub(channel);
  return TimeCalls(work, server, [&](double a, double b) {
    grpc::ClientContext context;
    grpc_wire::Pair pair;
    pair.set_a(a);
    pair.set_b(b);
    grpc_wire::Sum sum;
    const grpc::Status status = stub->Add(&context, pair, &sum);
    return status.ok() ? sum.value() : std::numeric_limits<double>::quiet_NaN();
  });
}

constexpr Source kSources[] = {{"grpc_unary_unix", UnaryUnix}};

}  // namespace

std::span<const Source> GrpcSources() { return kSources; }

}  // namespace rbc::bench
