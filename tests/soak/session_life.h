// One life of a session that does everything, each result checked.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <random>
#include <string>

#include "rbc/rbc.h"

namespace rbc::harness {

// Calls, maps, reductions, scans, buffers, functions over arrays, kernels on a GPU, and now and then a fault that costs
// it a worker, in an order that the seed chooses.
class SessionLife {
 public:
  SessionLife(const std::string& address, bool gpu, uint64_t seed);
  // The number of results that were wrong. Throws Exception.
  int Live();

 private:
  void Call();
  void Map();
  void MapArrays();
  void Reduce();
  void Scan();
  void Buffers();
  void ArrayFunction();
  void Kernel();
  void Residents();
  void Crash();
  void Overrun();

  std::vector<int64_t> Numbers(size_t most);
  Caller Named(const std::string& name, const std::string& signature, CallAbi abi = CallAbi::kDirect);
  void Expect(bool right) { wrong_ += right ? 0 : 1; }

  const bool gpu_;
  std::mt19937_64 random_;
  const int64_t factor_;
  const Source source_;
  const RemoteJIT jit_;
  int wrong_ = 0;
};

}  // namespace rbc::harness
