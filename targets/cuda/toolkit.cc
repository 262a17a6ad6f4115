// Lists the places of CUDA's toolkit.
// SPDX-License-Identifier: Apache-2.0
#include "targets/cuda/toolkit.h"

#include <algorithm>
#include <cstdlib>
#include <string_view>

namespace rbc::cuda {
namespace {

namespace fs = std::filesystem;

std::vector<fs::path> Matching(const fs::path& folder, std::string_view prefix) {
  std::vector<fs::path> paths;
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator(folder, ignored)) {
    if (entry.path().filename().string().starts_with(prefix)) paths.push_back(entry.path());
  }
  std::sort(paths.rbegin(), paths.rend());  // the newest first
  return paths;
}

}  // namespace

std::vector<fs::path> ToolkitRoots() {
  std::vector<fs::path> roots;
  for (const char* name : {"CUDA_HOME", "CUDA_PATH"}) {
    if (const char* home = std::getenv(name)) roots.emplace_back(home);
  }
  roots.emplace_back("/usr/local/cuda");
  for (const auto& home : Matching("/usr/local", "cuda-")) roots.push_back(home);
  roots.emplace_back("/usr/local/share/rbc/cuda");
  for (const char* root : {"/usr/local/lib", "/usr/lib"}) {
    for (const auto& python : Matching(root, "python3")) {
      for (const char* packages : {"site-packages", "dist-packages"}) {
        const fs::path nvidia = python / packages / "nvidia";
        for (const auto& home : Matching(nvidia, "cu1")) roots.push_back(home);
        roots.push_back(nvidia / "cuda_nvcc");
        roots.push_back(nvidia / "nvjitlink");
      }
    }
  }
  return roots;
}

}  // namespace rbc::cuda
