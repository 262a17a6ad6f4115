// A thin client over the generated Thrift code: what a stock client of another language could do, nothing more.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/expected.h"
#include "gen/Farm.h"
#include "types/pack.h"
#include "types/value.h"

namespace rbc::harness {

using types::Value;

// A module as a client declares it.
struct Module {
  std::string ir;
  std::vector<wire::FunctionDeclaration> functions;
  wire::CompileOptions options;
  std::string target = "host";
};
wire::FunctionDeclaration Declare(std::string symbol, std::string signature, wire::Abi::type abi = wire::Abi::Direct);
// One function, at O2 unless said otherwise.
Module MakeModule(std::string ir, std::string symbol, std::string signature, wire::Abi::type abi = wire::Abi::Direct,
                  int opt_level = 2);
// With its handle; `with_ir` false only asks.
wire::CompileRequest RequestFor(const Module& module, bool with_ir = true);

struct CallOptions {
  int64_t request_id = 0;
  std::optional<int32_t> deadline_ms{};
};
struct CallResult {
  Value value;
  int status = 0;
  std::string output;
};

struct ConnectOptions {
  std::chrono::milliseconds timeout{60'000};  // of any single answer
  std::string name_space{};
  int protocol_major = 1;
};

// One connection. One thread at a time, except where a method says otherwise.
class Client {
 public:
  // Connects to "unix:PATH" or "HOST:PORT"; says nothing yet.
  static Expected<Client> Open(const std::string& address, const ConnectOptions& options = {});
  // Open and hello.
  static Expected<Client> Connect(const std::string& address, const ConnectOptions& options = {});
  // Another connection of the same session.
  Expected<Client> Attach() const;

  const wire::HelloReply& session() const { return session_; }
  const std::string& address() const { return address_; }

  Expected<wire::HelloReply> Hello(const wire::HelloRequest& request);
  Expected<wire::HelloReply> AttachTo(const wire::AttachRequest& request);
  Expected<wire::CompileReply> Compile(const wire::CompileRequest& request);
  Expected<wire::CompileReply> Compile(const Module& module) { return Compile(RequestFor(module)); }
  // The first function of a module, ready to be called.
  Expected<wire::FunctionInfo> Load(const Module& module);
  Expected<wire::EmitReply> EmitCode(const Module& module, wire::Emit::type emit);
  Expected<CallResult> Call(const wire::FunctionInfo& function, const std::vector<Value>& arguments,
                            const CallOptions& options = {});
  Expected<wire::CallReply> CallRaw(const wire::CallRequest& request);
  // Sends the request and waits for nothing.
  Status SendCall(const wire::CallRequest& request);
  Expected<std::vector<wire::CallOutcome>> CallBatch(const std::vector<wire::CallRequest>& requests);
  Expected<wire::CallOutcome> Outcome(int64_t request_id);
  Expected<bool> Cancel(int64_t request_id);
  Status Unload(int64_t module_id);
  Expected<wire::BufferInfo> CreateBuffer(const wire::BufferSpec& spec);
  Status Publish(const wire::PublishRequest& request);
  Status Withdraw(const std::string& name);
  Expected<wire::PublishedFunction> Lookup(const std::string& name);
  Expected<std::string> GetIr(int64_t module_id);
  Expected<std::vector<wire::TargetInfo>> Targets();
  Expected<wire::FarmStatus> FarmState();
  Status Bye();
  // Closes the socket without a word.
  void Drop();

 private:
  Client() = default;
  template <typename F>
  auto Guard(F&& body) -> Expected<decltype(body())>;
  std::string address_;
  ConnectOptions options_;
  std::shared_ptr<apache::thrift::transport::TTransport> transport_;
  std::unique_ptr<wire::FarmClient> wire_;
  wire::HelloReply session_;
  std::map<std::string, types::FrameLayout> layouts_;
};

// A call's request with its packed arguments. Throws std::runtime_error where they do not fit the signature.
wire::CallRequest PackRequest(const wire::FunctionInfo& function, const std::vector<Value>& arguments,
                              const CallOptions& options = {});

// "RemoteCrash (role, function, cause, signal 11): message", for test output.
std::string Describe(const Error& error);

// The value, or an exception that fails the test with what it was about.
template <typename T>
T Must(Expected<T> result, const std::string& what = "") {
  if (!result.has_value()) throw std::runtime_error(what + ": " + Describe(result.error()));
  if constexpr (!std::is_void_v<T>) return std::move(result).value();
}
// The error; a value fails the test.
template <typename T>
Error MustFail(Expected<T> result, const std::string& what = "") {
  if (result.has_value()) throw std::runtime_error(what + ": succeeded, an error was due");
  return std::move(result).error();
}

}  // namespace rbc::harness
