// Raw channels over real sockets: what is carried, and what is refused.
// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>

#include <random>
#include <thread>

#include "base/raw_frames.h"
#include "server/auth/token_file.h"
#include "tests/server/channel_peer.h"
#include "tests/server/farm_fixture.h"

namespace rbc::server::testing {
namespace {

using ::testing::HasSubstr;

class ChannelTest : public FarmTest {
 protected:
  void Begin() {
    StartFarm();
    client_ = std::make_unique<Client>(tcp_address_);
    session_ = client_->Hello();
    buffer_ = MakeBytes(*client_, 1 << 20);
  }
  Channel Attached() {
    Channel channel(tcp_address_);
    channel.Attach(session_);
    EXPECT_EQ(channel.Read().header.type, kChannelDone);
    return channel;
  }
  static std::string Noise(size_t bytes) {
    std::string out(bytes, '\0');
    std::mt19937 random(3);
    for (char& byte : out) byte = static_cast<char>(random());
    return out;
  }
  std::unique_ptr<Client> client_;
  wire::HelloReply session_;
  wire::BufferInfo buffer_;
};

TEST_F(ChannelTest, PutsAndGets) {
  Begin();
  auto channel = Attached();
  const auto noise = Noise(1 << 20);
  channel.Put(buffer_.id, 0, noise);
  EXPECT_EQ(channel.Read().header.type, kChannelDone);
  channel.Get(buffer_.id, 1000, 500'000);
  const auto part = channel.Read();
  EXPECT_EQ(part.header.type, kChannelData);
  EXPECT_EQ(part.header.request_id, 7u);
  EXPECT_TRUE(part.body == noise.substr(1000, 500'000));
  channel.Put(buffer_.id, 1 << 20, "");
  EXPECT_EQ(channel.Read().header.type, kChannelDone) << "nothing fits everywhere";
  channel.Get(buffer_.id, 5, 0);
  EXPECT_EQ(channel.Read().body.size(), 0u);
}

// All requests at once, the first with the greeting in one packet.
TEST_F(ChannelTest, RequestsMayBeSentAhead) {
  Begin();
  Channel channel(tcp_address_);
  channel.Attach(session_);
  for (int i = 0; i < 200; ++i)
    channel.Put(buffer_.id, static_cast<uint64_t>(i) * 100, std::string(100, static_cast<char>(i)));
  for (int i = 0; i < 200; ++i) channel.Get(buffer_.id, static_cast<uint64_t>(i) * 100, 100);
  for (int i = 0; i < 201; ++i) ASSERT_EQ(channel.Read().header.type, kChannelDone);
  for (int i = 0; i < 200; ++i) ASSERT_EQ(channel.Read().body, std::string(100, static_cast<char>(i)));
}

TEST_F(ChannelTest, StrangersGetNothing) {
  Begin();
  {
    Channel channel(tcp_address_);
    channel.Get(buffer_.id, 0, 10);
    EXPECT_EQ(channel.Read().kind(), ErrorKind::kUnknownSession);
    EXPECT_TRUE(channel.Ends());
  }
  auto wrong = session_;
  wrong.secret[3] ^= 1;
  Channel channel(tcp_address_);
  channel.Attach(wrong);
  EXPECT_EQ(channel.Read().kind(), ErrorKind::kUnknownSession);
  EXPECT_TRUE(channel.Ends());
  Channel other_domain(unix_address_);
  other_domain.Attach(session_);
  EXPECT_EQ(other_domain.Read().kind(), ErrorKind::kPermissionDenied);
  auto stranger = ConnectTcp();
  const auto theirs = stranger.Hello();
  Channel other_session(tcp_address_);
  other_session.Attach(theirs);
  EXPECT_EQ(other_session.Read().header.type, kChannelDone);
  other_session.Get(buffer_.id, 0, 10);
  EXPECT_EQ(other_session.Read().kind(), ErrorKind::kBufferLost);
}

// Each connection of a session shows the token, this kind too; and that of another user opens nothing.
TEST_F(ChannelTest, AsksForTheTokenWhereTheFarmDoes) {
  config_.tokens_file = folder_.path() + "/tokens.toml";
  const std::string alice = *AddToken(config_.tokens_file, {"alice", "", {}, 0});
  const std::string bob = *AddToken(config_.tokens_file, {"bob", "", {}, 0});
  StartFarm();
  client_ = std::make_unique<Client>(tcp_address_);
  wire::HelloRequest hello;
  hello.protocol_major = 1;
  hello.__set_token(alice);
  (*client_)->hello(session_, hello);
  buffer_ = MakeBytes(*client_, 100);
  for (const auto& wrong : {std::string(), std::string("rbc_nobody"), bob, std::string(kMostChannelToken, 'x')}) {
    Channel channel(tcp_address_);
    channel.Attach(session_, wrong);
    EXPECT_EQ(channel.Read().kind(), ErrorKind::kPermissionDenied) << wrong;
    EXPECT_TRUE(channel.Ends());
  }
  Channel channel(tcp_address_);
  channel.Attach(session_, alice);
  EXPECT_EQ(channel.Read().header.type, kChannelDone);
  channel.Get(buffer_.id, 0, 100);
  EXPECT_EQ(channel.Read().body.size(), 100u);
}

TEST_F(ChannelTest, NothingBeyondABuffer) {
  Begin();
  const uint64_t size = 1 << 20;
  auto channel = Attached();
  for (const auto& [offset, bytes] : {std::pair<uint64_t, uint64_t>{size, 1},
                                      {0, size + 1},
                                      {1, size},
                                      {~0ull, 2},
                                      {2, ~0ull},
                                      {~0ull, ~0ull},
                                      {1ull << 63, 1ull << 63}}) {
    channel.Get(buffer_.id, offset, bytes);
    EXPECT_EQ(channel.Read().kind(), ErrorKind::kInvalidArgument) << offset << " " << bytes;
  }
  channel.Get(buffer_.id, 0, 3);
  EXPECT_EQ(channel.Read().body.size(), 3u) << "a refused get costs nothing else";
  channel.Put(buffer_.id, size - 1, "xy");
  const auto refused = channel.Read();
  EXPECT_EQ(refused.kind(), ErrorKind::kInvalidArgument);
  EXPECT_EQ(refused.header.request_id, 7u);
  EXPECT_TRUE(channel.Ends()) << "what follows a refused put has no place";
}

TEST_F(ChannelTest, MalformedFramesAreAnsweredAndEnd) {
  Begin();
  const auto attach = BytesOf(ChannelAttachBody{});
  for (const auto& [header, body] : {
           std::pair<ChannelHeader, std::string>{{{'R', 'B', 'C', '1'}, 2, kChannelAttach, 1, 24}, attach},
           {{{'R', 'B', 'C', '1'}, 1, 999, 1, 24}, attach},
           {{{'R', 'B', 'C', '1'}, 1, kChannelDone, 1, 0}, ""},
           {{{'R', 'B', 'C', '1'}, 1, kChannelAttach, 1, 23}, attach},
           {{{'R', 'B', 'C', '1'}, 1, kChannelAttach, 1, 24 + kMostChannelToken + 1}, attach},
           {{{'R', 'B', 'C', '1'}, 1, kChannelPut, 1, 3}, "abc"},
       }) {
    Channel channel(tcp_address_);
    channel.Send(BytesOf(header) + body);
    EXPECT_EQ(channel.Read().kind(), ErrorKind::kProtocolMismatch) << header.type;
    EXPECT_TRUE(channel.Ends());
  }
  auto channel = Attached();
  channel.Send(std::string(48, 'j'));
  EXPECT_EQ(channel.Read().kind(), ErrorKind::kProtocolMismatch) << "each frame begins with the magic";
  auto twice = Attached();
  twice.Attach(session_);
  EXPECT_EQ(twice.Read().kind(), ErrorKind::kInvalidArgument);
}

TEST_F(ChannelTest, PeersWithoutProgressAreClosed) {
  config_.message_timeout_ms = 300;
  Begin();
  auto half_head = Attached();
  half_head.Send("RBC1");
  auto half_put = Attached();
  half_put.Ask(kChannelPut, BytesOf(ChannelPutBody{static_cast<uint64_t>(buffer_.id), 0}), 1000);
  half_put.Send("only this");
  const auto large = MakeBytes(*client_, 64 << 20);
  auto no_reader = Attached();
  no_reader.Get(large.id, 0, 64 << 20);
  auto idle = Attached();
  EXPECT_TRUE(half_head.Ends());
  EXPECT_TRUE(half_put.Ends());
  EXPECT_TRUE(Eventually([&] { return farm_->loop_counters().timed_out >= 3; }));
  idle.Get(buffer_.id, 0, 3);
  EXPECT_EQ(idle.Read().body.size(), 3u) << "between requests a channel may be idle";
}

TEST_F(ChannelTest, EndsWithItsSession) {
  Begin();
  auto channel = Attached();
  (*client_)->bye();
  channel.Get(buffer_.id, 0, 3);
  EXPECT_TRUE(channel.Ends());
}

TEST_F(ChannelTest, AFreedBufferStaysUntilItsTransferIsOver) {
  config_.data_session_bytes = 1 << 21;
  Begin();
  auto channel = Attached();
  channel.Ask(kChannelPut, BytesOf(ChannelPutBody{static_cast<uint64_t>(buffer_.id), 0}), 1 << 20);
  const auto noise = Noise(1 << 20);
  channel.Send(noise.substr(0, 1000));
  auto reader = Attached();
  ASSERT_TRUE(Eventually([&] {
    reader.Get(buffer_.id, 0, 1000);
    return reader.Read().body == noise.substr(0, 1000);
  })) << "it is under way";
  (*client_)->buffer_free(buffer_.id);
  const auto other = MakeBytes(*client_, 1 << 20);
  EXPECT_NE(other.offset, buffer_.offset);
  channel.Send(noise.substr(1000));
  EXPECT_EQ(channel.Read().header.type, kChannelDone);
  channel.Get(buffer_.id, 0, 1);
  EXPECT_EQ(channel.Read().kind(), ErrorKind::kBufferLost);
}

// More channels at once than there are threads to be patient with.
TEST_F(ChannelTest, ManyAtOnce) {
  config_.hot_threads = 1;
  config_.max_threads = 2;
  Begin();
  std::vector<std::thread> threads;
  for (int t = 0; t < 6; ++t)
    threads.emplace_back([this, t, info = MakeBytes(*client_, 3 << 20)] {
      auto channel = Attached();
      const std::string bytes(3 << 20, static_cast<char>('a' + t));
      for (int i = 0; i < 5; ++i) {
        channel.Put(info.id, 0, bytes);
        ASSERT_EQ(channel.Read().header.type, kChannelDone);
        channel.Get(info.id, 0, bytes.size());
        ASSERT_TRUE(channel.Read().body == bytes);
      }
    });
  for (auto& thread : threads) thread.join();
}

}  // namespace
}  // namespace rbc::server::testing
