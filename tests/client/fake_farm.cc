// A farm in this process, as far as a client can tell.
// SPDX-License-Identifier: Apache-2.0
#include "tests/client/fake_farm.h"

#include <sys/socket.h>
#include <sys/un.h>
#include <thrift/protocol/TBinaryProtocol.h>
#include <thrift/server/TThreadedServer.h>
#include <thrift/transport/TBufferTransports.h>
#include <thrift/transport/TServerSocket.h>
#include <thrift/transport/TSocket.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <future>
#include <iterator>

#include "thrift/handle.h"
#include "types/frame.h"

namespace rbc::test {

using namespace apache::thrift;  // NOLINT(google-build-using-namespace)

TempDir::TempDir() {
  std::string pattern = (std::filesystem::temp_directory_path() / "rbc-client-XXXXXX").string();
  path_ = ::mkdtemp(pattern.data());
}
TempDir::~TempDir() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

void Throw(wire::ErrorKind::type kind, const std::string& message) {
  wire::FarmError error;
  error.kind = kind;
  error.message = message;
  throw error;
}

namespace {

thread_local std::shared_ptr<transport::TTransport> this_connection;

// Remembers the connection that a thread serves, so that a handler can break it.
class Watcher : public server::TServerEventHandler {
 public:
  Watcher(FakeFarm* farm, std::promise<void> listens) : farm_(farm), listens_(std::move(listens)) {}
  void preServe() override { listens_.set_value(); }
  void* createContext(std::shared_ptr<protocol::TProtocol> input, std::shared_ptr<protocol::TProtocol>) override {
    this_connection = input->getTransport();
    ++farm_->connections;
    return nullptr;
  }
  void deleteContext(void*, std::shared_ptr<protocol::TProtocol>, std::shared_ptr<protocol::TProtocol>) override {
    this_connection.reset();
    --farm_->connections;
  }

 private:
  FakeFarm* farm_;
  std::promise<void> listens_;
};

void BreakConnection() {
  if (this_connection) this_connection->close();
  Throw(wire::ErrorKind::Internal, "nobody reads this");
}

template <typename T>
wire::CallReply Sum(const std::string& frame) {
  T a, b;
  std::memcpy(&a, frame.data(), sizeof a);
  std::memcpy(&b, frame.data() + sizeof a, sizeof b);
  const T sum = a + b;
  wire::CallReply reply;
  reply.result.assign(reinterpret_cast<const char*>(&sum), sizeof sum);
  return reply;
}

wire::CallReply AddUp(const wire::FunctionDeclaration& function, const wire::CallRequest& request) {
  if (function.signature == "float64(float64, float64)") return Sum<double>(request.frame);
  if (function.signature == "int64(int64, int64)") return Sum<int64_t>(request.frame);
  Throw(wire::ErrorKind::Unsupported, "this farm adds only");
}

}  // namespace

FakeFarm::FakeFarm(std::string socket_path) : path_(std::move(socket_path)), reply_(AddUp) {
  next_ = std::chrono::steady_clock::now().time_since_epoch().count();
  const std::shared_ptr<FakeFarm> self(std::shared_ptr<FakeFarm>(), this);
  server_ = std::make_shared<server::TThreadedServer>(
      std::make_shared<wire::FarmProcessor>(self), std::make_shared<transport::TServerSocket>(path_),
      std::make_shared<transport::TFramedTransportFactory>(), std::make_shared<protocol::TBinaryProtocolFactory>());
  std::promise<void> promise;
  auto listens = promise.get_future();
  server_->setServerEventHandler(std::make_shared<Watcher>(this, std::move(promise)));
  thread_ = std::thread([server = server_] { server->serve(); });
  listens.wait();
}

void FakeFarm::Stop() {
  if (!thread_.joinable()) return;
  server_->stop();
  thread_.join();
  ::unlink(path_.c_str());
}

FakeFarm::~FakeFarm() { Stop(); }

void FakeFarm::SetCall(Reply reply) {
  const std::lock_guard lock(mutex_);
  reply_ = std::move(reply);
}

void FakeFarm::ForgetSessions() {
  const std::lock_guard lock(mutex_);
  sessions_.clear();
  modules_.clear();
  ran_.clear();
}

void FakeFarm::ForgetModules() {
  const std::lock_guard lock(mutex_);
  modules_.clear();
}

std::vector<std::string> FakeFarm::Symbols() {
  const std::lock_guard lock(mutex_);
  std::vector<std::string> out;
  if (!modules_.empty())
    for (const auto& f : modules_.rbegin()->second.request.functions) out.push_back(f.symbol);
  return out;
}

void FakeFarm::FillHello(wire::HelloReply& out, int64_t session) {
  out.protocol_major = protocol_major;
  out.protocol_minor = 0;
  out.farm_id = "fake";
  out.session_id = session;
  out.secret = std::string(16, 's');
  out.farm_version = "0.1.0";
  out.llvm_version = "22.1.8";
  out.max_message = max_message;
  targets(out.targets);
}

void FakeFarm::hello(wire::HelloReply& out, const wire::HelloRequest&) {
  ++hellos;
  const std::lock_guard lock(mutex_);
  const int64_t session = next_++;
  sessions_.insert(session);
  FillHello(out, session);
}

void FakeFarm::attach(wire::HelloReply& out, const wire::AttachRequest& request) {
  ++attaches;
  const std::lock_guard lock(mutex_);
  if (!sessions_.contains(request.session_id) || request.secret != std::string(16, 's'))
    Throw(wire::ErrorKind::UnknownSession, "no such session");
  FillHello(out, request.session_id);
}

void FakeFarm::targets(std::vector<wire::TargetInfo>& out) {
  wire::TargetInfo host;
  host.name = "host";
  host.triple = "x86_64-unknown-linux-gnu";
  host.cpu = "fake-cpu";
  host.pointer_bits = 64;
  host.llvm_version = "22.1.8";
  out = {host};
}

void FakeFarm::FillCompile(wire::CompileReply& out, int64_t module_id, bool cached) {
  const Module& module = modules_.at(module_id);
  out.handle = module.request.handle;
  out.module_id = module_id;
  out.cached = cached;
  out.repeatable = repeatable;
  for (size_t i = 0; i < module.request.functions.size(); ++i) {
    wire::FunctionInfo info;
    info.function_id = module.function_ids[i];
    info.symbol = module.request.functions[i].symbol;
    info.signature = module.request.functions[i].signature;
    info.abi = module.request.functions[i].abi;
    const auto type = types::Type::Parse(info.signature);
    const auto layout = types::FrameLayout::Make(*type);
    info.frame_size = static_cast<int32_t>(layout->fixed_size());
    info.result_size = static_cast<int32_t>(layout->result_size());
    out.functions.push_back(info);
  }
}

void FakeFarm::compile(wire::CompileReply& out, const wire::CompileRequest& request) {
  ++compiles;
  const std::lock_guard lock(mutex_);
  for (const auto& [id, module] : modules_)
    if (module.request.handle == request.handle) return FillCompile(out, id, true);
  if (!request.__isset.ir) Throw(wire::ErrorKind::UnknownModule, "send the IR");
  ++compiles_with_ir;
  const Digest handle = HandleOf(request.target, request.functions, request.options, request.ir);
  if (request.handle != Bytes(handle)) Throw(wire::ErrorKind::InvalidArgument, "the handle is not that of the module");
  if (request.ir.find("BROKEN") != std::string::npos) {
    wire::FarmError error;
    error.kind = wire::ErrorKind::InvalidModule;
    error.message = "the module does not parse";
    error.__set_role("compile worker");
    wire::Diagnostic d;
    d.severity = wire::Severity::Error;
    d.message = "expected top-level entity";
    d.line = 1;
    d.column = 1;
    d.source_line = "BROKEN";
    error.__set_diagnostics({d});
    throw error;
  }
  const int64_t id = next_++;
  Module& module = modules_[id];
  module.request = request;
  for (size_t i = 0; i < request.functions.size(); ++i) module.function_ids.push_back(next_++);
  FillCompile(out, id, false);
}

void FakeFarm::emit(wire::EmitReply& out, const wire::EmitRequest& request) {
  ++emits;
  out.code = std::string(request.emit == wire::Emit::Ir ? "; printed by the farm\n" : "object of ") +
             std::to_string(request.ir.size()) + "\n";
}

const wire::FunctionDeclaration* FakeFarm::Find(int64_t function_id, int64_t* module_id) {
  for (auto& [id, module] : modules_)
    for (size_t i = 0; i < module.function_ids.size(); ++i)
      if (module.function_ids[i] == function_id) {
        if (module_id != nullptr) *module_id = id;
        return &module.request.functions[i];
      }
  return nullptr;
}

void FakeFarm::call(wire::CallReply& out, const wire::CallRequest& request) {
  if (break_before_call > 0) {
    --break_before_call;
    BreakConnection();
  }
  ++calls;
  last_deadline_ms = request.__isset.deadline_ms ? request.deadline_ms : -1;
  Reply reply;
  wire::FunctionDeclaration function;
  {
    const std::lock_guard lock(mutex_);
    const auto* found = Find(request.function_id);
    if (found == nullptr) Throw(wire::ErrorKind::UnknownModule, "no such function");
    function = *found;
    reply = reply_;
  }
  out = reply(function, request);
  const std::lock_guard lock(mutex_);
  ran_[request.request_id] = out;
  if (break_after_call > 0) {
    --break_after_call;
    BreakConnection();
  }
}

void FakeFarm::unload(int64_t module_id) {
  ++unloads;
  const std::lock_guard lock(mutex_);
  // A published module outlives its sessions.
  const bool published =
      std::any_of(names_.begin(), names_.end(), [&](const auto& name) { return name.second.first == module_id; });
  if (!published) modules_.erase(module_id);
}

void FakeFarm::publish(const wire::PublishRequest& request) {
  const std::lock_guard lock(mutex_);
  names_[request.name] = {request.module_id, request.function_id};
}

void FakeFarm::withdraw(const std::string& name) {
  const std::lock_guard lock(mutex_);
  if (names_.erase(name) == 0) Throw(wire::ErrorKind::UnknownName, "nothing is published as '" + name + "'");
}

void FakeFarm::lookup(wire::PublishedFunction& out, const std::string& name) {
  const std::lock_guard lock(mutex_);
  const auto found = names_.find(name);
  if (found == names_.end()) Throw(wire::ErrorKind::UnknownName, "nothing is published as '" + name + "'");
  const auto* declaration = Find(found->second.second);
  out.name = name;
  out.info.function_id = found->second.second;
  out.info.symbol = declaration->symbol;
  out.info.signature = declaration->signature;
  out.info.abi = declaration->abi;
  out.module_id = found->second.first;
  out.target = "host";
}

void FakeFarm::get_ir(std::string& out, int64_t module_id) {
  const std::lock_guard lock(mutex_);
  out = modules_.at(module_id).request.ir;
}

bool FakeFarm::cancel(int64_t) {
  ++cancels;
  return true;
}

void FakeFarm::outcome(wire::CallOutcome& out, int64_t request_id) {
  ++outcomes;
  const std::lock_guard lock(mutex_);
  const auto found = ran_.find(request_id);
  if (found == ran_.end()) Throw(wire::ErrorKind::UnknownName, "that call never started");
  if (remembers_outcome) {
    out.__set_reply(found->second);
    return;
  }
  wire::FarmError error;
  error.kind = wire::ErrorKind::WorkerLost;
  error.message = "the worker is gone";
  error.__set_may_have_run(true);
  out.__set_error(error);
}

void FakeFarm::status(wire::FarmStatus& out) {
  out.farm_id = "fake";
  out.json = R"({"sessions": 1})";
}

void FakeFarm::ring(wire::RingReply&, int64_t) { Throw(wire::ErrorKind::Unsupported, "this farm shares no lanes"); }
void FakeFarm::ring_reply(std::string&) { Throw(wire::ErrorKind::InvalidArgument, "this connection has no ring"); }

void FakeFarm::buffer_create(wire::BufferInfo& out, const wire::BufferSpec& spec) {
  const std::lock_guard lock(mutex_);
  out.id = next_++;
  out.name = spec.name;
  out.dtype = spec.dtype;
  out.shape = spec.shape;
  buffers_[out.id] = out;
}

void FakeFarm::buffer_free(int64_t id) {
  const std::lock_guard lock(mutex_);
  if (buffers_.erase(id) == 0) Throw(wire::ErrorKind::BufferLost, "no such buffer");
}

void FakeFarm::buffers(std::vector<wire::BufferInfo>& out) {
  const std::lock_guard lock(mutex_);
  for (const auto& [id, info] : buffers_) out.push_back(info);
}

void FakeFarm::buffer_info(wire::BufferInfo& out, int64_t id) {
  const std::lock_guard lock(mutex_);
  if (!buffers_.contains(id)) Throw(wire::ErrorKind::BufferLost, "no such buffer");
  out = buffers_.at(id);
}

void FakeFarm::arena(wire::ArenaReply&) { Throw(wire::ErrorKind::Unsupported, "this farm shares no memory"); }

bool AwaitSleepingThreads() {
  const auto asleep = [](const std::string& task) {
    std::ifstream in(task + "/stat");
    std::string text((std::istreambuf_iterator<char>(in)), std::istreambuf_iterator<char>());
    const size_t name_end = text.rfind(')');
    return name_end == std::string::npos || text.substr(name_end, 3) == ") S";
  };
  const std::string own = std::to_string(::gettid());
  for (int i = 0; i < 30'000; ++i) {
    bool all = true;
    for (const auto& task : std::filesystem::directory_iterator("/proc/self/task"))
      all = all && (task.path().filename() == own || asleep(task.path().string()));
    if (all) return true;
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  return false;
}

// ---- a server without manners ----------------------------------------------------------------------------------

RudeServer::RudeServer(std::string path, std::function<void(int fd)> serve) : path_(std::move(path)) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::strncpy(address.sun_path, path_.c_str(), sizeof address.sun_path - 1);
  listener_ = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  ::bind(listener_, reinterpret_cast<sockaddr*>(&address), sizeof address);
  ::listen(listener_, 16);
  acceptor_ = std::thread([this, serve] {
    for (;;) {
      const int fd = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
      if (fd < 0) return;
      const std::lock_guard lock(mutex_);
      open_.push_back(fd);
      threads_.emplace_back([this, fd, serve] {
        serve(fd);
        const std::lock_guard inner(mutex_);
        std::erase(open_, fd);
        ::close(fd);
      });
    }
  });
}

RudeServer::~RudeServer() {
  ::shutdown(listener_, SHUT_RDWR);
  acceptor_.join();
  ::close(listener_);
  {
    const std::lock_guard lock(mutex_);
    for (const int fd : open_) ::shutdown(fd, SHUT_RDWR);
  }
  for (std::thread& thread : threads_) thread.join();
}

std::string ReadFrame(int fd) {
  const auto read = [fd](char* to, size_t size) {
    for (size_t have = 0; have < size;) {
      const ssize_t n = ::recv(fd, to + have, size - have, 0);
      if (n <= 0) return false;
      have += static_cast<size_t>(n);
    }
    return true;
  };
  uint32_t size = 0;
  if (!read(reinterpret_cast<char*>(&size), 4)) return "";
  std::string message(__builtin_bswap32(size), '\0');
  return read(message.data(), message.size()) ? message : "";
}

void WriteFrame(int fd, const std::string& message) {
  const uint32_t size = __builtin_bswap32(static_cast<uint32_t>(message.size()));
  std::string all(reinterpret_cast<const char*>(&size), 4);
  all += message;
  (void)::send(fd, all.data(), all.size(), MSG_NOSIGNAL);
}

std::string MethodOf(const std::string& message) {
  uint32_t size = 0;
  std::memcpy(&size, message.data() + 4, 4);
  return message.substr(8, __builtin_bswap32(size));
}

int32_t SequenceOf(const std::string& message) {
  uint32_t number = 0;
  std::memcpy(&number, message.data() + 8 + MethodOf(message).size(), 4);
  return static_cast<int32_t>(__builtin_bswap32(number));
}

template <typename Result>
std::string EncodeReply(const std::string& method, int32_t sequence, const Result& result) {
  const auto buffer = std::make_shared<transport::TMemoryBuffer>();
  protocol::TBinaryProtocol out(buffer);
  out.writeMessageBegin(method, protocol::T_REPLY, sequence);
  result.write(&out);
  out.writeMessageEnd();
  return buffer->getBufferAsString();
}

template std::string EncodeReply(const std::string&, int32_t, const wire::Farm_call_result&);
template std::string EncodeReply(const std::string&, int32_t, const wire::Farm_call_batch_result&);
template std::string EncodeReply(const std::string&, int32_t, const wire::Farm_hello_result&);
template std::string EncodeReply(const std::string&, int32_t, const wire::Farm_compile_result&);
template std::string EncodeReply(const std::string&, int32_t, const wire::Farm_targets_result&);

}  // namespace rbc::test
