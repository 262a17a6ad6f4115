// Whether packing makes a transfer faster.
// SPDX-License-Identifier: Apache-2.0
#include "packing/pacer.h"

#include <algorithm>

namespace rbc {
namespace {

constexpr double kFastLine = 500e6;    // bytes a second: nothing that this packs is faster
constexpr double kWorthIt = 0.9;       // of the plain time
constexpr double kShortest = 0.005;    // seconds between two looks at the line
constexpr uint32_t kNeverFull = 64;    // pieces: then the line is taken for faster than the sender
constexpr uint32_t kFirstPause = 8;    // pieces between trials where packing did not pay, ...
constexpr uint32_t kMostPause = 256;   // ... doubled up to this
constexpr uint32_t kOrdersPause = 64;  // pieces between trials of both byte orders

double Mean(double old, double next) { return old == 0 ? next : (old + next) / 2; }

}  // namespace

void Pacer::Begin(bool always) {
  always_ = always;
  was_full_ = false;
  since_full_ = 0;
}

void Pacer::Full(Clock::time_point now) {
  since_full_ = 0;
  if (!was_full_) {
    was_full_ = true;
    full_at_ = now;
    sent_when_full_ = sent_;
    return;
  }
  const double passed = Seconds(now - full_at_).count();
  if (passed < kShortest || sent_ == sent_when_full_) return;
  line_ = Mean(line_, static_cast<double>(sent_ - sent_when_full_) / passed);
  full_at_ = now;
  sent_when_full_ = sent_;
}

bool Pacer::Pays() const { return line_ / pack_speed_ + ratio_ < kWorthIt; }

bool Pacer::WouldPack() {
  if (always_) return true;
  if (line_ == 0 || line_ > kFastLine) return false;
  if (++since_full_ > kNeverFull) {
    line_ = 0;
    was_full_ = false;
    since_full_ = 0;
    return false;
  }
  if (pack_speed_ == 0 || Pays()) return true;
  if (until_trial_ != 0) {
    --until_trial_;
    return false;
  }
  trial_pause_ = std::clamp(trial_pause_ * 2, kFirstPause, kMostPause);
  until_trial_ = trial_pause_;
  until_orders_ = 0;
  return true;
}

void Pacer::Packed(uint64_t bytes, uint64_t packed, Seconds took) {
  pack_speed_ = Mean(pack_speed_, static_cast<double>(bytes) / std::max(took.count(), 1e-9));
  ratio_ = static_cast<double>(packed) / static_cast<double>(bytes);
  if (Pays()) trial_pause_ = 0;
}

void Pacer::PackBest(std::string_view piece, uint32_t element, Packer* packer, std::string* out) {
  const size_t begin = out->size();
  if (until_orders_ != 0 || element == 1) {
    until_orders_ -= until_orders_ != 0 ? 1 : 0;
    return packer->Pack(piece, element, order_, out);
  }
  until_orders_ = kOrdersPause;
  packer->Pack(piece, element, ByteOrder::kByPlace, out);
  std::string other;
  packer->Pack(piece, element, ByteOrder::kAsTheyLie, &other);
  order_ = ByteOrder::kByPlace;
  if (other.size() >= out->size() - begin) return;
  order_ = ByteOrder::kAsTheyLie;
  out->replace(begin, std::string::npos, other);
}

bool Pacer::Add(std::string_view piece, uint32_t element, Packer* packer, std::string* out) {
  if (!WouldPack()) return false;
  const size_t before = out->size();
  const bool both = until_orders_ == 0 && element != 1;
  const auto begin = Clock::now();
  PackBest(piece, element, packer, out);
  const Seconds took = Clock::now() - begin;
  Packed(piece.size(), out->size() - before, both ? took / 2 : took);
  return true;
}

}  // namespace rbc
