// The bytes of raw channels as the versions that brought them speak them: plain transfers of 1.2, packed ones of 1.4.
// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <vector>

#include "packing/packer.h"
#include "tests/server/channel_peer.h"
#include "tests/server/golden.h"

namespace rbc::server::testing {
namespace {

constexpr uint64_t kBuffer = 77;

template <typename Body>
std::string Message(uint16_t type, const Body& body, uint64_t more = 0) {
  return BytesOf(ChannelHeader{{'R', 'B', 'C', '1'}, 1, type, 7, sizeof body + more}) + BytesOf(body);
}
void Check(const std::string& name, const std::string& bytes) { EXPECT_EQ(ToHex(bytes), Golden(name, bytes)) << name; }

// A smooth array, as packing likes them.
std::string Array() {
  std::vector<double> numbers(4000);
  for (size_t i = 0; i < numbers.size(); ++i) numbers[i] = 100 + std::floor(static_cast<double>(i) / 4) / 64;
  return {reinterpret_cast<const char*>(numbers.data()), numbers.size() * sizeof(double)};
}
// The same in a plain piece, one as it lies, and one ordered by place. Another version of zstd may pack otherwise, so
// what is recorded is only read.
std::string Pieces() {
  const std::string array = Array();
  std::string out, fresh;
  AppendPlainHead(16, &fresh);
  fresh += array.substr(0, 16);
  Packer packer;
  packer.Pack(std::string_view(array).substr(16, 16'000), 8, ByteOrder::kAsTheyLie, &out);
  fresh += out;
  out.clear();
  packer.Pack(std::string_view(array).substr(16'016), 8, ByteOrder::kByPlace, &out);
  fresh += out;
  return FromHex(Golden("channel_pieces_1_4", fresh));
}
std::vector<ChannelPiece> HeadsOf(std::string_view pieces) {
  std::vector<ChannelPiece> out;
  while (pieces.size() >= sizeof(ChannelPiece)) {
    std::memcpy(&out.emplace_back(), pieces.data(), sizeof(ChannelPiece));
    pieces.remove_prefix(std::min<size_t>(pieces.size(), sizeof(ChannelPiece) + out.back().packed));
  }
  return out;
}

TEST(GoldenChannel, RequestsAndAnswers) {
  ChannelAttachBody attach{99, {}};
  std::memcpy(attach.secret, "0123456789abcdef", sizeof attach.secret);
  Check("channel_attach", Message(kChannelAttach, attach, 5) + "token");
  Check("channel_put", Message(kChannelPut, ChannelPutBody{kBuffer, 8}, 4) + "data");
  Check("channel_get", Message(kChannelGet, ChannelGetBody{kBuffer, 8, 16}));
  Check("channel_attach_packing_1_4", Message(kChannelAttachPacking, attach));
  Check("channel_attached_1_4", Message(kChannelAttached, ChannelAttachedBody{kCodings, 0}));
  Check("channel_packed_put_1_4", Message(kChannelPackedPut, ChannelPackedPutBody{kBuffer, 8, 32'000}));
  Check("channel_packed_get_1_4", Message(kChannelPackedGet, ChannelPackedGetBody{kBuffer, 8, 32'000, 8, 1}));
  Check("channel_packed_data_1_4", Message(kChannelPackedData, ChannelPackedDataBody{32'000}));
}

TEST(GoldenChannel, RecordedPiecesAreTheArray) {
  const std::string pieces = Pieces(), array = Array();
  const auto heads = HeadsOf(pieces);
  ASSERT_EQ(heads.size(), 3u);
  EXPECT_EQ(heads[0].coding, 0);
  EXPECT_EQ(heads[1].coding, 1);
  EXPECT_EQ(heads[2].coding, 1);
  EXPECT_EQ(heads[2].element, 8);
  std::string out;
  size_t at = 0;
  for (const ChannelPiece& head : heads) {
    ASSERT_TRUE(CheckPiece(head, array.size() - out.size()));
    const size_t have = out.size();
    out.resize(have + head.bytes);
    ASSERT_TRUE(Packer().Unpack(head, pieces.data() + at + sizeof head, out.data() + have));
    at += sizeof head + head.packed;
  }
  EXPECT_TRUE(out == array);
}

class GoldenChannelTest : public FarmTest {};

TEST_F(GoldenChannelTest, RecordedPiecesAreUnderstood) {
  StartFarm();
  Client client(tcp_address_);
  const auto session = client.Hello();
  wire::BufferSpec spec;
  spec.dtype = "float64";
  spec.shape = {4001};
  wire::BufferInfo buffer;
  client->buffer_create(buffer, spec);
  Channel channel(tcp_address_);
  channel.Attach(session, "", kChannelAttachPacking);
  ASSERT_EQ(channel.Read().header.type, kChannelAttached);
  // The recorded requests, of a buffer that has another number today.
  const auto recorded = [&](const std::string& name) {
    std::string bytes = FromHex(Golden(name, ""));
    const auto id = static_cast<uint64_t>(buffer.id);
    std::memcpy(bytes.data() + sizeof(ChannelHeader), &id, sizeof id);
    return bytes;
  };
  channel.Send(recorded("channel_packed_put_1_4") + Pieces());
  const Frame done = channel.Read();
  EXPECT_EQ(done.header.type, kChannelDone) << done.body;
  EXPECT_EQ(done.header.request_id, 7u);
  channel.Get(buffer.id, 8, 32'000);
  EXPECT_TRUE(channel.Read().body == Array());
  channel.Send(recorded("channel_packed_get_1_4"));
  const Frame answer = channel.Read();
  EXPECT_EQ(ToHex(BytesOf(answer.header) + answer.body), Golden("channel_packed_data_1_4", ""));
}

}  // namespace
}  // namespace rbc::server::testing
