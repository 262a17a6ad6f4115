// Libraries of vector maths that the machine has, for maps.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string_view>

namespace rbc::worker {

// Opens libmvec and, where installed, SLEEF, and finds their functions. Once, before lock-down: in the nursery, whose
// workers share the pages.
void OpenVectorLibraries();

// nullptr: no such function, no such library, or not opened.
void* FindVectorFunction(std::string_view symbol);

}  // namespace rbc::worker
