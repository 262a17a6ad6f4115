// Buffers of sessions over real sockets: the directory, quotas, the shared arena, lifetimes.
// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <random>
#include <thread>

#include "base/array_digest.h"
#include "base/huge_pages.h"
#include "server/data/range_allocator.h"
#include "server/data/session_arena.h"
#include "server/data/session_data.h"
#include "tests/server/arena_peer.h"
#include "tests/server/farm_fixture.h"

namespace rbc::server::testing {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

wire::BufferSpec Spec(std::vector<int64_t> shape, const std::string& dtype = "float64") {
  wire::BufferSpec spec;
  spec.dtype = dtype;
  spec.shape = std::move(shape);
  return spec;
}

wire::BufferInfo Create(Client& client, const wire::BufferSpec& spec) {
  wire::BufferInfo info;
  client->buffer_create(info, spec);
  return info;
}

wire::FarmError CreateError(Client& client, const wire::BufferSpec& spec) {
  return ErrorOf([&] { Create(client, spec); });
}

uint64_t PagesOf(int fd) {
  struct stat info {};
  return fstat(fd, &info) == 0 ? static_cast<uint64_t>(info.st_blocks) * 512 : 0;
}

class DataTest : public FarmTest {};

// Arrays that come and go one after the other find the pages of those before.
TEST(SessionArenaTest, MemoryThatIsTakenAgainIsNotGivenBack) {
  DataTotals totals;
  auto made = SessionArena::Create({}, totals);
  ASSERT_TRUE(made.has_value());
  SessionArena& arena = **made;
  constexpr uint64_t kBytes = 128ull << 20;
  for (int i = 0; i < 8; ++i) {
    const auto range = arena.Take(kBytes);
    ASSERT_TRUE(range.has_value());
    if (i == 0) std::memset(arena.data() + range->offset, 1, 1 << 20);
    EXPECT_EQ(arena.data()[range->offset], 1) << i;
    arena.Release(*range);
  }
  const auto a = arena.Take(kBytes), b = arena.Take(kBytes), c = arena.Take(kBytes);
  ASSERT_TRUE(a && b && c);
  for (const auto& range : {*a, *b, *c}) arena.Release(range);  // more than is kept
  EXPECT_EQ(arena.resident(), 0u);
}

TEST_F(DataTest, BuffersAreListedAndFreed) {
  StartFarm();
  auto client = Connect();
  client.Hello();
  auto spec = Spec({3, 4});
  spec.__set_name("prices");
  const auto info = Create(client, spec);
  EXPECT_EQ(info.name, "prices");
  EXPECT_EQ(info.bytes, 96);
  EXPECT_THAT(info.strides, ElementsAre(32, 8));
  EXPECT_EQ(info.offset % 64, 0);
  spec.fortran = true;
  EXPECT_THAT(Create(client, spec).strides, ElementsAre(8, 24));
  const auto large = Create(client, Spec({100'000}, "int8"));
  EXPECT_EQ(large.offset % 4096, 0) << "from a page on they begin at a page";
  EXPECT_EQ(Create(client, Spec({})).bytes, 8) << "one value";
  EXPECT_EQ(Create(client, Spec({0, 5})).bytes, 0);

  std::vector<wire::BufferInfo> all;
  client->buffers(all);
  EXPECT_EQ(all.size(), 5u);
  EXPECT_EQ(all.front(), info);
  wire::BufferInfo again;
  client->buffer_info(again, info.id);
  EXPECT_EQ(again, info);
  client->buffer_free(info.id);
  for (const auto& error :
       {ErrorOf([&] { client->buffer_free(info.id); }), ErrorOf([&] { client->buffer_info(again, info.id); })}) {
    EXPECT_EQ(error.kind, wire::ErrorKind::BufferLost);
    EXPECT_THAT(error.message, HasSubstr(std::to_string(info.id))) << "by name";
  }
  client->buffers(all);
}

TEST_F(DataTest, WhatIsNoArrayIsRefused) {
  StartFarm();
  auto client = Connect();
  EXPECT_EQ(CreateError(client, Spec({1})).kind, wire::ErrorKind::UnknownSession);
  client.Hello();
  EXPECT_EQ(CreateError(client, Spec({-1})).kind, wire::ErrorKind::InvalidArgument);
  EXPECT_EQ(CreateError(client, Spec({1}, "float64*")).kind, wire::ErrorKind::Unsupported);
  EXPECT_EQ(CreateError(client, Spec({1}, "{{{")).kind, wire::ErrorKind::InvalidArgument);
  EXPECT_EQ(CreateError(client, Spec({1ll << 40, 1ll << 40})).kind, wire::ErrorKind::InvalidArgument);
  EXPECT_EQ(CreateError(client, Spec(std::vector<int64_t>(40, 1))).kind, wire::ErrorKind::InvalidArgument);
  auto named = Spec({1});
  named.__set_name(std::string(300, 'n'));
  EXPECT_EQ(CreateError(client, named).kind, wire::ErrorKind::InvalidArgument);
}

TEST_F(DataTest, QuotasSayUsedAskedAndLimit) {
  config_.data_session_bytes = 1 << 20;
  config_.data_max_bytes = 3 << 19;
  config_.data_max_buffers = 3;
  StartFarm();
  auto client = Connect();
  client.Hello();
  const auto most = Create(client, Spec({1 << 20}, "int8"));
  const auto full = CreateError(client, Spec({1}, "int8"));
  EXPECT_EQ(full.kind, wire::ErrorKind::ResourceExhausted);
  EXPECT_THAT(full.message,
              AllOf(HasSubstr("1048576 bytes in use"), HasSubstr("1 are asked for"), HasSubstr("1048576 allowed")));

  auto other = Connect();
  other.Hello();
  const auto farm_full = CreateError(other, Spec({1 << 20}, "int8"));
  EXPECT_EQ(farm_full.kind, wire::ErrorKind::ResourceExhausted);
  EXPECT_THAT(farm_full.message, HasSubstr("farm"));
  client->buffer_free(most.id);
  EXPECT_EQ(Create(other, Spec({1 << 20}, "int8")).bytes, 1 << 20) << "what one frees is another's";

  for (int i = 0; i < 3; ++i) Create(client, Spec({1}));
  EXPECT_THAT(CreateError(client, Spec({1})).message, HasSubstr("3 allowed"));
}

TEST_F(DataTest, TheArenaIsSharedWithLocalClientsOnly) {
  StartFarm();
  auto remote = ConnectTcp();
  remote.Hello();
  wire::ArenaReply reply;
  EXPECT_EQ(ErrorOf([&] { remote->arena(reply); }).kind, wire::ErrorKind::Unsupported);

  auto client = Connect();
  const auto session = client.Hello();
  const auto info = Create(client, Spec({1024}));
  const auto shared = AskArena(unix_address_, session);
  ASSERT_TRUE(shared.fd);
  struct stat about {};
  ASSERT_EQ(fstat(shared.fd.get(), &about), 0);
  EXPECT_EQ(about.st_size, static_cast<off_t>(config_.data_session_bytes));
  EXPECT_NE(ftruncate(shared.fd.get(), 0), 0) << "sealed: nobody shrinks it under the farm";
  EXPECT_LT(PagesOf(shared.fd.get()), 1u << 20) << "pages come when touched";
  (void)info;
}

// Fills arrays from those that the session has, whatever the client says about them.
class RecallTest : public DataTest {
 protected:
  static constexpr int64_t kBytes = 3 << 20;
  void Begin() {
    StartFarm();
    client_ = std::make_unique<Client>(unix_address_);
    session_ = client_->Hello();
    arena_ = AskArena(unix_address_, session_);
  }
  wire::BufferInfo Make(int64_t bytes = kBytes) { return Create(*client_, Spec({bytes}, "int8")); }
  bool Recall(const wire::BufferInfo& info, const std::string& bytes) {
    return (*client_)->buffer_recall(info.id, std::string(Bytes(ArrayDigest(bytes))));
  }
  void Write(const wire::BufferInfo& info, const std::string& bytes) {
    ASSERT_EQ(pwrite(arena_.fd.get(), bytes.data(), bytes.size(), info.offset), static_cast<ssize_t>(bytes.size()));
  }
  std::string Read(const wire::BufferInfo& info) {
    std::string out(static_cast<size_t>(info.bytes), '\0');
    EXPECT_EQ(pread(arena_.fd.get(), out.data(), out.size(), info.offset), info.bytes);
    return out;
  }
  static std::string Text(char first) {
    std::string out(kBytes, first);
    for (size_t i = 0; i < out.size(); i += 1000) out[i] = static_cast<char>(i / 1000);
    return out;
  }
  uint64_t Spare() { return farm_->session_host().data.spare; }
  std::unique_ptr<Client> client_;
  wire::HelloReply session_;
  RawArena arena_;
};

TEST_F(RecallTest, FindsWhatIsThere) {
  Begin();
  const auto text = Text('a');
  const auto first = Make(), second = Make(), third = Make();
  EXPECT_FALSE(Recall(first, text));
  Write(first, text);
  EXPECT_TRUE(Recall(second, text));
  EXPECT_TRUE(Read(second) == text);
  EXPECT_TRUE(Recall(second, text)) << "it has them itself";
  EXPECT_FALSE(Recall(third, Text('b')));
  const auto empty = Make(0);
  EXPECT_FALSE(Recall(empty, ""));
  EXPECT_EQ(ErrorOf([&] { (*client_)->buffer_recall(first.id, "short"); }).kind, wire::ErrorKind::InvalidArgument);
  EXPECT_EQ(ErrorOf([&] { Recall({}, text); }).kind, wire::ErrorKind::BufferLost);
  Client other = Connect();
  other.Hello();
  const auto theirs = Create(other, Spec({kBytes}, "int8"));
  EXPECT_FALSE(other->buffer_recall(theirs.id, std::string(Bytes(ArrayDigest(text))))) << "another session's";
}

TEST_F(RecallTest, BelievesNobody) {
  Begin();
  const auto text = Text('a');
  const auto first = Make(), second = Make(), small = Make(1000);
  EXPECT_FALSE(Recall(first, text));
  Write(first, Text('b'));  // not what was announced
  EXPECT_FALSE(Recall(second, text));
  Write(second, text);
  EXPECT_FALSE(Recall(small, text)) << "of another size";
  const auto third = Make();
  EXPECT_TRUE(Recall(third, text));
  Write(third, "x");
  const auto fourth = Make();
  EXPECT_FALSE(Recall(fourth, text)) << "changed by whoever has the memory";
}

TEST_F(RecallTest, FreedArraysStayUntilTheirMemoryIsWanted) {
  config_.data_session_bytes = 3 * kBytes;
  config_.data_max_bytes = 4 * kBytes;
  Begin();
  const auto text = Text('a');
  auto info = Make();
  EXPECT_FALSE(Recall(info, text));
  Write(info, text);
  (*client_)->buffer_free(info.id);
  EXPECT_EQ(Spare(), static_cast<uint64_t>(kBytes));
  EXPECT_EQ(farm_->session_host().data.bytes, 0u) << "the quota does not know of it";
  info = Make();
  EXPECT_TRUE(Recall(info, text));
  EXPECT_TRUE(Read(info) == text);
  EXPECT_EQ(Spare(), 0u) << "there is one like it now";
  (*client_)->buffer_free(info.id);
  info = Make(3 * kBytes);
  EXPECT_EQ(Spare(), 0u) << "given up for a new array";
  (*client_)->buffer_free(info.id);
  info = Make();
  EXPECT_FALSE(Recall(info, text));
  Write(info, text);
  (*client_)->buffer_free(info.id);
  EXPECT_EQ(Spare(), static_cast<uint64_t>(kBytes));
  Client other = Connect();
  other.Hello();
  Create(other, Spec({3 * kBytes}, "int8"));
  const auto mine = Make();
  EXPECT_TRUE(Eventually([&] { return Spare() == 0; })) << "given up for another session's";
  (*client_)->buffer_free(mine.id);
  (*client_)->bye();
  EXPECT_TRUE(Eventually([&] { return farm_->session_host().data.bytes == uint64_t{3 * kBytes}; }));
}

TEST_F(DataTest, SharingCanBeTurnedOff) {
  config_.direct = false;
  StartFarm();
  auto client = Connect();
  client.Hello();
  wire::ArenaReply reply;
  EXPECT_EQ(ErrorOf([&] { client->arena(reply); }).kind, wire::ErrorKind::Unsupported);
}

TEST_F(DataTest, PagesWithoutABufferGoBack) {
  StartFarm();
  auto client = Connect();
  const auto session = client.Hello();
  const auto kept = Create(client, Spec({4 << 20}, "int8"));
  const auto freed = Create(client, Spec({8 << 20}, "int8"));
  const auto shared = AskArena(unix_address_, session);
  ASSERT_TRUE(shared.fd);
  const std::string ones(8 << 20, 'x');
  const auto write_at = [&](int64_t offset, size_t bytes) {
    EXPECT_EQ(pwrite(shared.fd.get(), ones.data(), bytes, offset), static_cast<ssize_t>(bytes));
  };
  write_at(kept.offset, 4 << 20);
  write_at(freed.offset, 8 << 20);
  write_at(int64_t{1} << 30, 8 << 20);  // where no buffer is
  EXPECT_GE(PagesOf(shared.fd.get()), 20u << 20);
  client->buffer_free(freed.id);
  EXPECT_TRUE(Eventually([&] { return PagesOf(shared.fd.get()) <= (5u << 20); }));
  char byte = 0;
  EXPECT_EQ(pread(shared.fd.get(), &byte, 1, kept.offset + (4 << 20) - 1), 1);
  EXPECT_EQ(byte, 'x') << "what is a buffer's stays";
}

TEST_F(DataTest, BuffersEndWithTheirSession) {
  config_.data_session_bytes = config_.data_max_bytes = 1 << 20;
  config_.lease_ms = 100;
  StartFarm();
  auto other = Connect();
  other.Hello();
  {
    auto local = Connect();
    local.Hello();
    Create(local, Spec({1 << 20}, "int8"));
    EXPECT_EQ(CreateError(other, Spec({1}, "int8")).kind, wire::ErrorKind::ResourceExhausted);
    local.Close();
  }
  const auto is_free = [&] {
    try {
      wire::BufferInfo info = Create(other, Spec({1 << 20}, "int8"));
      other->buffer_free(info.id);
      return true;
    } catch (const wire::FarmError&) {
      return false;
    }
  };
  EXPECT_TRUE(Eventually(is_free));

  auto remote = ConnectTcp();
  const auto session = remote.Hello();
  const auto info = Create(remote, Spec({1 << 20}, "int8"));
  remote.Close();
  auto back = ConnectTcp();
  back.Attach(session);
  wire::BufferInfo again;
  back->buffer_info(again, info.id);
  EXPECT_EQ(again, info) << "a remote session keeps its buffers for its lease";
  back.Close();
  EXPECT_TRUE(Eventually(is_free)) << "and no longer";
}

TEST_F(DataTest, SessionsDoNotSeeEachOthersBuffers) {
  StartFarm();
  auto one = Connect(), two = Connect();
  one.Hello();
  two.Hello();
  const auto info = Create(one, Spec({8}));
  wire::BufferInfo reply;
  EXPECT_EQ(ErrorOf([&] { two->buffer_info(reply, info.id); }).kind, wire::ErrorKind::BufferLost);
  EXPECT_EQ(ErrorOf([&] { two->buffer_free(info.id); }).kind, wire::ErrorKind::BufferLost);
}

TEST(SessionDataTest, ResolveChecksEveryElement) {
  DataTotals totals;
  SessionData data(DataLimits{.session_bytes = 1 << 20}, totals, 1000);
  const auto buffer = *data.Create({"", "float64", {10, 10}, false});
  wire::ArrayRef array;
  array.dtype = "float64";
  array.__set_buffer(static_cast<int64_t>(buffer->id()));
  const auto resolve = [&](std::vector<int64_t> shape, std::vector<int64_t> strides, int64_t offset) {
    array.shape = std::move(shape);
    array.strides = std::move(strides);
    array.offset = offset;
    return data.Resolve(array);
  };
  const auto whole = resolve({10, 10}, {80, 8}, 0);
  ASSERT_TRUE(whole);
  EXPECT_EQ(whole->offset, buffer->offset());
  EXPECT_EQ(whole->elements, 100);
  EXPECT_TRUE(resolve({10}, {-80}, 720)) << "backwards";
  EXPECT_EQ(resolve({5}, {16}, 8)->offset, buffer->offset() + 8);
  EXPECT_TRUE(resolve({0}, {8}, 800)) << "nothing lies at the end";
  for (const auto& bad :
       {resolve({101}, {8}, 0), resolve({100}, {8}, 8), resolve({2}, {-8}, 0), resolve({1}, {8}, -8),
        resolve({1}, {8}, 4), resolve({2}, {12}, 0), resolve({2}, {8, 8}, 0), resolve({-1}, {8}, 0),
        resolve({int64_t{1} << 61}, {8}, 0), resolve({1}, {0}, std::numeric_limits<int64_t>::max())}) {
    ASSERT_FALSE(bad);
    EXPECT_EQ(bad.error().kind, ErrorKind::kInvalidArgument) << bad.error().message;
  }
  EXPECT_TRUE(resolve({200}, {4}, 0).error().kind == ErrorKind::kInvalidArgument);
  array.dtype = "float32";
  EXPECT_TRUE(resolve({200}, {4}, 0)) << "bytes may be seen as another type";

  const auto held = *resolve({10}, {8}, 0);
  const uint64_t used = data.used();
  EXPECT_TRUE(data.Free(buffer->id()));
  EXPECT_EQ(data.Resolve(array).error().kind, ErrorKind::kBufferLost);
  EXPECT_EQ(data.used(), used) << "what somebody works on keeps its place";
}

// Bytes of this process that are mapped as huge pages of shared memory.
uint64_t MappedHuge() {
  std::ifstream maps("/proc/self/smaps");
  uint64_t kib = 0, sum = 0;
  for (std::string line; std::getline(maps, line);)
    if (std::sscanf(line.c_str(), "ShmemPmdMapped: %lu kB", &kib) == 1) sum += kib * 1024;
  return sum;
}

// Whether this kernel brings pages of shared memory together.
bool KernelGathers() {
  auto memory = SharedMemory::Create("probe", 2 * kHugePage);
  if (!memory) return false;
  std::memset(memory->data(), 1, kHugePage);
  return madvise(memory->data(), kHugePage, 25 /* MADV_COLLAPSE */) == 0;
}

// What is there stays, whoever writes meanwhile; what nobody has written is left alone until somebody does.
TEST(PageGathererTest, LargeArraysComeToLieInHugePages) {
  if (!KernelGathers()) GTEST_SKIP() << "this kernel makes no huge pages of shared memory";
  DataTotals totals;
  SessionData data({}, totals, 1);
  constexpr uint64_t kBytes = 9 << 20;  // four whole huge pages, and some more
  const BufferSpec spec{"", "uint8", {static_cast<int64_t>(kBytes)}, false};
  const auto early = *data.Create(spec), late = *data.Create(spec), small = *data.Create({"", "uint8", {100}, false});
  std::memset(early->data(), 3, kBytes);
  const auto gather = [&] { data.GatherPages(PageGatherer::Clock::now() + std::chrono::seconds(10)); };
  std::atomic<bool> stop{false};
  std::thread writer([&] {
    for (uint8_t value = 0; !stop; ++value)
      for (uint64_t at = 5; at < kBytes; at += 4096) early->data()[at] = static_cast<char>(value);
    for (uint64_t at = 5; at < kBytes; at += 4096) early->data()[at] = 77;
  });
  const auto touch = [](const Buffer& buffer) {
    for (uint64_t at = 0; at < kBytes; at += 4096) {
      volatile char* const byte = buffer.data() + at;
      *byte = static_cast<char>(*byte);
    }
  };
  const auto until = PageGatherer::Clock::now() + std::chrono::seconds(30);
  while (MappedHuge() < 4 * kHugePage && PageGatherer::Clock::now() < until) {
    gather();
    touch(*early);
  }
  stop = true;
  writer.join();
  EXPECT_EQ(early->offset() % kHugePage, 0u);
  EXPECT_EQ(MappedHuge(), 4 * kHugePage);
  for (uint64_t at = 0; at < kBytes; ++at) ASSERT_EQ(early->data()[at], at % 4096 == 5 ? 77 : 3) << at;
  std::memset(late->data(), 4, kBytes);
  while (MappedHuge() < 8 * kHugePage && PageGatherer::Clock::now() < until) {
    gather();
    touch(*late);
  }
  EXPECT_EQ(MappedHuge(), 8 * kHugePage);
  EXPECT_EQ(late->data()[kBytes - 1], 4);
}

// Against a map of what is taken.
TEST(RangeAllocatorTest, NeverGivesTheSameTwice) {
  constexpr uint64_t kSize = 1 << 20;
  RangeAllocator allocator(kSize);
  std::vector<Range> taken;
  std::mt19937 random(11);
  for (int step = 0; step < 20'000; ++step) {
    if (random() % 2 == 0 && !taken.empty()) {
      std::swap(taken[random() % taken.size()], taken.back());
      allocator.Release(taken.back());
      taken.pop_back();
      continue;
    }
    const uint64_t bytes = random() % (random() % 4 == 0 ? 100'000 : 3'000);
    const auto range = allocator.Take(bytes);
    if (!range) continue;
    EXPECT_GE(range->size, bytes);
    EXPECT_EQ(range->offset % (bytes < 4096 ? 64 : 4096), 0u);
    ASSERT_LE(range->offset + range->size, kSize);
    for (const Range& other : taken)
      ASSERT_TRUE(range->offset + range->size <= other.offset || other.offset + other.size <= range->offset);
    taken.push_back(*range);
  }
  for (const Range& range : taken) allocator.Release(range);
  EXPECT_EQ(allocator.free().size(), 1u);
  EXPECT_EQ(allocator.Largest(), kSize);
}

}  // namespace
}  // namespace rbc::server::testing
