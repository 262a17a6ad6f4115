// A thin client over the generated Thrift code.
// SPDX-License-Identifier: Apache-2.0
#include "tests/harness/client.h"

#include <thrift/TConfiguration.h>
#include <thrift/protocol/TBinaryProtocol.h>
#include <thrift/transport/TBufferTransports.h>
#include <thrift/transport/TSocket.h>

#include "thrift/error_wire.h"
#include "thrift/handle.h"

namespace rbc::harness {

namespace {

namespace transport = apache::thrift::transport;

std::shared_ptr<transport::TSocket> MakeSocket(const std::string& address) {
  const auto limits = std::make_shared<apache::thrift::TConfiguration>(256 << 20, 256 << 20, 64);
  if (address.starts_with("unix:")) return std::make_shared<transport::TSocket>(address.substr(5), limits);
  const size_t colon = address.rfind(':');
  return std::make_shared<transport::TSocket>(address.substr(0, colon), std::stoi(address.substr(colon + 1)), limits);
}

wire::HelloRequest HelloFor(const ConnectOptions& options) {
  wire::HelloRequest request;
  request.protocol_major = options.protocol_major;
  request.protocol_minor = 0;
  request.client = "harness";
  if (!options.name_space.empty()) request.__set_name_space(options.name_space);
  return request;
}

}  // namespace

wire::FunctionDeclaration Declare(std::string symbol, std::string signature, wire::Abi::type abi) {
  wire::FunctionDeclaration declaration;
  declaration.symbol = std::move(symbol);
  declaration.signature = std::move(signature);
  declaration.abi = abi;
  return declaration;
}

Module MakeModule(std::string ir, std::string symbol, std::string signature, wire::Abi::type abi, int opt_level) {
  Module module;
  module.ir = std::move(ir);
  module.functions = {Declare(std::move(symbol), std::move(signature), abi)};
  module.options.opt_level = opt_level;
  return module;
}

wire::CompileRequest RequestFor(const Module& module, bool with_ir) {
  wire::CompileRequest request;
  request.handle = Bytes(HandleOf(module.target, module.functions, module.options, module.ir));
  request.target = module.target;
  request.functions = module.functions;
  request.options = module.options;
  if (with_ir) request.__set_ir(module.ir);
  return request;
}

template <typename F>
auto Client::Guard(F&& body) -> Expected<decltype(body())> {
  try {
    if constexpr (std::is_void_v<decltype(body())>) {
      body();
      return {};
    } else {
      return body();
    }
  } catch (const wire::FarmError& error) {
    return FromWire(error);
  } catch (const transport::TTransportException& error) {
    transport_->close();
    return Error(ErrorKind::kConnectionLost, error.what());
  } catch (const apache::thrift::TException& error) {
    return Error(ErrorKind::kInternal, std::string("the reply is no Thrift message of this service: ") + error.what());
  }
}

Expected<Client> Client::Open(const std::string& address, const ConnectOptions& options) {
  Client client;
  client.address_ = address;
  client.options_ = options;
  const auto socket = MakeSocket(address);
  const int limit = static_cast<int>(options.timeout.count());
  socket->setConnTimeout(limit);
  socket->setRecvTimeout(limit);
  socket->setSendTimeout(limit);
  socket->setNoDelay(true);
  client.transport_ = std::make_shared<transport::TFramedTransport>(socket, socket->getConfiguration());
  client.wire_ = std::make_unique<wire::FarmClient>(
      std::make_shared<apache::thrift::protocol::TBinaryProtocol>(client.transport_));
  RBC_RETURN_IF_ERROR(client.Guard([&] { client.transport_->open(); }));
  return client;
}

Expected<Client> Client::Connect(const std::string& address, const ConnectOptions& options) {
  RBC_ASSIGN_OR_RETURN(Client client, Open(address, options));
  RBC_ASSIGN_OR_RETURN(client.session_, client.Hello(HelloFor(options)));
  return client;
}

Expected<Client> Client::Attach() const {
  RBC_ASSIGN_OR_RETURN(Client client, Open(address_, options_));
  wire::AttachRequest request;
  request.session_id = session_.session_id;
  request.secret = session_.secret;
  request.farm_id = session_.farm_id;
  RBC_ASSIGN_OR_RETURN(client.session_, client.AttachTo(request));
  client.session_.session_id = session_.session_id;
  client.session_.secret = session_.secret;
  return client;
}

Expected<wire::HelloReply> Client::Hello(const wire::HelloRequest& request) {
  return Guard([&] {
    wire::HelloReply reply;
    wire_->hello(reply, request);
    return reply;
  });
}
Expected<wire::HelloReply> Client::AttachTo(const wire::AttachRequest& request) {
  return Guard([&] {
    wire::HelloReply reply;
    wire_->attach(reply, request);
    return reply;
  });
}
Expected<wire::CompileReply> Client::Compile(const wire::CompileRequest& request) {
  return Guard([&] {
    wire::CompileReply reply;
    wire_->compile(reply, request);
    return reply;
  });
}
Expected<wire::FunctionInfo> Client::Load(const Module& module) {
  RBC_ASSIGN_OR_RETURN(const wire::CompileReply reply, Compile(module));
  if (reply.functions.size() != module.functions.size())
    return Error(ErrorKind::kInternal, "the reply has another number of functions than the module declares");
  return reply.functions.front();
}
Expected<wire::EmitReply> Client::EmitCode(const Module& module, wire::Emit::type emit) {
  return Guard([&] {
    wire::EmitRequest request;
    request.target = module.target;
    request.functions = module.functions;
    request.options = module.options;
    request.ir = module.ir;
    request.emit = emit;
    wire::EmitReply reply;
    wire_->emit(reply, request);
    return reply;
  });
}

namespace {

Expected<types::FrameLayout> LayoutFor(const std::string& signature) {
  RBC_ASSIGN_OR_RETURN(const types::Type type, types::Type::Parse(signature));
  return types::FrameLayout::Make(type);
}

wire::CallRequest RequestOf(const wire::FunctionInfo& function, const types::PackedCall& packed,
                            const CallOptions& options) {
  wire::CallRequest request;
  request.request_id = options.request_id;
  request.function_id = function.function_id;
  request.frame = packed.frame;
  if (options.deadline_ms) request.__set_deadline_ms(*options.deadline_ms);
  if (packed.out_bytes != 0) request.__set_out_bytes(static_cast<int32_t>(packed.out_bytes));
  if (packed.return_from < packed.total_bytes()) request.__set_return_from(static_cast<int32_t>(packed.return_from));
  return request;
}

}  // namespace

wire::CallRequest PackRequest(const wire::FunctionInfo& function, const std::vector<Value>& arguments,
                              const CallOptions& options) {
  const auto layout = Must(LayoutFor(function.signature), function.signature);
  return RequestOf(function, Must(types::PackArguments(layout, arguments), function.signature), options);
}

Expected<CallResult> Client::Call(const wire::FunctionInfo& function, const std::vector<Value>& arguments,
                                  const CallOptions& options) {
  auto found = layouts_.find(function.signature);
  if (found == layouts_.end()) {
    RBC_ASSIGN_OR_RETURN(types::FrameLayout layout, LayoutFor(function.signature));
    found = layouts_.emplace(function.signature, std::move(layout)).first;
  }
  const types::FrameLayout& layout = found->second;
  RBC_ASSIGN_OR_RETURN(const types::PackedCall packed, types::PackArguments(layout, arguments));
  RBC_ASSIGN_OR_RETURN(const wire::CallReply reply, CallRaw(RequestOf(function, packed, options)));
  CallResult result;
  result.status = reply.__isset.status ? reply.status : 0;
  result.output = reply.output;
  const size_t returned = packed.total_bytes() - packed.return_from;
  if (reply.data.size() < returned)
    return Error(ErrorKind::kInternal, "the reply has " + std::to_string(reply.data.size()) + " bytes of data, " +
                                           std::to_string(returned) + " were to come back");
  RBC_RETURN_IF_ERROR(types::CopyReturned(packed, std::string_view(reply.data).substr(0, returned)));
  RBC_ASSIGN_OR_RETURN(result.value, types::UnpackResult(layout.result(), reply.result, reply.data));
  return result;
}

Expected<wire::CallReply> Client::CallRaw(const wire::CallRequest& request) {
  return Guard([&] {
    wire::CallReply reply;
    wire_->call(reply, request);
    return reply;
  });
}
Status Client::SendCall(const wire::CallRequest& request) {
  return Guard([&] { wire_->send_call(request); });
}
Expected<std::vector<wire::CallOutcome>> Client::CallBatch(const std::vector<wire::CallRequest>& requests) {
  return Guard([&] {
    std::vector<wire::CallOutcome> reply;
    wire_->call_batch(reply, requests);
    return reply;
  });
}
Expected<wire::CallOutcome> Client::Outcome(int64_t request_id) {
  return Guard([&] {
    wire::CallOutcome reply;
    wire_->outcome(reply, request_id);
    return reply;
  });
}
Expected<bool> Client::Cancel(int64_t request_id) {
  return Guard([&] { return wire_->cancel(request_id); });
}
Expected<wire::BufferInfo> Client::CreateBuffer(const wire::BufferSpec& spec) {
  return Guard([&] {
    wire::BufferInfo reply;
    wire_->buffer_create(reply, spec);
    return reply;
  });
}
Status Client::Unload(int64_t module_id) {
  return Guard([&] { wire_->unload(module_id); });
}
Status Client::Publish(const wire::PublishRequest& request) {
  return Guard([&] { wire_->publish(request); });
}
Status Client::Withdraw(const std::string& name) {
  return Guard([&] { wire_->withdraw(name); });
}
Expected<wire::PublishedFunction> Client::Lookup(const std::string& name) {
  return Guard([&] {
    wire::PublishedFunction reply;
    wire_->lookup(reply, name);
    return reply;
  });
}
Expected<std::string> Client::GetIr(int64_t module_id) {
  return Guard([&] {
    std::string reply;
    wire_->get_ir(reply, module_id);
    return reply;
  });
}
Expected<std::vector<wire::TargetInfo>> Client::Targets() {
  return Guard([&] {
    std::vector<wire::TargetInfo> reply;
    wire_->targets(reply);
    return reply;
  });
}
Expected<wire::FarmStatus> Client::FarmState() {
  return Guard([&] {
    wire::FarmStatus reply;
    wire_->status(reply);
    return reply;
  });
}
Status Client::Bye() {
  return Guard([&] { wire_->bye(); });
}
void Client::Drop() { transport_->close(); }

std::string Describe(const Error& error) {
  std::string text(Name(error.kind));
  text += " (" + error.role + ", function '" + error.function + "', cause '" + error.cause + "', signal " +
          std::to_string(error.signal) + (error.may_have_run ? ", may have run" : "") + "): " + error.message;
  for (const Diagnostic& d : error.diagnostics) text += "\n  " + d.message;
  return text;
}

}  // namespace rbc::harness
