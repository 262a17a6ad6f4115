// What the daemon makes of a record that a hostile process wrote.
// SPDX-License-Identifier: Apache-2.0
#include "server/workers/fault_report.h"

#include <gtest/gtest.h>

#include <csignal>
#include <cstring>
#include <memory>
#include <random>

namespace rbc::server {
namespace {

using worker::FaultCause;

std::unique_ptr<worker::RingHeader> Header() { return std::make_unique<worker::RingHeader>(); }

TEST(FaultReport, NoRecordNoFault) { EXPECT_FALSE(ReadFault(*Header())); }

TEST(FaultReport, ACrashNamesFunctionCauseAndSignal) {
  auto header = Header();
  header->fault.claimed = 2;
  header->fault.cause = FaultCause::kStackOverflow;
  header->fault.signal = SIGSEGV;
  header->fault.lane = 3;
  std::strcpy(header->fault.function, "inner");
  const Error error = CrashOf(*ReadFault(*header), "outer");
  EXPECT_EQ(error.kind, ErrorKind::kRemoteCrash);
  EXPECT_EQ(error.function, "outer");
  EXPECT_EQ(error.cause, "stack overflow");
  EXPECT_EQ(error.signal, SIGSEGV);
  EXPECT_TRUE(error.may_have_run);
  EXPECT_NE(error.message.find("in 'inner'"), std::string::npos) << error.message;
}

TEST(FaultReport, TextOfAHostileProcessIsBoundedAndPlain) {
  auto header = Header();
  header->fault.claimed = 2;
  std::memset(header->fault.message, 'x', sizeof header->fault.message);
  header->fault.function[0] = '\x1b';
  header->fault.function[1] = 'f';
  const auto fault = *ReadFault(*header);
  EXPECT_EQ(fault.message.size(), sizeof header->fault.message);
  EXPECT_EQ(fault.function, "f");
}

TEST(FaultReport, RandomRecordsGiveSomeText) {
  std::mt19937 random(1);
  auto header = Header();
  for (int round = 0; round < 2000; ++round) {
    auto* bytes = reinterpret_cast<unsigned char*>(&header->fault);
    for (size_t i = 0; i < sizeof header->fault; ++i) bytes[i] = static_cast<unsigned char>(random());
    header->fault.claimed = 2;
    const auto fault = ReadFault(*header);
    ASSERT_TRUE(fault);
    EXPECT_FALSE(CrashOf(*fault, "f").message.empty());
    EXPECT_FALSE(CompileCrashOf(*fault).message.empty());
  }
}

}  // namespace
}  // namespace rbc::server
