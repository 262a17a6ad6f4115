// What the farm itself takes, seen by a stock client that Thrift generated from rbc.thrift.
// SPDX-License-Identifier: Apache-2.0
#include <thrift/protocol/TBinaryProtocol.h>
#include <thrift/transport/TBufferTransports.h>
#include <thrift/transport/TSocket.h>

#include <cstring>
#include <limits>
#include <memory>
#include <optional>

#include "gen/Farm.h"
#include "gen/rbc_constants.h"
#include "tests/bench/farm_process.h"
#include "thrift/handle.h"

namespace rbc::bench {
namespace {

using apache::thrift::protocol::TBinaryProtocol;
using apache::thrift::transport::TFramedTransport;
using apache::thrift::transport::TSocket;

constexpr int kWarmUpCompiles = 20;

// A connection with a session of its own.
class FarmClient {
 public:
  FarmClient(const FarmProcess& farm, bool tcp)
      : socket_(tcp ? std::make_shared<TSocket>("127.0.0.1", farm.tcp_port())
                    : std::make_shared<TSocket>(farm.unix_path())),
        client_(std::make_shared<TBinaryProtocol>(std::make_shared<TFramedTransport>(socket_))) {
    socket_->open();
    wire::HelloRequest hello;
    hello.protocol_major = wire::g_rbc_constants.PROTOCOL_MAJOR;
    hello.protocol_minor = wire::g_rbc_constants.PROTOCOL_MINOR;
    hello.client = "rbc_bench";
    wire::HelloReply reply;
    client_.hello(reply, hello);
  }
  wire::FarmClient* operator->() { return &client_; }

 private:
  std::shared_ptr<TSocket> socket_;
  wire::FarmClient client_;
};

// A module with one function, double NAME(double, double), which adds.
wire::CompileRequest AddModule(const std::string& name) {
  wire::CompileRequest request;
  request.target = "host";
  wire::FunctionDeclaration function;
  function.symbol = name;
  function.signature = "float64(float64, float64)";
  request.functions = {function};
  request.__set_ir(AddIr(name));
  const Digest digest = HandleOf(request.target, request.functions, request.options, request.ir);
  request.handle.assign(Bytes(digest));
  return request;
}

// Calls double(double, double) and gives NaN for a reply without a double.
double CallAdd(FarmClient& client, int64_t function_id, double a, double b) {
  const double arguments[] = {a, b};
  wire::CallRequest request;
  request.request_id = 0;
  request.function_id = function_id;
  request.frame.assign(reinterpret_cast<const char*>(arguments), sizeof arguments);
  wire::CallReply reply;
  client->call(reply, request);
  double sum = std::numeric_limits<double>::quiet_NaN();
  if (reply.result.size() == sizeof sum) std::memcpy(&sum, reply.result.data(), sizeof sum);
  return sum;
}

int64_t CompileAdd(FarmClient& client, const std::string& name) {
  wire::CompileReply reply;
  client->compile(reply, AddModule(name));
  return reply.functions.at(0).function_id;
}

// Runs `body(farm)` with a farm; what goes wrong, Thrift's exceptions too, is in Sample::error.
template <typename Body>
Sample WithFarm(const Work& work, const std::string& configuration, Body body) try {
  FarmProcess farm(work, configuration);
  if (!farm.error().empty()) return {.error = farm.error()};
  return body(farm);
} catch (const wire::FarmError& error) {
  return {.error = error.message};
} catch (const std::exception& error) {
  return {.error = error.what()};
}

Sample MeasureCalls(const Work& work, bool tcp, const std::string& configuration) {
  return WithFarm(work, configuration, [&](FarmProcess& farm) {
    FarmClient client(farm, tcp);
    const int64_t add = CompileAdd(client, "add");
    return TimeCalls(work, farm, [&](double a, double b) { return CallAdd(client, add, a, b); });
  });
}

constexpr char kNoLending[] = "[sessions]\nlend = false\n";
Sample CallUnix(const Work& work) { return MeasureCalls(work, false, ""); }
Sample CallTcp(const Work& work) { return MeasureCalls(work, true, ""); }
Sample RelayUnix(const Work& work) { return MeasureCalls(work, false, kNoLending); }
Sample RelayTcp(const Work& work) { return MeasureCalls(work, true, kNoLending); }

// p50 and p99 of `times` in nanoseconds.
Sample Summarise(const std::vector<int64_t>& times) {
  return {.p50 = Quantile(times, 0.50) / 1000.0, .p99 = Quantile(times, 0.99) / 1000.0};
}

// A new function, send to handle, on a warm worker.
Sample CompileNew(const Work& work) {
  return WithFarm(work, "", [&](FarmProcess& farm) {
    FarmClient client(farm, false);
    const int compiles = std::min(work.calls, 200);
    std::vector<int64_t> times;
    for (int i = 0; i < compiles + kWarmUpCompiles; ++i) {
      const wire::CompileRequest request = AddModule("add" + std::to_string(i));
      wire::CompileReply reply;
      const int64_t start = NowNs();
      client->compile(reply, request);
      const int64_t end = NowNs();
      if (reply.cached || reply.functions.size() != 1) return Sample{.error = "a new module was not compiled"};
      if (i >= kWarmUpCompiles) times.push_back(end - start);
      client->unload(reply.module_id);
    }
    return Summarise(times);
  });
}

// A new function from the first client of a trust domain on a warm farm: its nursery and compile worker start too.
Sample CompileInFreshDomain(const Work& work) {
  return WithFarm(work, "", [&](FarmProcess& farm) {
    FarmClient neighbour(farm, false);
    CompileAdd(neighbour, "add");
    FarmClient client(farm, true);  // loopback TCP is a domain of its own
    const wire::CompileRequest request = AddModule("fresh");
    wire::CompileReply reply;
    const int64_t start = NowNs();
    client->compile(reply, request);
    const double us = static_cast<double>(NowNs() - start) / 1000.0;
    return reply.cached ? Sample{.error = "a new module was not compiled"} : Sample{.p50 = us, .p99 = us};
  });
}

// A module that the farm knows, asked for by its handle alone. `padding`: functions that nobody declared.
Sample MeasureKnown(const Work& work, int padding) {
  return WithFarm(work, kNoLending, [&](FarmProcess& farm) {
    FarmClient client(farm, false);
    wire::CompileRequest request = AddModule("add");
    for (int i = 0; i < padding; ++i)
      request.ir += "define void @padding" + std::to_string(i) + "() {\n  ret void\n}\n";
    request.handle.assign(Bytes(HandleOf(request.target, request.functions, request.options, request.ir)));
    wire::CompileReply reply;
    client->compile(reply, request);
    request.__isset.ir = false;
    std::vector<int64_t> times;
    for (int i = 0; i < work.calls; ++i) {
      const int64_t start = NowNs();
      client->compile(reply, request);
      times.push_back(NowNs() - start);
      if (!reply.cached) return Sample{.error = "a known module was compiled again"};
    }
    return Summarise(times);
  });
}
Sample KnownSmall(const Work& work) { return MeasureKnown(work, 0); }
Sample KnownLarge(const Work& work) { return MeasureKnown(work, 20'000); }

// From the start of the program to the first answer of a function that was compiled for it.
Sample StartToAnswer(const Work& work) {
  const int64_t start = NowNs();
  return WithFarm(work, "", [&](FarmProcess& farm) {
    FarmClient client(farm, false);
    const double sum = CallAdd(client, CompileAdd(client, "add"), 1.5, 2);
    const double us = static_cast<double>(NowNs() - start) / 1000.0;
    return sum == 3.5 ? Sample{.p50 = us, .p99 = us} : Sample{.error = "the first answer is wrong"};
  });
}

// KiB of the daemon for one more idle connection with a session.
Sample IdleConnection(const Work& work) {
  return WithFarm(work, "", [&](FarmProcess& farm) {
    constexpr int kConnections = 400;
    std::vector<std::unique_ptr<FarmClient>> clients;
    for (int i = 0; i < 50; ++i) clients.push_back(std::make_unique<FarmClient>(farm, false));
    const double before = farm.DaemonKiB();
    for (int i = 0; i < kConnections; ++i) clients.push_back(std::make_unique<FarmClient>(farm, false));
    return Sample{.p50 = (farm.DaemonKiB() - before) / kConnections};
  });
}

// KiB of all of the farm for 1,000 more tiny functions, each a module that was called once.
Sample KeptFunctions(const Work& work) {
  return WithFarm(work, "", [&](FarmProcess& farm) {
    FarmClient client(farm, false);
    const auto keep = [&](int i) {
      return CallAdd(client, CompileAdd(client, "kept" + std::to_string(i)), i, 1) == i + 1;
    };
    for (int i = 0; i < 50; ++i) {
      if (!keep(i)) return Sample{.error = "a kept function answers wrongly"};
    }
    const double before = farm.TreeKiB();
    for (int i = 50; i < 1050; ++i) {
      if (!keep(i)) return Sample{.error = "a kept function answers wrongly"};
    }
    return Sample{.p50 = farm.TreeKiB() - before};
  });
}

// KiB of all of the farm for one more session whose execution worker answered one call and is idle.
Sample IdleWorker(const Work& work) {
  return WithFarm(work, "", [&](FarmProcess& farm) {
    constexpr int kSessions = 8;
    std::vector<std::unique_ptr<FarmClient>> clients;
    const auto add_session = [&] {
      clients.push_back(std::make_unique<FarmClient>(farm, false));
      return CallAdd(*clients.back(), CompileAdd(*clients.back(), "add"), 1.5, 2) == 3.5;
    };
    if (!add_session()) return Sample{.error = "a new session's call answers wrongly"};
    const double before = farm.TreeKiB();
    for (int i = 0; i < kSessions; ++i) {
      if (!add_session()) return Sample{.error = "a new session's call answers wrongly"};
    }
    return Sample{.p50 = (farm.TreeKiB() - before) / kSessions};
  });
}

// The first call of a session: its worker is forked and locked down, the module is linked, the call runs.
Sample FirstCall(const Work& work) {
  return WithFarm(work, "", [&](FarmProcess& farm) {
    constexpr int kSessions = 20;
    std::vector<int64_t> times;
    for (int i = 0; i < kSessions; ++i) {
      FarmClient client(farm, false);
      const int64_t function = CompileAdd(client, "add");
      const int64_t start = NowNs();
      if (CallAdd(client, function, 1.5, 2) != 3.5) return Sample{.error = "a first call answers wrongly"};
      times.push_back(NowNs() - start);
    }
    return Summarise(times);
  });
}

constexpr Source kSources[] = {
    {"farm_call_unix", CallUnix},
    {"farm_call_tcp", CallTcp},
    {"farm_relay_unix", RelayUnix},
    {"farm_relay_tcp", RelayTcp},
    {"farm_compile_new", CompileNew},
    {"farm_compile_fresh_domain", CompileInFreshDomain},
    {"farm_known_small", KnownSmall},
    {"farm_known_large", KnownLarge},
    {"farm_start_to_answer", StartToAnswer},
    {"farm_idle_connection_kib", IdleConnection},
    {"farm_kept_functions_kib", KeptFunctions},
    {"farm_idle_worker_kib", IdleWorker},
    {"farm_first_call", FirstCall},
};

}  // namespace

std::span<const Source> FarmSources() { return kSources; }

}  // namespace rbc::bench
