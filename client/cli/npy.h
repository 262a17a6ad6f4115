// NumPy's files of one array.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "rbc/exception.h"

namespace rbc::cli {

// An array in C order.
struct Npy {
  std::string dtype;  // "float64"
  int64_t rows = 0;   // of the first dimension
  std::string data;
  std::vector<int64_t> shape{};  // empty: one dimension of `rows`
};

// `file` are the bytes of a .npy file, version 1 to 3. kInvalidArgument: it is none. kUnsupported: no dimension,
// Fortran order, big-endian numbers, Python objects or structs.
Result<Npy> ReadNpy(const std::string& file);
std::string WriteNpy(const Npy& array);

}  // namespace rbc::cli
