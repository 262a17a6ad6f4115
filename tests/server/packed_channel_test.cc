// Packed transfers over real sockets: what is carried, and pieces that lie.
// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>
#include <sys/mman.h>

#include <atomic>
#include <random>
#include <thread>

#include "packing/packer.h"
#include "tests/server/arena_peer.h"
#include "tests/server/channel_peer.h"

namespace rbc::server::testing {
namespace {

constexpr int64_t kBytes = 1 << 20;

class PackedChannelTest : public FarmTest {
 protected:
  void Begin() {
    StartFarm();
    client_ = std::make_unique<Client>(tcp_address_);
    session_ = client_->Hello();
    before_ = MakeBytes(*client_, kBytes);
    buffer_ = MakeBytes(*client_, kBytes);
    after_ = MakeBytes(*client_, kBytes);
  }
  Channel Attached(uint32_t codings = kCodings) {
    Channel channel(tcp_address_);
    channel.Attach(session_, "", kChannelAttachPacking);
    const Frame answer = channel.Read();
    EXPECT_EQ(answer.header.type, kChannelAttached);
    EXPECT_EQ(answer.body, BytesOf(ChannelAttachedBody{codings, 0}));
    return channel;
  }
  void BeginPut(Channel& channel, uint64_t offset, uint64_t bytes) {
    channel.Ask(kChannelPackedPut, BytesOf(ChannelPackedPutBody{static_cast<uint64_t>(buffer_.id), offset, bytes}));
  }
  static std::string Packed(std::string_view bytes, uint32_t element) {
    std::string out;
    Packer().Pack(bytes, element, ByteOrder::kByPlace, &out);
    return out;
  }
  static std::string Plain(std::string_view bytes) {
    std::string out;
    AppendPlainHead(bytes.size(), &out);
    return out.append(bytes);
  }
  std::string Content(const wire::BufferInfo& buffer) {
    Channel channel(tcp_address_);
    channel.Attach(session_);
    EXPECT_EQ(channel.Read().header.type, kChannelDone);
    channel.Get(buffer.id, 0, kBytes);
    return channel.Read().body;
  }
  void Fill(const wire::BufferInfo& buffer, char with) {
    Channel channel(tcp_address_);
    channel.Attach(session_);
    EXPECT_EQ(channel.Read().header.type, kChannelDone);
    channel.Put(buffer.id, 0, std::string(kBytes, with));
    EXPECT_EQ(channel.Read().header.type, kChannelDone);
  }
  // The pieces of a packed get.
  std::string Fetch(Channel& channel, uint64_t offset, uint64_t bytes, bool always, uint64_t* travelled) {
    channel.Ask(kChannelPackedGet,
                BytesOf(ChannelPackedGetBody{static_cast<uint64_t>(buffer_.id), offset, bytes, 1, always ? 1U : 0U}));
    const Frame answer = channel.Read();
    EXPECT_EQ(answer.header.type, kChannelPackedData);
    EXPECT_EQ(answer.body, BytesOf(ChannelPackedDataBody{bytes}));
    std::string out;
    while (out.size() < bytes) {
      ChannelPiece head{};
      if (!channel.Exactly(reinterpret_cast<char*>(&head), sizeof head) || !CheckPiece(head, bytes - out.size()))
        return "no piece";
      std::string packed(head.packed, '\0');
      if (!channel.Exactly(packed.data(), packed.size())) return "no more";
      const size_t have = out.size();
      out.resize(have + head.bytes);
      if (!Packer().Unpack(head, packed.data(), out.data() + have)) return "does not unpack";
      *travelled += sizeof head + head.packed;
    }
    return out;
  }

  std::unique_ptr<Client> client_;
  wire::HelloReply session_;
  wire::BufferInfo before_, buffer_, after_;
};

TEST_F(PackedChannelTest, PutsAndGets) {
  Begin();
  auto channel = Attached();
  std::string text;
  while (text.size() < kBytes) text += "line " + std::to_string(text.size()) + "\n";
  text.resize(kBytes);
  BeginPut(channel, 0, kBytes);
  channel.Send(Packed(text.substr(0, 100'000), 1) + Plain(text.substr(100'000, 7)));
  for (size_t at = 100'007; at < text.size(); at += kMostPiece) channel.Send(Packed(text.substr(at, kMostPiece), 5));
  EXPECT_EQ(channel.Read().header.type, kChannelDone);
  EXPECT_TRUE(Content(buffer_) == text);
  uint64_t travelled = 0;
  EXPECT_TRUE(Fetch(channel, 1000, 500'000, true, &travelled) == text.substr(1000, 500'000));
  EXPECT_LT(travelled, 250'000u);
  BeginPut(channel, kBytes, 0);
  EXPECT_EQ(channel.Read().header.type, kChannelDone) << "nothing fits everywhere";
  EXPECT_EQ(Fetch(channel, 5, 0, true, &travelled), "");
  channel.Get(buffer_.id, 0, 5);
  EXPECT_EQ(channel.Read().body, text.substr(0, 5)) << "plain transfers go on beside";
}

// In crumbs, so that heads and bodies are cut anywhere.
TEST_F(PackedChannelTest, PiecesMayArriveInPieces) {
  Begin();
  auto channel = Attached();
  std::mt19937 random(5);
  std::string text(200'000, '\0');
  for (char& c : text) c = static_cast<char>('a' + random() % 3);
  BeginPut(channel, 0, text.size());
  const std::string bytes =
      Packed(text.substr(0, 150'000), 1) + Plain(text.substr(150'000, 10'000)) + Packed(text.substr(160'000), 2);
  for (size_t at = 0; at < bytes.size();) {
    const size_t next = 1 + random() % (at < 100 ? 5 : 3000);
    channel.Send(bytes.substr(at, next));
    at += next;
  }
  EXPECT_EQ(channel.Read().header.type, kChannelDone);
  EXPECT_TRUE(Content(buffer_).substr(0, text.size()) == text);
}

TEST_F(PackedChannelTest, NothingBeyondABuffer) {
  Begin();
  for (const auto& [offset, bytes] :
       {std::pair<uint64_t, uint64_t>{kBytes, 1}, {0, kBytes + 1}, {~0ull, 2}, {2, ~0ull}, {1ull << 63, 1ull << 63}}) {
    auto channel = Attached();
    channel.Ask(kChannelPackedGet,
                BytesOf(ChannelPackedGetBody{static_cast<uint64_t>(buffer_.id), offset, bytes, 8, 1}));
    EXPECT_EQ(channel.Read().kind(), ErrorKind::kInvalidArgument);
    BeginPut(channel, offset, bytes);
    EXPECT_EQ(channel.Read().kind(), ErrorKind::kInvalidArgument);
    EXPECT_TRUE(channel.Ends());
  }
  Channel stranger(tcp_address_);
  BeginPut(stranger, 0, 10);
  EXPECT_EQ(stranger.Read().kind(), ErrorKind::kUnknownSession);
  auto long_body = Attached();
  long_body.Ask(kChannelPackedPut, BytesOf(ChannelPackedPutBody{static_cast<uint64_t>(buffer_.id), 0, 10}) + "more");
  EXPECT_EQ(long_body.Read().kind(), ErrorKind::kInvalidArgument);
  EXPECT_TRUE(long_body.Ends());
}

// A piece that is larger than what is left, that unpacks to more or less than it says, or to nothing at all.
TEST_F(PackedChannelTest, PiecesThatLieEndTheChannel) {
  Begin();
  Fill(before_, 'b');
  Fill(after_, 'a');
  const std::string zeros(kMostPiece, '\0');
  const auto saying = [](std::string piece, const ChannelPiece& head) {
    std::memcpy(piece.data(), &head, sizeof head);
    return piece;
  };
  const std::string bomb = Packed(zeros, 1);
  const auto size = static_cast<uint32_t>(bomb.size() - sizeof(ChannelPiece));
  std::string longer = Packed(std::string(900, 'x'), 1);
  const uint32_t more_than_it_has = 1000;
  std::memcpy(longer.data(), &more_than_it_has, sizeof more_than_it_has);
  for (const std::string& lie :
       {Plain(std::string(1001, 'x')), Packed(std::string(1001, 'x'), 1), saying(bomb, {1000, size, kPieceZstd, 1}),
        longer, saying(bomb, {1000, size, kPieceZstd, 0}), saying(bomb, {1000, size, kPieceZstd, 200}),
        saying(bomb, {1000, size, 7, 1}), saying(bomb, {0, 0, kPiecePlain, 1}),
        saying(bomb, {1000, ~0U, kPieceZstd, 1}), saying(bomb, {~0U, size, kPieceZstd, 1}),
        saying(std::string(100, 'j'), {1000, 88, kPieceZstd, 8})}) {
    auto channel = Attached();
    BeginPut(channel, 0, 1000);
    channel.Send(lie);
    EXPECT_EQ(channel.Read().kind(), ErrorKind::kInvalidArgument);
    EXPECT_TRUE(channel.Ends());
  }
  EXPECT_TRUE(Content(before_) == std::string(kBytes, 'b'));
  EXPECT_TRUE(Content(after_) == std::string(kBytes, 'a'));
}

TEST_F(PackedChannelTest, DamagedPiecesHarmNobody) {
  Begin();
  Fill(before_, 'b');
  Fill(after_, 'a');
  const char* const given = std::getenv("RBC_SEED");
  const uint64_t seed = given != nullptr ? std::strtoull(given, nullptr, 10) : 1;
  std::mt19937_64 random(seed);
  std::string text(100'000, '\0');
  for (size_t i = 0; i < text.size(); ++i) text[i] = static_cast<char>(i % 8 == 0 ? i / 8 : 0);
  const std::string whole = Packed(text, 8);
  for (int i = 0; i < 300; ++i) {
    SCOPED_TRACE("RBC_SEED=" + std::to_string(seed) + " piece " + std::to_string(i));
    std::string piece = whole;
    for (uint64_t n = 1 + random() % 4; n != 0; --n)
      piece[random() % (i % 3 == 0 ? sizeof(ChannelPiece) : piece.size())] ^= static_cast<char>(1 + random() % 255);
    auto channel = Attached();
    BeginPut(channel, 0, text.size());
    channel.Send(piece);
    channel.EndSending();
    const Frame answer = channel.Read();
    if (answer.there && answer.header.type != kChannelDone) {
      EXPECT_EQ(answer.kind(), ErrorKind::kInvalidArgument);
    }
  }
  EXPECT_TRUE(Content(before_) == std::string(kBytes, 'b'));
  EXPECT_TRUE(Content(after_) == std::string(kBytes, 'a'));
}

// Whoever maps the arena writes there while it is packed: what arrives is whole pieces of some bytes, and nothing else.
TEST_F(PackedChannelTest, ArraysMayChangeWhileTheyArePacked) {
  StartFarm();
  client_ = std::make_unique<Client>(unix_address_);
  session_ = client_->Hello();
  buffer_ = MakeBytes(*client_, kBytes);
  const auto arena = AskArena(unix_address_, session_);
  ASSERT_TRUE(arena.fd);
  void* const mapped = mmap(nullptr, kBytes, PROT_READ | PROT_WRITE, MAP_SHARED, arena.fd.get(), buffer_.offset);
  ASSERT_NE(mapped, MAP_FAILED);
  std::atomic<bool> stop{false};
  std::thread scribbles([&] {
    std::mt19937 random(3);
    while (!stop) {
      const size_t at = random() % (kBytes - 5000);
      std::memset(static_cast<char*>(mapped) + at, static_cast<int>(random() % 4), random() % 5000);
    }
  });
  Channel channel(unix_address_);
  channel.Attach(session_, "", kChannelAttachPacking);
  EXPECT_EQ(channel.Read().header.type, kChannelAttached);
  for (int i = 0; i < 40; ++i) {
    uint64_t travelled = 0;
    ASSERT_EQ(Fetch(channel, 0, kBytes, true, &travelled).size(), static_cast<size_t>(kBytes));
    ASSERT_LT(travelled, static_cast<uint64_t>(kBytes));
    BeginPut(channel, 0, 100'000);
    channel.Send(Packed(std::string(100'000, 'p'), 8));
    ASSERT_EQ(channel.Read().header.type, kChannelDone);
  }
  stop = true;
  scribbles.join();
  munmap(mapped, kBytes);
}

TEST_F(PackedChannelTest, PeersWithoutProgressAreClosed) {
  config_.message_timeout_ms = 300;
  Begin();
  auto half_head = Attached();
  BeginPut(half_head, 0, 1000);
  half_head.Send("half");
  auto half_piece = Attached();
  BeginPut(half_piece, 0, kMostPiece);
  half_piece.Send(Packed(std::string(kMostPiece, 'x'), 1).substr(0, 20));
  EXPECT_TRUE(half_head.Ends());
  EXPECT_TRUE(half_piece.Ends());
}

TEST_F(PackedChannelTest, AFarmThatDoesNotPackSaysSo) {
  config_.data_compression = false;
  Begin();
  Fill(buffer_, 'x');
  auto channel = Attached(1U << kPiecePlain);
  uint64_t travelled = 0;
  EXPECT_TRUE(Fetch(channel, 0, kBytes, true, &travelled) == std::string(kBytes, 'x'));
  EXPECT_GE(travelled, static_cast<uint64_t>(kBytes)) << "whatever is asked for";
  BeginPut(channel, 0, 5);
  channel.Send(Plain("hello"));
  EXPECT_EQ(channel.Read().header.type, kChannelDone);
  BeginPut(channel, 0, 1000);
  channel.Send(Packed(std::string(1000, 'z'), 1));
  EXPECT_EQ(channel.Read().kind(), ErrorKind::kUnsupported);
  EXPECT_TRUE(channel.Ends());
}

}  // namespace
}  // namespace rbc::server::testing
