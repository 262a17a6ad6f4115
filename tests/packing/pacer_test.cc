// When packing pays: lines of all speeds, on a clock of the test's own.
// SPDX-License-Identifier: Apache-2.0
#include "packing/pacer.h"

#include <gtest/gtest.h>

#include <cstring>

namespace rbc {
namespace {

using Seconds = Pacer::Seconds;

constexpr double kPiece = kMostPiece;

// A line with a queue in front, and a sender who packs at a speed to a ratio. Times are the test's.
class Line {
 public:
  Line(double speed, double pack_speed, double ratio) : speed_(speed), pack_speed_(pack_speed), ratio_(ratio) {}
  void set_speed(double speed) { speed_ = speed; }
  void set_ratio(double ratio) { ratio_ = ratio; }

  // Sends `pieces`; how many of them were packed.
  int Send(int pieces) {
    int packed = 0;
    pacer.Begin(false);
    for (int i = 0; i < pieces; ++i) {
      double wire = kPiece;
      if (pacer.WouldPack()) {
        ++packed;
        wire *= ratio_;
        Pass(kPiece / pack_speed_);
        pacer.Packed(kMostPiece, static_cast<uint64_t>(wire), Seconds(kPiece / pack_speed_));
      } else {
        Pass(kPiece / 5e9);  // a copy into the queue
      }
      while (queued_ + wire > kQueue) {
        pacer.Full(now_);
        Pass(std::max(0.001, kQueue / 3 / speed_));
      }
      queued_ += wire;
      pacer.Sent(static_cast<uint64_t>(wire));
      array_ += kPiece;
    }
    return packed;
  }
  double seconds() const { return seconds_; }
  Pacer pacer;

 private:
  static constexpr double kQueue = 1e6;
  void Pass(double seconds) {
    seconds_ += seconds;
    now_ += std::chrono::duration_cast<Pacer::Clock::duration>(Seconds(seconds));
    queued_ = std::max(0.0, queued_ - seconds * speed_);
  }
  double speed_, pack_speed_, ratio_;
  double queued_ = 0, seconds_ = 0, array_ = 0;
  Pacer::Clock::time_point now_{};
};

TEST(Pacer, PacksOnASlowLine) {
  for (const double speed : {0.1e6, 5e6, 50e6}) {
    Line line(speed, 600e6, 0.3);
    EXPECT_GT(line.Send(400), 350) << speed;
    EXPECT_LT(line.seconds(), 0.45 * 400 * kPiece / speed) << speed;
  }
}

TEST(Pacer, LeavesAFastLineAlone) {
  for (const double speed : {0.7e9, 3e9}) {
    Line line(speed, 600e6, 0.3);
    EXPECT_LE(line.Send(2000), 1) << speed;
  }
}

TEST(Pacer, LeavesAloneWhatDoesNotShrink) {
  Line line(5e6, 1000e6, 1.0);
  EXPECT_LE(line.Send(1000), 12) << "a few trials, fewer and fewer";
}

TEST(Pacer, NoticesThatTheDataChange) {
  Line line(5e6, 600e6, 1.0);
  line.Send(40);
  line.set_ratio(0.2);
  EXPECT_GT(line.Send(600), 300);
  line.set_ratio(1.0);
  EXPECT_LT(line.Send(400), 20);
}

TEST(Pacer, NoticesThatTheLineBecameFast) {
  Line line(5e6, 600e6, 0.3);
  line.Send(100);
  line.set_speed(5e9);
  line.Send(200);
  EXPECT_LT(line.Send(1000), 200) << "a trial now and then";
}

TEST(Pacer, AlwaysIsAlways) {
  Pacer pacer;
  pacer.Begin(true);
  for (int i = 0; i < 100; ++i) ASSERT_TRUE(pacer.WouldPack());
}

// Both byte orders are tried, and the better one stays.
TEST(Pacer, FindsTheBetterOrder) {
  Packer packer;
  for (const bool by_place : {true, false}) {
    Pacer pacer;
    pacer.Begin(true);
    std::string numbers(kMostPiece, '\0');
    for (uint64_t i = 0; i < kMostPiece / 8; ++i) {
      const double ramp = static_cast<double>(i);
      const uint64_t hashed = (i / 512 + 1) * 0x9E3779B97F4A7C15;  // long runs of equal, noisy values
      std::memcpy(numbers.data() + 8 * i, by_place ? static_cast<const void*>(&ramp) : &hashed, 8);
    }
    std::string first, second, best, other;
    ASSERT_TRUE(pacer.Add(numbers, 8, &packer, &first));
    ASSERT_TRUE(pacer.Add(numbers, 8, &packer, &second));
    packer.Pack(numbers, 8, ByteOrder::kByPlace, &best);
    packer.Pack(numbers, 8, ByteOrder::kAsTheyLie, &other);
    EXPECT_EQ(first.size(), std::min(best.size(), other.size()));
    EXPECT_EQ(second.size(), first.size());
  }
}

}  // namespace
}  // namespace rbc
