// IR of the tests: a function for each kind of behaviour and fault.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "tests/harness/client.h"

namespace rbc::harness {

// double add(double, double); "add_daddA" is its symbol.
Module AddModule();
// int64 f(int64): returns its argument times `factor`. A module of its own for each symbol and factor.
Module ScaleModule(const std::string& symbol, int64_t factor);
// int64 count(int64 step): adds to a writable global and returns it: a stateful module.
Module CounterModule();
// void loop(): prints `marker` and never ends.
Module EndlessModule(const std::string& marker = "loop began");
// int64 wait(int64 steps): a volatile loop of so many steps, about 1 ns each at O2.
Module BusyModule();

// int64 meet(int64 parties): waits until so many have called it.
inline constexpr char kMeetIr[] = R"(@inside = global i64 0
define i64 @meet(i64 %parties) {
entry:
  %mine = atomicrmw add ptr @inside, i64 1 seq_cst
  br label %wait
wait:
  %now = load atomic volatile i64, ptr @inside seq_cst, align 8
  %all = icmp sge i64 %now, %parties
  br i1 %all, label %done, label %wait
done:
  ret i64 %mine
}
)";

// int64 slow(int64): a chain of `blocks` small loops, which the optimiser of O3 works on for longer than their number
// suggests: about a second for 1,500 on a busy machine, more than ten for 5,000.
Module SlowModule(int blocks, int variant = 0);

// A function of one argument, `int64 NAME(int64)`, that prints `marker` by puts and then does `body` (IR; `%x` is the
// argument). `globals` stands before it.
std::string MarkedFunction(const std::string& name, const std::string& marker, const std::string& body,
                           const std::string& globals = "");

}  // namespace rbc::harness
