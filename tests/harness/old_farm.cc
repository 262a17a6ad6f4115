// A farm of protocol 1.3, as far as a client over TCP can tell.
// SPDX-License-Identifier: Apache-2.0
#include "tests/harness/old_farm.h"

#include <poll.h>
#include <sys/socket.h>
#include <thrift/TApplicationException.h>
#include <thrift/TConfiguration.h>
#include <thrift/protocol/TBinaryProtocol.h>
#include <thrift/transport/TBufferTransports.h>

#include <algorithm>
#include <cstring>
#include <functional>
#include <map>
#include <optional>
#include <type_traits>

#include "gen_1_3/OldFarm.h"
#include "tests/harness/loopback.h"

namespace rbc::harness {
namespace {

using apache::thrift::TApplicationException;
using apache::thrift::protocol::TBinaryProtocol;
using apache::thrift::protocol::TMessageType;
using apache::thrift::transport::TMemoryBuffer;

constexpr size_t kRawHeader = 24;
constexpr uint16_t kAttach = 16;  // the one way in which a channel of that time began
constexpr int kPollMs = 20;

struct Header {
  std::string method;
  TMessageType type = apache::thrift::protocol::T_CALL;
  int32_t sequence = 0;
};

void ToThatTime(wire_1_3::OldFarm_hello_args& args) {
  args.request.protocol_minor = std::min(args.request.protocol_minor, OldFarm::kMinor);
}
void ToThatTime(wire_1_3::OldFarm_hello_result& result) { result.success.protocol_minor = OldFarm::kMinor; }

// A body read and written with the code of that time.
template <typename T>
void Copy(TBinaryProtocol& in, TBinaryProtocol& out) {
  T body;
  body.read(&in);
  if constexpr (std::is_same_v<T, wire_1_3::OldFarm_hello_args> || std::is_same_v<T, wire_1_3::OldFarm_hello_result>)
    ToThatTime(body);
  body.write(&out);
}

struct Method {
  void (*request)(TBinaryProtocol&, TBinaryProtocol&);
  void (*reply)(TBinaryProtocol&, TBinaryProtocol&);
};
#define METHOD(name)                                                                          \
  {                                                                                           \
#name, { Copy<wire_1_3::OldFarm_##name##_args>, Copy<wire_1_3::OldFarm_##name##_result> } \
  }
const std::map<std::string, Method> kMethods = {
    METHOD(hello),       METHOD(attach),      METHOD(bye),          METHOD(targets),     METHOD(compile),
    METHOD(emit),        METHOD(call),        METHOD(call_batch),   METHOD(map_rows),    METHOD(launch),
    METHOD(chain),       METHOD(map_arrays),  METHOD(reduce_array), METHOD(scan_array),  METHOD(unload),
    METHOD(publish),     METHOD(withdraw),    METHOD(lookup),       METHOD(get_ir),      METHOD(cancel),
    METHOD(outcome),     METHOD(status),      METHOD(ring),         METHOD(ring_reply),  METHOD(buffer_create),
    METHOD(buffer_free), METHOD(buffer_copy), METHOD(buffers),      METHOD(buffer_info), METHOD(buffer_recall),
    METHOD(arena),
};
#undef METHOD

std::shared_ptr<TMemoryBuffer> Reading(std::string& bytes) {
  const auto limits = std::make_shared<apache::thrift::TConfiguration>(256 << 20, 256 << 20, 64);
  return std::make_shared<TMemoryBuffer>(reinterpret_cast<uint8_t*>(bytes.data()), static_cast<uint32_t>(bytes.size()),
                                         TMemoryBuffer::OBSERVE, limits);
}
Header HeaderOf(TBinaryProtocol& in) {
  Header out;
  in.readMessageBegin(out.method, out.type, out.sequence);
  return out;
}

// The message as that time's code writes it; nothing: its method is not known.
std::optional<std::string> OfThatTime(std::string message, Header* header) {
  TBinaryProtocol in(Reading(message));
  *header = HeaderOf(in);
  const auto method = kMethods.find(header->method);
  if (method == kMethods.end()) return std::nullopt;
  if (header->type == apache::thrift::protocol::T_EXCEPTION) return message;
  const auto written = std::make_shared<TMemoryBuffer>();
  TBinaryProtocol out(written);
  out.writeMessageBegin(header->method, header->type, header->sequence);
  (header->type == apache::thrift::protocol::T_CALL ? method->second.request : method->second.reply)(in, out);
  return written->getBufferAsString();
}

std::string UnknownMethod(const Header& header) {
  const auto written = std::make_shared<TMemoryBuffer>();
  TBinaryProtocol out(written);
  out.writeMessageBegin(header.method, apache::thrift::protocol::T_EXCEPTION, header.sequence);
  TApplicationException(TApplicationException::UNKNOWN_METHOD, "Invalid method name: '" + header.method + "'")
      .write(&out);
  return written->getBufferAsString();
}

bool ReadAll(int fd, char* to, size_t bytes) { return recv(fd, to, bytes, MSG_WAITALL) == static_cast<ssize_t>(bytes); }
bool WriteAll(int fd, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t sent = send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent <= 0) return false;
    bytes.remove_prefix(static_cast<size_t>(sent));
  }
  return true;
}
std::optional<std::string> ReadFrame(int fd) {
  uint32_t size = 0;
  if (!ReadAll(fd, reinterpret_cast<char*>(&size), sizeof size)) return std::nullopt;
  std::string out(ntohl(size), '\0');
  if (!ReadAll(fd, out.data(), out.size())) return std::nullopt;
  return out;
}
bool WriteFrame(int fd, const std::string& message) {
  const uint32_t size = htonl(static_cast<uint32_t>(message.size()));
  return WriteAll(fd, std::string(reinterpret_cast<const char*>(&size), sizeof size) + message);
}

// `{u32 kind, u32 length, text}` with its header, of a channel that does not know what came.
std::string ChannelError() {
  const std::string text = "a raw channel begins with attach";
  const uint32_t body[] = {20 /* ProtocolMismatch */, static_cast<uint32_t>(text.size())};
  std::string out(kRawHeader, '\0');
  const uint16_t version = 1, type = 1;
  const uint64_t length = sizeof body + text.size();
  std::memcpy(out.data(), "RBC1", 4);
  std::memcpy(out.data() + 4, &version, sizeof version);
  std::memcpy(out.data() + 6, &type, sizeof type);
  std::memcpy(out.data() + 16, &length, sizeof length);
  return out.append(reinterpret_cast<const char*>(body), sizeof body) + text;
}

}  // namespace

OldFarm::OldFarm(const std::string& farm)
    : farm_port_(PortOf(farm)), listener_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
  address_ = ListenAnywhere(listener_.get());
  accepts_ = std::thread([this] { Accept(); });
}

OldFarm::~OldFarm() {
  stop_ = true;
  accepts_.join();
  {
    const std::lock_guard lock(mutex_);  // who was accepted last may be connecting still
    for (const UniqueFd& fd : sockets_) shutdown(fd.get(), SHUT_RDWR);
  }
  for (std::thread& thread : threads_) thread.join();
}

int OldFarm::Keep(UniqueFd fd) {
  const std::lock_guard lock(mutex_);
  return sockets_.emplace_back(std::move(fd)).get();
}

void OldFarm::Accept() {
  while (!stop_) {
    pollfd ready{.fd = listener_.get(), .events = POLLIN, .revents = 0};
    if (poll(&ready, 1, kPollMs) <= 0) continue;
    UniqueFd accepted(accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
    if (!accepted) continue;
    const int client = Keep(std::move(accepted));
    threads_.emplace_back([this, client] { Serve(client); });
  }
}

void OldFarm::Serve(int client) {
  char begin[4];
  const int farm = Keep(UniqueFd(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)));
  if (ConnectTo(farm, farm_port_) && recv(client, begin, sizeof begin, MSG_PEEK | MSG_WAITALL) == sizeof begin) {
    if (std::memcmp(begin, "RBC1", sizeof begin) == 0)
      ServeChannel(client, farm);
    else
      ServeMessages(client, farm);
  }
  shutdown(client, SHUT_RDWR);
  shutdown(farm, SHUT_RDWR);
}

void OldFarm::ServeMessages(int client, int farm) try {
  for (;;) {
    Header header;
    auto request = ReadFrame(client);
    if (!request) return;
    const auto asked = OfThatTime(*request, &header);
    if (!asked) {
      ++refused_;
      if (!WriteFrame(client, UnknownMethod(header))) return;
      continue;
    }
    // Maps and launches may ask for how to repeat them (`ready`), which is only a wish.
    const bool wishes = header.method == "hello" || header.method == "map_arrays" || header.method == "launch";
    if (!wishes) skipped_bytes_ += request->size() - asked->size();
    if (!WriteFrame(farm, *asked)) return;
    auto reply = ReadFrame(farm);
    if (!reply || !WriteFrame(client, OfThatTime(*std::move(reply), &header).value_or(""))) return;
  }
} catch (const apache::thrift::TException&) {
  // No message of that time: the connection ends.
}

void OldFarm::ServeChannel(int client, int farm) {
  uint16_t type = 0;
  std::string buffer(kRawHeader, '\0');
  if (!ReadAll(client, buffer.data(), kRawHeader)) return;
  std::memcpy(&type, buffer.data() + 6, sizeof type);
  if (type != kAttach) {
    ++refused_;
    WriteAll(client, ChannelError());
    return;
  }
  if (!WriteAll(farm, buffer)) return;
  buffer.resize(256 * 1024);
  for (;;) {
    pollfd sides[] = {{.fd = client, .events = POLLIN, .revents = 0}, {.fd = farm, .events = POLLIN, .revents = 0}};
    if (poll(sides, 2, -1) < 0) return;
    for (int i = 0; i < 2; ++i) {
      if (sides[i].revents == 0) continue;
      const ssize_t got = recv(sides[i].fd, buffer.data(), buffer.size(), 0);
      if (got <= 0 || !WriteAll(sides[1 - i].fd, {buffer.data(), static_cast<size_t>(got)})) return;
    }
  }
}

}  // namespace rbc::harness
