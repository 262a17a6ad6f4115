// Calls side by side: futures, a callback and a descriptor for poll(): pending [FARM].
// SPDX-License-Identifier: Apache-2.0
#include <poll.h>

#include <iostream>
#include <vector>

#include "rbc/rbc.h"

constexpr char kSquare[] = R"(
define i64 @square(i64 %x) {
  %s = mul i64 %x, %x
  ret i64 %s
}
)";

int main(int argc, char** argv) try {
  rbc::RemoteJIT rjit(argc > 1 ? argv[1] : "");
  auto square = rjit.function<int64_t(int64_t)>(rbc::Source::Ir(kSquare), "square");
  std::vector<rbc::Pending<int64_t>> calls;
  for (int64_t i = 0; i < 8; ++i) calls.push_back(square.call_async(i));
  int64_t sum = 0;
  for (const auto& call : calls) sum += call.get();
  std::cout << sum << "\n";  // 140

  const auto polled = square.call_async(12);
  pollfd wait{polled.fd(), POLLIN, 0};
  if (poll(&wait, 1, 10'000) != 1) return 1;
  std::cout << polled.get() << "\n";  // 144

  std::future<int64_t> future = square.call_async(9).future();
  std::cout << future.get() << "\n";  // 81
  return 0;
} catch (const rbc::Exception& error) {
  std::cerr << "error: " << error.what() << "\n";
  return 1;
}
