// A client's connection as the daemon keeps it: small while idle.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/unique_fd.h"
#include "server/net/byte_buffer.h"
#include "server/net/listener.h"
#include "server/net/raw_channel.h"
#include "server/workers/execution_worker.h"
#include "thrift/tls_stream.h"

namespace rbc::server {

class Session;
class SessionArena;

// Who may touch a connection: the loop's wait (kArmed: nobody), the one thread that serves it, or a worker.
enum class Holder : uint8_t { kArmed, kServing, kLent };

// What a connection still owes before its first message. kNone: nothing, plain text or an open TLS.
enum class TlsPhase : uint8_t { kNone, kFirstByte, kHandshake, kPlainText /* where TLS is due: to be told so */ };

// Owned by the loop's table; all but `holder`, `in_request`, `since_ms` and `returned` belong to the serving thread.
struct Connection {
  uint64_t id = 0;
  UniqueFd fd;  // blocking; its open file description is shared with a worker while lent
  Peer peer;
  ssl_ctx_st* tls_context = nullptr;  // the listener's; null: plain text
  std::unique_ptr<TlsStream> tls;
  TlsPhase phase = TlsPhase::kNone;
  bool stranger = false;    // over TLS and without a session so far: bounded in time and number
  bool over_limit = false;  // more connections than allowed: its first request is refused
  bool started = false;     // the first four bytes are seen and are no raw channel's
  bool discarding = false;  // the answer is out; what still arrives is thrown away until the peer closes
  bool in_doubt = false;    // closed by us without knowing what became of a reply

  std::unique_ptr<ChannelHost> channel_host;
  std::unique_ptr<RawChannel> channel;  // set: it speaks no Thrift
  bool channel_writes = false;          // and waits for its peer to take bytes

  ByteBuffer in;    // an incomplete message
  std::string out;  // what of a reply the socket did not take
  size_t out_sent = 0;
  uint64_t progress = 0;  // bytes moved since since_ms was set

  std::shared_ptr<Session> session;
  // Lending: calls in a row for one worker (compared only, never followed), and how many it takes.
  const ExecutionWorker* streak_worker = nullptr;
  uint32_t streak = 0;
  uint32_t lend_after = 0;
  std::shared_ptr<ExecutionWorker> lend_to;  // set by the call path where the next lend would go
  std::chrono::steady_clock::time_point lent_at;
  std::shared_ptr<ExecutionWorker> ring_worker;  // a lane of it is the client's
  int send_fd = -1;                              // goes with the next reply; its owner keeps it open
  std::shared_ptr<SessionArena> sent_arena;      // such an owner
  std::vector<uint64_t> untold;  // buffers that a reply on its way names first: nobody knows them if it is lost

  std::atomic<Holder> holder{Holder::kServing};
  std::atomic<bool> in_request{false};
  std::atomic<int64_t> since_ms{0};      // monotonic; when the unfinished message or reply began, 0: none
  std::unique_ptr<LentReturn> returned;  // written before it is armed again, read by who is woken by that
};

}  // namespace rbc::server
