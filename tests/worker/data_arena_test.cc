// A session's arrays in an execution worker: mapped at the daemon's word, shared, once.
// SPDX-License-Identifier: Apache-2.0
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <fstream>
#include <sstream>

#include "tests/worker/harness.h"

namespace rbc::testing {
namespace {

using worker::MessageType;

constexpr uint64_t kSize = 1 << 20;
constexpr char kPoke[] = R"(
define void @poke(i64 %address, i64 %value) {
  %p = inttoptr i64 %address to ptr
  store i64 %value, ptr %p
  ret void
}
)";

UniqueFd Memory() {
  UniqueFd fd(memfd_create("rbc-test-data", MFD_CLOEXEC));
  EXPECT_EQ(ftruncate(fd.get(), kSize), 0);
  return fd;
}

bool SendArena(Worker& worker, std::vector<int> fds) {
  const worker::DataArenaBody body{kSize};
  return Send(worker.control(), MessageType::kDataArena, {reinterpret_cast<const char*>(&body), sizeof body},
              std::move(fds));
}

// The line of /proc/PID/maps, "" where it is not there.
std::string Mapping(pid_t pid) {
  std::ifstream maps("/proc/" + std::to_string(pid) + "/maps");
  for (std::string line; std::getline(maps, line);)
    if (line.find("rbc-test-data") != std::string::npos) return line;
  return {};
}

TEST(DataArena, IsSharedWithTheWorker) {
  Session session(kPoke, {{"poke", "void(int64, int64)"}});
  ASSERT_TRUE(session.ok());
  const UniqueFd fd = Memory();
  ASSERT_TRUE(SendArena(*session, {fd.get()}));
  const auto answer = Receive(session->control());
  ASSERT_TRUE(answer);
  ASSERT_EQ(answer->type, MessageType::kDataArenaMapped);
  EXPECT_EQ(answer->As<worker::DataArenaMappedBody>().failed, 0u);
  const std::string line = Mapping(session->pid());
  EXPECT_NE(line.find(" rw-s "), std::string::npos) << "shared, and nothing to execute: " << line;

  const uint64_t address = std::stoull(line, nullptr, 16);
  ASSERT_TRUE(Decode(session.Call(0, address + 4096, uint64_t{42})).reply);
  uint64_t seen = 0;
  EXPECT_EQ(pread(fd.get(), &seen, sizeof seen, 4096), static_cast<ssize_t>(sizeof seen));
  EXPECT_EQ(seen, 42u);
}

TEST(DataArena, ComesOnce) {
  auto worker = SharedNursery().Spawn(worker::Role::kExecute);
  ASSERT_TRUE(worker);
  const UniqueFd fd = Memory();
  ASSERT_TRUE(SendArena(*worker, {fd.get()}));
  ASSERT_TRUE(Receive(worker->control()));
  ASSERT_TRUE(SendArena(*worker, {fd.get()}));
  EXPECT_TRUE(worker->AwaitEnd()) << "a message out of turn ends the worker";
}

TEST(DataArena, ComesWithItsMemory) {
  auto worker = SharedNursery().Spawn(worker::Role::kExecute);
  ASSERT_TRUE(worker);
  ASSERT_TRUE(SendArena(*worker, {}));
  EXPECT_TRUE(worker->AwaitEnd());
}

}  // namespace
}  // namespace rbc::testing
