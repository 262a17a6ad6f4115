// Pieces of a session's arena: they never overlap, and all of it comes back.
// SPDX-License-Identifier: Apache-2.0
#include "server/workers/arena.h"

#include <gtest/gtest.h>

#include <cstring>
#include <random>
#include <vector>

namespace rbc::server {
namespace {

constexpr uint64_t kSize = 64 * worker::kPage;

Arena MakeArena() { return Arena(*SharedMemory::Create("test", kSize)); }

TEST(Arena, PiecesNeverOverlapAndAllOfItComesBack) {
  Arena arena = MakeArena();
  std::mt19937 random(7);
  std::vector<std::pair<Arena::Piece, uint64_t>> held;
  for (int round = 0; round < 20'000; ++round) {
    if (held.empty() || random() % 2 == 0) {
      const uint64_t size = random() % (9 * worker::kPage);
      Arena::Piece piece = arena.Take(size);
      if (!piece) continue;
      for (const auto& [other, bytes] : held)
        ASSERT_TRUE(piece.offset() + size <= other.offset() || other.offset() + bytes <= piece.offset()) << round;
      ASSERT_LE(piece.offset() + size, kSize);
      held.emplace_back(std::move(piece), size);
    } else {
      held.erase(held.begin() + static_cast<long>(random() % held.size()));
    }
  }
  held.clear();
  EXPECT_TRUE(arena.Take(kSize)) << "the free pieces were not merged";
}

TEST(Arena, RefusesWhatDoesNotFit) {
  Arena arena = MakeArena();
  EXPECT_FALSE(arena.Take(kSize + 1));
  EXPECT_FALSE(arena.Take(~uint64_t{0}));
  const Arena::Piece all = arena.Take(kSize);
  EXPECT_TRUE(all);
  EXPECT_FALSE(arena.Take(1));
}

// Large pieces that come and go find the pages of those before, until a trim.
TEST(Arena, PagesWaitForTheNextUntilATrim) {
  constexpr uint64_t kLarge = 1 << 20;
  Arena arena(*SharedMemory::Create("test", 64 * kLarge));
  for (int i = 0; i < 100; ++i) {
    const Arena::Piece piece = arena.Take(kLarge);
    if (i == 0) piece.data()[5] = 1;
    EXPECT_EQ(piece.data()[5], 1) << i;
  }
  arena.Trim();
  EXPECT_EQ(arena.Take(kLarge).data()[5], 0);
  const Arena::Piece used = arena.Take(kLarge);
  used.data()[5] = 2;
  arena.Take(40 * kLarge).data()[5] = 3;  // more than is kept
  EXPECT_EQ(used.data()[5], 2);
  EXPECT_EQ(arena.Take(kLarge).data()[5], 0);
}

TEST(SharedMemory, CannotBeShrunkByAPeer) {
  auto memory = *SharedMemory::Create("test", kSize);
  EXPECT_NE(ftruncate(memory.fd(), 0), 0);
  EXPECT_NE(ftruncate(memory.fd(), 2 * kSize), 0);
}

TEST(SharedMemory, DiscardedPagesReadAsZero) {
  auto memory = *SharedMemory::Create("test", kSize);
  std::memset(memory.data(), 1, kSize);
  memory.Discard(worker::kPage, worker::kPage);
  EXPECT_EQ(memory.data()[0], 1);
  EXPECT_EQ(memory.data()[worker::kPage], 0);
  EXPECT_EQ(memory.data()[2 * worker::kPage], 1);
}

}  // namespace
}  // namespace rbc::server
