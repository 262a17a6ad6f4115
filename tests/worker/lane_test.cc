// The daemon's end and the worker's end of lanes, in one process and with C++ functions for client code, so that
// ThreadSanitizer sees both: calls over the ring and over lent connections while functions come and go.
// SPDX-License-Identifier: Apache-2.0
#include "worker/lane.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <linux/futex.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <thrift/protocol/TBinaryProtocol.h>
#include <thrift/transport/TBufferTransports.h>
#include <unistd.h>

#include <cstring>
#include <memory>
#include <thread>

#include "gen/Farm.h"
#include "server/workers/lane_port.h"
#include "worker/control_socket.h"
#include "worker/module_instance.h"

namespace rbc::worker {
namespace {

using apache::thrift::protocol::TBinaryProtocol;
using apache::thrift::transport::TFramedTransport;
using apache::thrift::transport::TMemoryBuffer;

constexpr uint32_t kLanes = 4;
const uint64_t kAdd = FunctionId(1, 1);
uint64_t Twice(uint32_t generation) { return FunctionId(2, generation); }

int32_t AddEntry(void* frame, void* result) {
  double a[2];
  std::memcpy(a, frame, sizeof a);
  const double sum = a[0] + a[1];
  std::memcpy(result, &sum, sizeof sum);
  return 0;
}
int32_t TwiceEntry(void* frame, void* result) {
  double a;
  std::memcpy(&a, frame, sizeof a);
  const double twice = 2 * a;
  std::memcpy(result, &twice, sizeof twice);
  return 0;
}

// A "device" whose code is in the test.
class LocalCode : public LoadedModule {
 public:
  void* Symbol(std::string_view name) const override {
    return reinterpret_cast<void*>(name == "add" ? AddEntry : TwiceEntry);
  }
  const char* FunctionAt(const void*) const override { return ""; }
};
class LocalDevice : public Device {
 public:
  Expected<std::unique_ptr<LoadedModule>> Load(std::string_view) override {
    return std::unique_ptr<LoadedModule>(std::make_unique<LocalCode>());
  }
};

std::unique_ptr<ModuleInstance> Load(uint64_t id, const char* symbol, uint32_t parameters,
                                     std::vector<EntryPoint::Array> arrays = {}) {
  LocalDevice device;
  LoadBlob blob;
  EntryPoint entry;
  entry.symbol = symbol;
  entry.frame_size = 8 * parameters;
  entry.result_size = 8;
  entry.arrays = std::move(arrays);
  blob.artifact.entries = {entry};
  blob.function_ids = {id};
  blob.names = {symbol};
  auto module = ModuleInstance::Make(id, std::move(blob), device);
  EXPECT_TRUE(module);
  return *std::move(module);
}

std::string CallMessage(uint64_t function, std::initializer_list<double> arguments) {
  wire::CallRequest request;
  request.request_id = 1;
  request.function_id = static_cast<int64_t>(function);
  for (const double a : arguments) request.frame.append(reinterpret_cast<const char*>(&a), sizeof a);
  auto buffer = std::make_shared<TMemoryBuffer>();
  wire::FarmClient client(std::make_shared<TBinaryProtocol>(std::make_shared<TFramedTransport>(buffer)));
  client.send_call(request);
  return buffer->getBufferAsString();
}

// The double in a framed reply; throws wire::FarmError.
double Answer(std::string_view framed) {
  auto buffer = std::make_shared<TMemoryBuffer>();
  buffer->write(reinterpret_cast<const uint8_t*>(framed.data()), static_cast<uint32_t>(framed.size()));
  wire::FarmClient client(std::make_shared<TBinaryProtocol>(std::make_shared<TFramedTransport>(buffer)));
  wire::CallReply reply;
  client.recv_call(reply);
  double result = 0;
  EXPECT_EQ(reply.result.size(), sizeof result);
  std::memcpy(&result, reply.result.data(), sizeof result);
  return result;
}

// Lives as long as the program: a lane's thread never ends.
struct Workshop {
  Workshop() {
    share.ring = std::aligned_alloc(kPage, (RingSize(kLanes) + kPage - 1) / kPage * kPage);
    std::memset(share.ring, 0, RingSize(kLanes));
    share.lanes = kLanes;
    share.functions = &functions;
    share.limits = {1 << 20, 1 << 16};
    share.spin_us = 20;
    share.may_poll = 1;
    share.capture_limit = 4096;
    add = Load(kAdd, "add", 2);
    EXPECT_TRUE(functions.Add(&add->functions()[0]));
    for (uint32_t i = 0; i < kLanes; ++i) {
      lanes[i] = std::make_unique<LaneRunner>(share, i);
      std::thread([lane = lanes[i].get()] {
        SetCurrentContext(&lane->context());
        lane->Run();
      }).detach();
    }
  }
  LaneShare share;
  FunctionTable functions;
  std::unique_ptr<ModuleInstance> add;
  std::unique_ptr<LaneRunner> lanes[kLanes];
};
Workshop& TheWorkshop() {
  static Workshop* workshop = new Workshop;
  return *workshop;
}

// One call over a lane of the ring, as the daemon makes it.
std::string Exchange(server::LanePort& port, const std::string& message) {
  Lane* lane = port.lane();
  std::memcpy(lane->request, message.data(), message.size());
  lane->request_size = static_cast<uint32_t>(message.size());
  lane->request_offset = kInline;
  EXPECT_TRUE(port.Post());
  EXPECT_EQ(port.Await(server::Clock::now() + std::chrono::seconds(20)), server::LaneEvent::kReply);
  std::string reply(reinterpret_cast<const char*>(lane->reply), lane->reply_size);
  port.Release();
  return reply;
}

TEST(Lanes, AnswerRightWhileFunctionsComeAndGo) {
  Workshop& workshop = TheWorkshop();
  std::atomic<uint32_t> newest{0};
  std::atomic<bool> done{false};
  std::thread control([&] {
    for (uint32_t generation = 1; !done; ++generation) {
      auto module = Load(Twice(generation), "twice", 1);
      EXPECT_TRUE(workshop.functions.Add(&module->functions()[0]));
      newest = generation;
      std::this_thread::yield();
      workshop.functions.Remove(&module->functions()[0]);
    }
  });
  std::atomic<int> twice_ran{0};
  std::vector<std::thread> callers;
  for (uint32_t i = 0; i < 2; ++i) {
    callers.emplace_back([&, i] {
      server::LanePort port(LaneAt(workshop.share.ring, i), 20);
      // Until one has met it while it was there, on a machine that rarely runs the control thread beside.
      for (int n = 0; n < 3000 || (twice_ran == 0 && n < 300'000); ++n) {
        ASSERT_EQ(Answer(Exchange(port, CallMessage(kAdd, {1.0 * n, i + 0.5}))), n + i + 0.5);
        try {
          ASSERT_EQ(Answer(Exchange(port, CallMessage(Twice(newest), {1.0 * n}))), 2.0 * n);
          ++twice_ran;
        } catch (const wire::FarmError& gone) {
          ASSERT_EQ(gone.kind, wire::ErrorKind::UnknownModule);
        }
      }
    });
  }
  for (auto& caller : callers) caller.join();
  done = true;
  control.join();
  EXPECT_GT(twice_ran, 0);
}

// On a direct lane, as docs/protocol.md describes it.
LaneState CallShort(Lane* lane, uint64_t function, std::initializer_list<double> arguments) {
  lane->short_call.function_id = function;
  lane->short_call.request_id += 1;
  if (arguments.size() != 0) std::memcpy(lane->short_call.bytes, arguments.begin(), arguments.size() * sizeof(double));
  lane->short_size = static_cast<uint32_t>(arguments.size() * sizeof(double));
  lane->state.store(kShortCall);
  syscall(SYS_futex, &lane->state, FUTEX_WAKE, 1, nullptr, nullptr, 0);
  uint32_t state = kShortCall;
  for (int i = 0; i < 20'000 && state == kShortCall; ++i) {
    std::this_thread::sleep_for(std::chrono::microseconds(i < 100 ? 0 : 1000));
    state = lane->state.load();
  }
  return static_cast<LaneState>(state);
}

TEST(Lanes, AnswerShortCallsInTheirPlace) {
  constexpr uint32_t kDirect = 2;
  Lane* lane = LaneAt(TheWorkshop().share.ring, kDirect);
  lane->direct.store(1);
  for (int n = 0; n < 500; ++n) {
    SCOPED_TRACE(n);
    ASSERT_EQ(CallShort(lane, kAdd, {1.0 * n, 0.5}), kShortReply);
    double sum = 0;
    ASSERT_EQ(lane->short_size, sizeof sum);
    std::memcpy(&sum, lane->short_call.bytes, sizeof sum);
    ASSERT_EQ(sum, n + 0.5);
    ASSERT_EQ(lane->short_call.status, 0);
    ASSERT_EQ(lane->request_id, lane->short_call.request_id) << "how the daemon knows that it began";
    lane->state.store(kIdle);
  }
  // Errors are framed replies.
  const auto refused = [&](uint64_t function, wire::ErrorKind::type kind) {
    ASSERT_EQ(CallShort(lane, function, {}), kReply);
    try {
      Answer({reinterpret_cast<const char*>(lane->reply), lane->reply_size});
      ADD_FAILURE() << "no error";
    } catch (const wire::FarmError& error) {
      EXPECT_EQ(error.kind, kind) << error.message;
    }
    lane->state.store(kIdle);
  };
  refused(kAdd, wire::ErrorKind::InvalidArgument);
  refused(FunctionId(999, 1), wire::ErrorKind::UnknownModule);
  lane->direct.store(0);
}

// Were it to die, nobody could tell which it was writing.
TEST(Lanes, RefuseArraysOfTheSessionInShortCalls) {
  Workshop& workshop = TheWorkshop();
  const uint64_t function = FunctionId(3, 1);
  const auto module = Load(function, "twice", 3, {{.offset = 0, .rank = 1, .element_size = 8, .alignment = 8}});
  EXPECT_TRUE(workshop.functions.Add(&module->functions()[0]));
  Lane* lane = LaneAt(workshop.share.ring, 2);
  lane->direct.store(1);
  EXPECT_EQ(CallShort(lane, function, {0, 0, 0}), kShortReply) << "one without elements, in the frame";
  lane->state.store(kIdle);
  ASSERT_EQ(CallShort(lane, function, {-0.0, 0, 0}), kReply) << "the highest bit means the session's arena";
  try {
    Answer({reinterpret_cast<const char*>(lane->reply), lane->reply_size});
    ADD_FAILURE() << "no error";
  } catch (const wire::FarmError& error) {
    EXPECT_EQ(error.kind, wire::ErrorKind::InvalidArgument);
    EXPECT_NE(error.message.find("send it as a message"), std::string::npos) << error.message;
  }
  lane->state.store(kIdle);
  lane->direct.store(0);
  workshop.functions.Remove(&module->functions()[0]);
}

std::string ReceiveFrame(int fd) {
  std::string frame(4, '\0');
  size_t have = 0;
  while (have < frame.size()) {
    const ssize_t n = recv(fd, frame.data() + have, frame.size() - have, 0);
    if (n <= 0) return "";
    have += static_cast<size_t>(n);
    if (have == 4) {
      uint32_t length;
      std::memcpy(&length, frame.data(), sizeof length);
      frame.resize(4 + __builtin_bswap32(length));
    }
  }
  return frame;
}

TEST(Lanes, ServeALentConnectionAndGiveItBackWithItsBytes) {
  Workshop& workshop = TheWorkshop();
  // A lane reports to the daemon over a descriptor of fixed number.
  int control[2], connection[2];
  ASSERT_EQ(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, control), 0);
  const UniqueFd daemon_end(fcntl(control[0], F_DUPFD_CLOEXEC, 16)), worker_end(fcntl(control[1], F_DUPFD_CLOEXEC, 16));
  close(control[0]);
  close(control[1]);
  ASSERT_EQ(dup2(worker_end.get(), kWorkerControlFd), kWorkerControlFd);
  constexpr uint32_t kLent = kLanes - 1;
  Lane* lane = LaneAt(workshop.share.ring, kLent);
  for (int round = 0; round < 5; ++round) {
    ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, connection), 0);
    ASSERT_TRUE(workshop.lanes[kLent]->Lend(connection[1]));
    for (int n = 0; n < 500; ++n) {
      const std::string message = CallMessage(kAdd, {1.0 * n, 0.25});
      ASSERT_EQ(send(connection[0], message.data(), message.size(), 0), static_cast<ssize_t>(message.size()));
      ASSERT_EQ(Answer(ReceiveFrame(connection[0])), n + 0.25);
    }
    const std::string foreign = CallMessage(FunctionId(999, 1), {1.0});
    ASSERT_EQ(send(connection[0], foreign.data(), foreign.size(), 0), static_cast<ssize_t>(foreign.size()));
    PacketReceiver receiver;
    LaneBody returned{};
    ASSERT_TRUE(receiver.Receive(daemon_end.get()));
    ASSERT_EQ(receiver.type(), MessageType::kLaneReturned);
    ASSERT_TRUE(receiver.As(&returned));
    EXPECT_EQ(returned.lane, kLent);
    ASSERT_EQ(lane->state.load(), kReturned);
    EXPECT_EQ(lane->return_reason, kNotACall);
    EXPECT_EQ(std::string(reinterpret_cast<char*>(lane->request), lane->request_size), foreign);
    lane->state.store(kIdle);
    close(connection[0]);
  }
}

}  // namespace
}  // namespace rbc::worker
