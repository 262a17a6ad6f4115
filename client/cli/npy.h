// NumPy's files of one array.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "rbc/exception.h"

namespace rbc::cli {

// An array whose elements lie side by side.
struct Npy {
  std::string dtype;           // "float64"
  std::vector<int64_t> shape;  // empty: one value
  std::string data;
  bool fortran = false;  // the first dimension is the innermost one
};

// `file` are the bytes of a .npy file, version 1 to 3. kInvalidArgument: it is none. kUnsupported: big-endian numbers,
// Python objects or structs.
Result<Npy> ReadNpy(const std::string& file);
std::string WriteNpy(const Npy& array);

}  // namespace rbc::cli
