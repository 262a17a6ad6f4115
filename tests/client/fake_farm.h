// A farm in this process, as far as a client can tell: the generated processor over a Unix socket, calls by C++
// lambdas.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <condition_variable>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "gen/Farm.h"

namespace apache::thrift::server {
class TThreadedServer;
}

namespace rbc::test {

// A directory of this test, removed with it.
class TempDir {
 public:
  TempDir();
  ~TempDir();
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

// Sessions, modules and names as a farm keeps them; each behaviour that a test wants is a member to be set beforehand.
class FakeFarm : public wire::FarmIf {
 public:
  explicit FakeFarm(std::string socket_path);
  ~FakeFarm() override;  // closes every connection
  std::string address() const { return "unix:" + path_; }
  void Stop();

  using Reply =
      std::function<wire::CallReply(const wire::FunctionDeclaration& function, const wire::CallRequest& request)>;
  // What a call does. Default: adds up the two numbers of float64 and int64 functions.
  void SetCall(Reply reply);

  // Drops everything that clients have here, as a restart does.
  void ForgetSessions();
  void ForgetModules();

  std::atomic<int> hellos{0}, attaches{0}, compiles{0}, compiles_with_ir{0}, calls{0}, unloads{0}, outcomes{0},
      cancels{0}, emits{0};
  std::atomic<int> connections{0};
  std::atomic<bool> repeatable{false};
  // The next so many calls: the connection is closed before (never started) or after the call ran.
  std::atomic<int> break_before_call{0}, break_after_call{0};
  // outcome() of a call that ran says so; false: it lost its memory of it.
  std::atomic<bool> remembers_outcome{true};
  std::atomic<int64_t> max_message{1 << 24};
  std::atomic<int32_t> last_deadline_ms{-1};
  std::atomic<int> protocol_major{1};
  std::vector<std::string> Symbols();  // declared by the last compile

  void hello(wire::HelloReply& out, const wire::HelloRequest& request) override;
  void attach(wire::HelloReply& out, const wire::AttachRequest& request) override;
  void bye() override {}
  void targets(std::vector<wire::TargetInfo>& out) override;
  void compile(wire::CompileReply& out, const wire::CompileRequest& request) override;
  void emit(wire::EmitReply& out, const wire::EmitRequest& request) override;
  void call(wire::CallReply& out, const wire::CallRequest& request) override;
  void call_batch(std::vector<wire::CallOutcome>&, const std::vector<wire::CallRequest>&) override {}
  void map_rows(wire::MapReply&, const wire::MapRequest&) override {}
  void map_arrays(wire::ArrayReply&, const wire::ArrayMapRequest&) override {}
  void reduce_array(wire::ArrayReply&, const wire::ArrayReduceRequest&) override {}
  void scan_array(wire::ArrayReply&, const wire::ArrayScanRequest&) override {}
  void chain(std::vector<wire::ChainOutcome>&, const wire::ChainRequest&) override {}
  void launch(wire::CallReply&, const wire::LaunchRequest&) override {}
  void unload(int64_t module_id) override;
  void publish(const wire::PublishRequest& request) override;
  void withdraw(const std::string& name) override;
  void lookup(wire::PublishedFunction& out, const std::string& name) override;
  void get_ir(std::string& out, int64_t module_id) override;
  bool cancel(int64_t request_id) override;
  void outcome(wire::CallOutcome& out, int64_t request_id) override;
  void status(wire::FarmStatus& out) override;
  void ring(wire::RingReply& out, int64_t function_id) override;  // none here: Unsupported
  void ring_reply(std::string& out) override;
  void buffer_create(wire::BufferInfo& out, const wire::BufferSpec& spec) override;
  void buffer_free(int64_t id) override;
  void buffers(std::vector<wire::BufferInfo>& out) override;
  void buffer_info(wire::BufferInfo& out, int64_t id) override;
  bool buffer_recall(int64_t, const std::string&) override { return false; }
  void buffer_copy(const wire::ArrayRef&, const wire::ArrayRef&) override {}
  void arena(wire::ArenaReply& out) override;  // none here: Unsupported

 private:
  struct Module {
    wire::CompileRequest request;
    std::vector<int64_t> function_ids;
  };
  void FillHello(wire::HelloReply& out, int64_t session);
  void FillCompile(wire::CompileReply& out, int64_t module_id, bool cached);
  const wire::FunctionDeclaration* Find(int64_t function_id, int64_t* module_id = nullptr);

  std::string path_;
  std::mutex mutex_;
  std::set<int64_t> sessions_;
  std::map<int64_t, Module> modules_;  // by id
  std::map<int64_t, wire::CallReply> ran_;
  std::map<int64_t, wire::BufferInfo> buffers_;
  std::map<std::string, std::pair<int64_t, int64_t>> names_;  // module, function
  Reply reply_;
  int64_t next_ = 1;
  std::shared_ptr<apache::thrift::server::TThreadedServer> server_;
  std::thread thread_;
};

[[noreturn]] void Throw(wire::ErrorKind::type kind, const std::string& message);

// Waits until all threads of this process but the caller's wait for something. False: they do not.
bool AwaitSleepingThreads();

// Accepts connections on a Unix socket and hands each descriptor to `serve` on a thread of its own; closes it after.
class RudeServer {
 public:
  RudeServer(std::string path, std::function<void(int fd)> serve);
  ~RudeServer();
  std::string address() const { return "unix:" + path_; }

 private:
  std::string path_;
  int listener_;
  std::thread acceptor_;
  std::mutex mutex_;
  std::vector<std::thread> threads_;
  std::vector<int> open_;
};

// A framed, strict binary message of the generated code, without its length: what a farm answers to `method`.
template <typename Result>
std::string EncodeReply(const std::string& method, int32_t sequence, const Result& result);
// One frame without its length; empty at the end.
std::string ReadFrame(int fd);
void WriteFrame(int fd, const std::string& message);
int32_t SequenceOf(const std::string& message);
std::string MethodOf(const std::string& message);

}  // namespace rbc::test
