// The floors of the call path: Linux calls only, one process for each role.
// SPDX-License-Identifier: Apache-2.0
#include "tests/bench/floors.h"

#include <arpa/inet.h>
#include <linux/futex.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstring>
#include <new>

#include "base/unique_fd.h"

namespace rbc::bench {
namespace {

constexpr int kWarmUp = 500;

// What one call carries, in both directions.
struct Message {
  uint64_t sequence = 0;
  uint64_t check = 0;
};
static_assert(sizeof(Message) == 16);
Message MakeMessage(uint64_t sequence) { return {sequence, sequence * 0x9E3779B97F4A7C15u}; }
bool operator==(const Message& a, const Message& b) { return a.sequence == b.sequence && a.check == b.check; }

// One page shared by two processes: one futex word and the message. The word says whose turn it is.
struct Slot {
  enum Turn : uint32_t { kIdle, kRequest, kReply, kStop };
  std::atomic<uint32_t> turn;
  alignas(64) Message message;
};
static_assert(sizeof(Slot) <= 4096);

long Futex(std::atomic<uint32_t>& word, int operation, uint32_t value) {
  return syscall(SYS_futex, reinterpret_cast<uint32_t*>(&word), operation, value, nullptr, nullptr, 0);
}

void PassTurn(Slot& slot, Slot::Turn turn, Wait peer) {
  slot.turn.store(turn, std::memory_order_release);
  if (peer != Wait::kSpinOnly) Futex(slot.turn, FUTEX_WAKE, 1);
}

// Waits while the turn is `busy` or nobody's; returns the new turn.
uint32_t AwaitTurn(Slot& slot, uint32_t busy, Wait wait) {
  const int64_t give_up = wait == Wait::kSpin ? NowNs() + kSpinNs : 0;
  while (true) {
    const uint32_t turn = slot.turn.load(std::memory_order_acquire);
    if (turn != busy && turn != Slot::kIdle) return turn;
    if (wait == Wait::kSpinOnly || (wait == Wait::kSpin && NowNs() < give_up)) {
      __builtin_ia32_pause();
      continue;
    }
    Futex(slot.turn, FUTEX_WAIT, turn);
  }
}

// The part of a floor that its processes share; made before the first fork.
struct Stage {
  const Floor& floor;
  Mode mode;
  Slot* slot = nullptr;
  UniqueFd listener;
  sockaddr_storage address{};
  socklen_t address_size = 0;
};

bool Listen(Stage& stage) {
  if (stage.floor.tcp) {
    auto* in = reinterpret_cast<sockaddr_in*>(&stage.address);
    in->sin_family = AF_INET;
    in->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    stage.address_size = sizeof *in;
  } else {
    // Autobind: the kernel chooses a name in the abstract namespace, so no file is left behind.
    stage.address.ss_family = AF_UNIX;
    stage.address_size = sizeof(sa_family_t);
  }
  stage.listener.Reset(socket(stage.address.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!stage.listener) return false;
  auto* address = reinterpret_cast<sockaddr*>(&stage.address);
  if (bind(stage.listener.get(), address, stage.address_size) != 0 || listen(stage.listener.get(), 1) != 0)
    return false;
  stage.address_size = sizeof stage.address;
  return getsockname(stage.listener.get(), address, &stage.address_size) == 0;
}

void SetNoDelay(const Floor& floor, int fd) {
  const int on = 1;
  if (floor.tcp) setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

UniqueFd Connect(const Stage& stage) {
  UniqueFd fd(socket(stage.address.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (connect(fd.get(), reinterpret_cast<const sockaddr*>(&stage.address), stage.address_size) != 0) return UniqueFd();
  SetNoDelay(stage.floor, fd.get());
  return fd;
}

UniqueFd Accept(const Stage& stage) {
  UniqueFd fd(accept4(stage.listener.get(), nullptr, nullptr, SOCK_CLOEXEC));
  SetNoDelay(stage.floor, fd.get());
  if (stage.floor.receive_timeout) {
    const timeval second{1, 0};
    setsockopt(fd.get(), SOL_SOCKET, SO_RCVTIMEO, &second, sizeof second);
  }
  return fd;
}

bool Send(int fd, const Message& message) { return send(fd, &message, sizeof message, MSG_NOSIGNAL) == sizeof message; }

// Receives one whole message as a blocking reader does; a time-out of SO_RCVTIMEO is waited through.
bool ReceiveBlocking(int fd, Message& message) {
  while (true) {
    const ssize_t got = recv(fd, &message, sizeof message, MSG_WAITALL);
    if (got == sizeof message) return true;
    if (got >= 0 || (errno != EAGAIN && errno != EINTR)) return false;
  }
}

bool ReceiveSpinning(int fd, Message& message) {
  const int64_t give_up = NowNs() + kSpinNs;
  do {
    const ssize_t got = recv(fd, &message, sizeof message, MSG_DONTWAIT);
    if (got == sizeof message) return true;
    if (got >= 0 || errno != EAGAIN) return false;
  } while (NowNs() < give_up);
  return ReceiveBlocking(fd, message);
}

// A socket and the way its reader waits. `epoll` is open for Wait::kEpoll only.
class Receiver {
 public:
  Receiver(int fd, Wait wait) : fd_(fd), wait_(wait) {
    if (wait != Wait::kEpoll) return;
    epoll_.Reset(epoll_create1(EPOLL_CLOEXEC));
    Arm(EPOLL_CTL_ADD);
  }
  // False when the peer is gone.
  bool Receive(Message& message) {
    switch (wait_) {
      case Wait::kSpin:
        return ReceiveSpinning(fd_, message);
      case Wait::kPollThenRecv: {
        pollfd entry{fd_, POLLIN, 0};
        poll(&entry, 1, -1);
        return ReceiveBlocking(fd_, message);
      }
      case Wait::kPeek:
        if (recv(fd_, &message, sizeof message, MSG_PEEK) <= 0) return false;
        return ReceiveBlocking(fd_, message);
      case Wait::kEpoll: {
        if (armed_) {
          epoll_event event;
          if (epoll_wait(epoll_.get(), &event, 1, -1) != 1) return false;
        }
        return ReceiveBlocking(fd_, message);
      }
      default:
        return ReceiveBlocking(fd_, message);
    }
  }
  // After the reply: the next message may wake anyone who waits in the epoll.
  void Done() {
    if (wait_ == Wait::kEpoll) Arm(EPOLL_CTL_MOD);
  }

 private:
  void Arm(int operation) {
    epoll_event event{};
    event.events = EPOLLIN | EPOLLRDHUP | EPOLLONESHOT;
    armed_ = epoll_ctl(epoll_.get(), operation, fd_, &event) == 0;
  }
  const int fd_;
  const Wait wait_;
  bool armed_ = false;
  UniqueFd epoll_;
};

bool PassDescriptor(int through, int fd) {
  char byte = 0;
  iovec vector{&byte, 1};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof fd)] = {};
  msghdr header{};
  header.msg_iov = &vector;
  header.msg_iovlen = 1;
  header.msg_control = control;
  header.msg_controllen = sizeof control;
  cmsghdr* message = CMSG_FIRSTHDR(&header);
  message->cmsg_level = SOL_SOCKET;
  message->cmsg_type = SCM_RIGHTS;
  message->cmsg_len = CMSG_LEN(sizeof fd);
  std::memcpy(CMSG_DATA(message), &fd, sizeof fd);
  return sendmsg(through, &header, MSG_NOSIGNAL) == 1;
}

UniqueFd TakeDescriptor(int through) {
  char byte;
  iovec vector{&byte, 1};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
  msghdr header{};
  header.msg_iov = &vector;
  header.msg_iovlen = 1;
  header.msg_control = control;
  header.msg_controllen = sizeof control;
  if (recvmsg(through, &header, MSG_CMSG_CLOEXEC) != 1) return UniqueFd();
  const cmsghdr* message = CMSG_FIRSTHDR(&header);
  if (message == nullptr || message->cmsg_type != SCM_RIGHTS) return UniqueFd();
  int fd;
  std::memcpy(&fd, CMSG_DATA(message), sizeof fd);
  return UniqueFd(fd);
}

void EchoOnSocket(int fd, Wait wait) {
  Receiver receiver(fd, wait);
  Message message;
  while (receiver.Receive(message)) {
    if (!Send(fd, message)) return;
    receiver.Done();
  }
}

void EchoOnSlot(Slot& slot, Wait wait) {
  uint32_t last = Slot::kReply;
  while (AwaitTurn(slot, last, wait) == Slot::kRequest) {
    const Message message = slot.message;
    slot.message = message;
    PassTurn(slot, Slot::kReply, wait);
  }
}

// The worker of kWorkerReply: takes requests from the slot, answers on the client's socket.
void AnswerOnSocket(Slot& slot, int fd) {
  while (AwaitTurn(slot, Slot::kReply, Wait::kBlock) == Slot::kRequest) {
    const Message message = slot.message;
    // Published before it is sent: the client's next request may come at once.
    slot.turn.store(Slot::kReply, std::memory_order_release);
    if (!Send(fd, message)) return;
  }
}

// Starts a role in a process of its own, on the servers' CPU, killed with its parent.
template <typename Role>
pid_t Fork(Mode mode, Role role) {
  const pid_t parent = getpid();
  const pid_t pid = fork();
  if (pid != 0) return pid;
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != parent || !PinTo(ServerCpu(mode))) _exit(1);
  role();
  _exit(0);
}

// The daemon of kRelay and kWorkerReply: waits on the client's socket, hands each request to the worker's slot.
void RelayToSlot(Stage& stage, int fd) {
  Slot& slot = *stage.slot;
  Receiver receiver(fd, stage.floor.server);
  Message message;
  while (receiver.Receive(message)) {
    slot.message = message;
    PassTurn(slot, Slot::kRequest, Wait::kBlock);
    if (stage.floor.path == Path::kRelay) {
      AwaitTurn(slot, Slot::kRequest, Wait::kBlock);
      if (!Send(fd, slot.message)) break;
    }
    receiver.Done();
  }
  PassTurn(slot, Slot::kStop, Wait::kBlock);
}

// The daemon of kLent: passes the socket to the worker and stays out of the way until the client is gone.
void LendSocket(const Stage& stage, int fd, int control) {
  PassDescriptor(control, fd);
  if (!stage.floor.watched) return;
  UniqueFd epoll(epoll_create1(EPOLL_CLOEXEC));
  epoll_event event{};
  event.events = EPOLLRDHUP;
  epoll_ctl(epoll.get(), EPOLL_CTL_ADD, fd, &event);
  epoll_wait(epoll.get(), &event, 1, -1);
}

void RunDaemon(Stage& stage) {
  if (stage.floor.batch) {
    const sched_param none{};
    sched_setscheduler(0, SCHED_BATCH, &none);
  }
  UniqueFd client = Accept(stage);
  stage.listener.Reset();
  int control[2];
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, control) != 0) _exit(1);
  const pid_t worker = Fork(stage.mode, [&] {
    close(control[0]);
    if (stage.floor.path == Path::kRelay) return EchoOnSlot(*stage.slot, Wait::kBlock);
    if (stage.floor.path == Path::kWorkerReply) return AnswerOnSocket(*stage.slot, client.get());
    client.Reset();
    client = TakeDescriptor(control[1]);
    EchoOnSocket(client.get(), stage.floor.server);
  });
  close(control[1]);
  if (stage.floor.path == Path::kLent) {
    LendSocket(stage, client.get(), control[0]);
  } else {
    RelayToSlot(stage, client.get());
  }
  client.Reset();
  waitpid(worker, nullptr, 0);
}

void RunServer(Stage& stage) {
  if (stage.floor.path == Path::kSharedSlot) return EchoOnSlot(*stage.slot, stage.floor.server);
  if (stage.floor.path != Path::kSocket) return RunDaemon(stage);
  const UniqueFd client = Accept(stage);
  stage.listener.Reset();
  EchoOnSocket(client.get(), stage.floor.server);
}

// One call by the client, there and back.
class Client {
 public:
  explicit Client(Stage& stage)
      : stage_(stage),
        fd_(stage.floor.path == Path::kSharedSlot ? UniqueFd() : Connect(stage)),
        receiver_(fd_.get(), stage.floor.client) {}
  bool Call(const Message& request, Message& reply) {
    if (stage_.floor.path != Path::kSharedSlot) return Send(fd_.get(), request) && receiver_.Receive(reply);
    stage_.slot->message = request;
    PassTurn(*stage_.slot, Slot::kRequest, stage_.floor.server);
    AwaitTurn(*stage_.slot, Slot::kRequest, stage_.floor.client);
    reply = stage_.slot->message;
    return true;
  }
  void Stop() {
    if (stage_.floor.path == Path::kSharedSlot) PassTurn(*stage_.slot, Slot::kStop, stage_.floor.server);
    fd_.Reset();
  }

 private:
  Stage& stage_;
  UniqueFd fd_;
  Receiver receiver_;
};

// Makes the calls; fills `latencies` in nanoseconds. An error is what went wrong.
std::string MakeCalls(Client& client, int calls, std::vector<int32_t>& latencies) {
  latencies.reserve(static_cast<size_t>(calls));
  for (int i = 0; i < calls + kWarmUp; ++i) {
    const Message request = MakeMessage(static_cast<uint64_t>(i) + 1);
    Message reply;
    const int64_t start = NowNs();
    if (!client.Call(request, reply)) return "the peer closed the connection";
    const int64_t end = NowNs();
    if (!(reply == request)) return "a reply does not hold what was sent";
    if (i >= kWarmUp) latencies.push_back(static_cast<int32_t>(end - start));
  }
  return "";
}

Sample Measure(Stage& stage, int calls) {
  const int64_t children_before = [] {
    rusage usage{};
    getrusage(RUSAGE_CHILDREN, &usage);
    return Switches(usage);
  }();
  const pid_t server = Fork(stage.mode, [&] { RunServer(stage); });
  Sample sample;
  std::vector<int32_t> latencies;
  const int64_t own_before = SwitchesOfSelf();
  {
    Client client(stage);
    sample.error = MakeCalls(client, calls, latencies);
    client.Stop();
  }
  const int64_t own = SwitchesOfSelf() - own_before;
  int status = 0;
  waitpid(server, &status, 0);
  if (sample.error.empty() && status != 0) sample.error = "the server process failed";
  rusage children{};
  getrusage(RUSAGE_CHILDREN, &children);
  sample.switches = static_cast<double>(own + Switches(children) - children_before) / (calls + kWarmUp);
  sample.p50 = Quantile(latencies, 0.50) / 1000.0;
  sample.p99 = Quantile(latencies, 0.99) / 1000.0;
  return sample;
}

// clang-format off
constexpr Floor kFloors[] = {
    {.name = "shm_spin", .path = Path::kSharedSlot, .client = Wait::kSpinOnly, .server = Wait::kSpinOnly, .in_1cpu = false, .what = "shared memory, both sides spin"},
    {.name = "shm_futex", .path = Path::kSharedSlot, .what = "shared memory, futex both ways"},
    {.name = "shm_spin_then_futex", .path = Path::kSharedSlot, .client = Wait::kSpin, .server = Wait::kSpin, .in_1cpu = false, .what = "shared memory, 50 us of spinning, then futex"},
    {.name = "raw_unix", .path = Path::kSocket, .what = "raw Unix socket"},
    {.name = "raw_unix_client_polls", .path = Path::kSocket, .client = Wait::kPollThenRecv, .what = "raw Unix socket, client calls poll before recv"},
    {.name = "raw_unix_epoll", .path = Path::kSocket, .server = Wait::kEpoll, .what = "raw Unix socket, server in epoll, one-shot, armed again"},
    {.name = "raw_unix_both_spin", .path = Path::kSocket, .client = Wait::kSpin, .server = Wait::kSpin, .in_1cpu = false, .what = "raw Unix socket, both sides try for 50 us before they block"},
    {.name = "raw_tcp", .path = Path::kSocket, .tcp = true, .what = "raw TCP loopback"},
    {.name = "raw_tcp_both_spin", .path = Path::kSocket, .tcp = true, .client = Wait::kSpin, .server = Wait::kSpin, .in_1cpu = false, .what = "raw TCP loopback, both sides try for 50 us"},
    {.name = "relay_unix", .path = Path::kRelay, .what = "bare relay, daemon blocks in recv"},
    {.name = "relay_unix_client_polls", .path = Path::kRelay, .client = Wait::kPollThenRecv, .what = "bare relay, client calls poll before recv"},
    {.name = "relay_unix_epoll", .path = Path::kRelay, .server = Wait::kEpoll, .what = "bare relay, daemon in epoll, one-shot, armed again"},
    {.name = "relay_unix_epoll_client_polls", .path = Path::kRelay, .client = Wait::kPollThenRecv, .server = Wait::kEpoll, .what = "the same, client calls poll before recv"},
    {.name = "relay_unix_rcvtimeo", .path = Path::kRelay, .receive_timeout = true, .what = "bare relay, daemon blocks in recv with SO_RCVTIMEO"},
    {.name = "relay_unix_batch", .path = Path::kRelay, .batch = true, .what = "bare relay, daemon is SCHED_BATCH"},
    {.name = "relay_unix_spin", .path = Path::kRelay, .client = Wait::kSpin, .server = Wait::kSpin, .in_1cpu = false, .what = "bare relay, client and daemon try for 50 us"},
    {.name = "relay_tcp", .path = Path::kRelay, .tcp = true, .what = "bare relay over TCP, daemon blocks in recv"},
    {.name = "relay_tcp_epoll", .path = Path::kRelay, .tcp = true, .server = Wait::kEpoll, .what = "bare relay over TCP, daemon in epoll"},
    {.name = "worker_reply_unix", .path = Path::kWorkerReply, .what = "request through the daemon, reply by the worker"},
    {.name = "worker_reply_unix_spin", .path = Path::kWorkerReply, .client = Wait::kSpin, .server = Wait::kSpin, .in_1cpu = false, .what = "the same, client and daemon try for 50 us"},
    {.name = "lent_unix", .path = Path::kLent, .what = "lent socket, worker blocks in recv"},
    {.name = "lent_unix_client_polls", .path = Path::kLent, .client = Wait::kPollThenRecv, .what = "lent socket, client calls poll before recv"},
    {.name = "lent_unix_peek", .path = Path::kLent, .server = Wait::kPeek, .what = "lent socket, worker peeks, then receives"},
    {.name = "lent_unix_rcvtimeo", .path = Path::kLent, .receive_timeout = true, .what = "lent socket with SO_RCVTIMEO"},
    {.name = "lent_unix_watched", .path = Path::kLent, .watched = true, .what = "lent socket, daemon keeps it in its epoll for EPOLLRDHUP"},
    {.name = "lent_unix_spin", .path = Path::kLent, .client = Wait::kSpin, .server = Wait::kSpin, .in_1cpu = false, .what = "lent socket, client and worker try for 50 us"},
    {.name = "lent_unix_spin_rcvtimeo", .path = Path::kLent, .client = Wait::kSpin, .server = Wait::kSpin, .receive_timeout = true, .in_1cpu = false, .what = "the same with SO_RCVTIMEO"},
    {.name = "lent_tcp", .path = Path::kLent, .tcp = true, .what = "lent TCP connection, worker blocks in recv"},
    {.name = "lent_tcp_spin", .path = Path::kLent, .tcp = true, .client = Wait::kSpin, .server = Wait::kSpin, .in_1cpu = false, .what = "lent TCP connection, client and worker try for 50 us"},
};
// clang-format on

}  // namespace

std::span<const Floor> Floors() { return kFloors; }

const Floor* FindFloor(std::string_view name) {
  for (const Floor& floor : kFloors) {
    if (floor.name == name) return &floor;
  }
  return nullptr;
}

Sample Run(const Floor& floor, Mode mode, int calls) {
  cpu_set_t before;
  sched_getaffinity(0, sizeof before, &before);
  Stage stage{.floor = floor, .mode = mode, .listener = UniqueFd()};
  Sample sample;
  if (!PinTo(0)) {
    sample.error = "this process cannot be pinned to CPU 0";
    return sample;
  }
  void* page = mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (page == MAP_FAILED || (floor.path != Path::kSharedSlot && !Listen(stage))) {
    sample.error = std::string("the floor cannot be set up: ") + std::strerror(errno);
  } else {
    stage.slot = new (page) Slot{};
    sample = Measure(stage, calls);
  }
  if (page != MAP_FAILED) munmap(page, 4096);
  sched_setaffinity(0, sizeof before, &before);
  return sample;
}

}  // namespace rbc::bench
