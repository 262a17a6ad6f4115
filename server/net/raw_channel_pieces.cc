// Packed transfers of a raw channel: arrays in pieces, each packed or plain.
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cerrno>
#include <cstring>

#include "server/net/raw_channel.h"

namespace rbc::server {
namespace {

constexpr size_t kArrival = 64 * 1024;  // what a piece in arrival is given at once

// Of this thread: memory for packing does not grow with connections.
Packer& ThisThreadsPacker() {
  thread_local Packer packer;
  return packer;
}

ChannelPiece HeadOf(const std::string& piece) {
  ChannelPiece head;
  std::memcpy(&head, piece.data(), sizeof head);
  return head;
}

}  // namespace

// A socket that takes no more says how fast the line is.
ssize_t RawChannel::SendSome(const ChannelSocket& socket, std::string_view bytes, bool more) {
  if (!packed_ || !sending_) return socket.Send(bytes, more);
  ChannelSocket now = socket;
  now.patient = false;
  const ssize_t sent = now.Send(bytes, more);
  if (sent > 0) pacer_.Sent(static_cast<uint64_t>(sent));
  if (sent == static_cast<ssize_t>(bytes.size()) || (sent < 0 && !IsAgain(sent))) return sent;
  pacer_.Full(Pacer::Clock::now());
  if (sent > 0) return sent;
  const ssize_t later = socket.Send(bytes, more);
  if (later > 0) pacer_.Sent(static_cast<uint64_t>(later));
  return later;
}

RawChannel::Step RawChannel::WritePieces(const ChannelSocket& socket, const ChannelHost& host, uint64_t* moved) {
  if (plain_left_ != 0) return WritePlain(socket, plain_left_, moved);
  const uint64_t bytes = std::min<uint64_t>(left_, kMostPiece);
  if (!host.Packs() || !pacer_.Add({memory_.data, bytes}, element_, &ThisThreadsPacker(), &out_)) {
    AppendPlainHead(bytes, &out_);
    plain_left_ = bytes;
    return Step::kMore;
  }
  unpacked_ += bytes;
  Advance(bytes);
  return Step::kMore;
}

RawChannel::Step RawChannel::ReadPieces(const ChannelSocket& socket, ChannelHost& host, uint64_t* moved) {
  if (plain_left_ != 0) return ReadPlain(socket, plain_left_, moved);
  const size_t have = piece_.size();
  const size_t needed =
      have < sizeof(ChannelPiece) ? sizeof(ChannelPiece) : sizeof(ChannelPiece) + HeadOf(piece_).packed;
  const size_t wanted = std::min(needed - have, kArrival);
  const bool early = !Early().empty();
  piece_.resize(have + wanted);
  const ssize_t got = Read(socket, piece_.data() + have, wanted);
  const int failure = errno;
  piece_.resize(have + static_cast<size_t>(std::max<ssize_t>(got, 0)));
  errno = failure;
  if (IsAgain(got)) return Step::kWait;
  if (got <= 0) return Step::kEnd;
  *moved += static_cast<uint64_t>(got);
  if (const Status status = TakePiece(host); !status) {
    memory_ = {};
    left_ = 0;
    std::string().swap(piece_);
    Fail(status.error(), true);
    return Step::kMore;
  }
  return static_cast<size_t>(got) < wanted && !early ? Step::kWait : Step::kMore;
}

// What is here of it.
Status RawChannel::TakePiece(const ChannelHost& host) {
  if (piece_.size() < sizeof(ChannelPiece)) return {};
  const ChannelPiece head = HeadOf(piece_);
  if (piece_.size() == sizeof head) {  // looked at before more of it is waited for
    RBC_RETURN_IF_ERROR(CheckPiece(head, left_));
    if (head.coding == kPiecePlain) {
      plain_left_ = head.bytes;
      piece_.clear();
      return {};
    }
    if (!host.Packs()) return {ErrorKind::kUnsupported, "this farm takes no packed arrays (data.compression)"};
    return {};
  }
  if (piece_.size() < sizeof head + head.packed) return {};
  RBC_RETURN_IF_ERROR(ThisThreadsPacker().Unpack(head, piece_.data() + sizeof head, memory_.data));
  unpacked_ += head.bytes;
  piece_.clear();
  Advance(head.bytes);
  if (left_ == 0) std::string().swap(piece_);
  return {};
}

}  // namespace rbc::server
