// rbc-worker: started by rbc-farm only.
// SPDX-License-Identifier: Apache-2.0
#include <cstdio>
#include <cstring>

#include "worker/build_id.h"
#include "worker/nursery.h"

int main(int argc, char** argv) {
  if (argc == 3 && std::strcmp(argv[1], "--nursery") == 0) return rbc::worker::RunNursery(argv[2]);
  if (argc == 2 && std::strcmp(argv[1], "--build-id") == 0) {
    const auto id = rbc::worker::BuildId();
    std::printf("%.*s\n", static_cast<int>(id.size()), id.data());
    return 0;
  }
  std::fputs("rbc-worker is started by rbc-farm; the only option for people is --build-id\n", stderr);
  return 2;
}
