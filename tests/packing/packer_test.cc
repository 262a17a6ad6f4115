// Pieces: packed and back, and what no piece may be.
// SPDX-License-Identifier: Apache-2.0
#include "packing/packer.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <cstring>
#include <random>
#include <vector>

namespace rbc {
namespace {

template <typename T>
std::string BytesOf(const std::vector<T>& values) {
  return {reinterpret_cast<const char*>(values.data()), values.size() * sizeof(T)};
}

std::string Ramp(size_t count) {
  std::vector<double> out(count);
  for (size_t i = 0; i < count; ++i) out[i] = static_cast<double>(i);
  return BytesOf(out);
}

std::string Noise(size_t bytes) {
  std::mt19937_64 random(3);
  std::string out(bytes, '\0');
  for (char& c : out) c = static_cast<char>(random());
  return out;
}

struct Piece {
  ChannelPiece head;
  std::string body;
};

Piece Pack(std::string_view bytes, uint32_t element, ByteOrder order) {
  std::string out = "before";
  Packer().Pack(bytes, element, order, &out);
  EXPECT_EQ(out.substr(0, 6), "before");
  Piece piece;
  std::memcpy(&piece.head, out.data() + 6, sizeof piece.head);
  piece.body = out.substr(6 + sizeof piece.head);
  EXPECT_EQ(piece.body.size(), piece.head.packed);
  return piece;
}

std::string Unpacked(const Piece& piece) {
  EXPECT_TRUE(CheckPiece(piece.head, piece.head.bytes));
  std::string out(piece.head.bytes, '\0');
  const Status status = Packer().Unpack(piece.head, piece.body.data(), out.data());
  EXPECT_TRUE(status) << status.error().message;
  return out;
}

TEST(Packer, GivesBackWhatItTook) {
  for (const size_t bytes :
       {size_t{1}, size_t{2}, size_t{7}, size_t{8}, size_t{4095}, size_t{100'003}, size_t{kMostPiece}})
    for (const uint32_t element : {1, 2, 3, 4, 8, 16, 24, 64, 65, 1'000'000})
      for (const auto order : {ByteOrder::kAsTheyLie, ByteOrder::kByPlace})
        for (const std::string& text : {Ramp(bytes / 8 + 1).substr(0, bytes), Noise(bytes)}) {
          const Piece piece = Pack(text, element, order);
          ASSERT_TRUE(Unpacked(piece) == text) << bytes << " " << element;
          ASSERT_LE(piece.head.packed, piece.head.bytes);
        }
}

TEST(Packer, NumbersThatAreNearEachOtherPackByPlace) {
  const std::string ramp = Ramp(kMostPiece / 8);
  const uint32_t as_they_lie = Pack(ramp, 8, ByteOrder::kAsTheyLie).head.packed;
  const uint32_t by_place = Pack(ramp, 8, ByteOrder::kByPlace).head.packed;
  EXPECT_LT(by_place, ramp.size() / 50);
  EXPECT_LT(by_place, as_they_lie / 4);
}

TEST(Packer, WhatDoesNotShrinkTravelsPlain) {
  const std::string noise = Noise(10'000);
  const Piece piece = Pack(noise, 8, ByteOrder::kByPlace);
  EXPECT_EQ(piece.head.coding, kPiecePlain);
  EXPECT_EQ(piece.head.element, 1);
  EXPECT_TRUE(piece.body == noise) << "in its own order";
}

TEST(Packer, NoPieceIsSo) {
  const ChannelPiece good{1000, 100, kPieceZstd, 8};
  EXPECT_TRUE(CheckPiece(good, 1000));
  EXPECT_FALSE(CheckPiece(good, 999)) << "more than the array has room for";
  for (const ChannelPiece bad : {ChannelPiece{0, 0, kPiecePlain, 1},
                                 {kMostPiece + 1, 100, kPieceZstd, 8},
                                 {~0U, 100, kPieceZstd, 8},
                                 {1000, 0, kPieceZstd, 8},
                                 {1000, 1000, kPieceZstd, 8},
                                 {1000, ~0U, kPieceZstd, 8},
                                 {1000, 100, kPieceZstd, 0},
                                 {1000, 100, kPieceZstd, 65},
                                 {1000, 100, 2, 8},
                                 {1000, 999, kPiecePlain, 1},
                                 {1000, 1000, kPiecePlain, 8}}) {
    const Status status = CheckPiece(bad, ~uint64_t{0});
    ASSERT_FALSE(status) << bad.bytes << " " << bad.packed << " " << bad.coding << " " << bad.element;
    EXPECT_EQ(status.error().kind, ErrorKind::kInvalidArgument);
  }
}

// What unpacks to more or fewer bytes than it says, and what was changed on its way: refused, and nothing is written
// beyond its place.
TEST(Packer, LyingPiecesHarmNobody) {
  const std::string zeros(kMostPiece, '\0');
  Piece bomb = Pack(zeros, 1, ByteOrder::kAsTheyLie);
  ASSERT_LT(bomb.head.packed, 100u);
  for (const uint32_t said : {uint32_t{1000}, kMostPiece - 1}) {
    bomb.head.bytes = said;
    std::string place(said, 'x');
    EXPECT_FALSE(Packer().Unpack(bomb.head, bomb.body.data(), place.data()));
    EXPECT_EQ(place, std::string(said, 'x'));
  }
  Piece shorter = Pack(std::string(1000, 'a'), 1, ByteOrder::kAsTheyLie);
  shorter.head.bytes = 1001;
  std::string place(1001, 'x');
  EXPECT_FALSE(Packer().Unpack(shorter.head, shorter.body.data(), place.data()));
}

TEST(Packer, DamagedPiecesStayInTheirPlace) {
  const char* const given = std::getenv("RBC_SEED");
  const uint64_t seed = given != nullptr ? std::strtoull(given, nullptr, 10) : 1;
  std::mt19937_64 random(seed);
  Packer packer;
  const Piece whole = Pack(Ramp(4000), 8, ByteOrder::kByPlace);
  int refused = 0;
  for (int i = 0; i < 3000; ++i) {
    Piece piece = whole;
    for (uint64_t n = random() % 4 + 1; n != 0; --n)
      piece.body[random() % piece.body.size()] = static_cast<char>(random());
    if (random() % 4 == 0) piece.head.packed = static_cast<uint32_t>(random() % piece.head.packed + 1);
    std::vector<char> place(piece.head.bytes + 64, 'x');
    refused += packer.Unpack(piece.head, piece.body.data(), place.data()) ? 0 : 1;
    for (size_t k = piece.head.bytes; k < place.size(); ++k)
      ASSERT_EQ(place[k], 'x') << "RBC_SEED=" << seed << " " << i;
  }
  EXPECT_GT(refused, 1000);
}

}  // namespace
}  // namespace rbc
