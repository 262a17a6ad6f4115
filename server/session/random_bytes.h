// Randomness for secrets and ids.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace rbc::server {

// From the kernel's generator; waits for it to be seeded.
void FillRandom(void* bytes, size_t size);
uint64_t RandomNumber();
// Takes the same time wherever they differ.
bool EqualSecrets(std::string_view a, std::string_view b);

}  // namespace rbc::server
