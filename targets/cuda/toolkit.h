// Where the parts of CUDA's toolkit may lie.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <vector>

namespace rbc::cuda {

// Roots of toolkits, the likeliest first: the environment's CUDA_HOME and CUDA_PATH, /usr/local/cuda, the newest
// /usr/local/cuda-*, what scripts/install-deps fetched, Python's packages below /usr and /usr/local. Not all exist.
std::vector<std::filesystem::path> ToolkitRoots();

}  // namespace rbc::cuda
