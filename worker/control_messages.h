// Bodies of control messages that have no fixed size, as bytes. Used by daemon and worker.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/expected.h"
#include "base/serial.h"
#include "targets/target.h"

namespace rbc::worker {

struct NurseryReady {
  std::string build_id;
  std::vector<TargetInfo> targets;
  std::string notes;     // what of the sandbox the machine does not offer, for a person; "" if nothing
  uint32_t sandbox = 0;  // SandboxBit of the nursery, which its workers inherit
};
std::string Serialize(const NurseryReady& ready);
Expected<NurseryReady> ParseNurseryReady(std::string_view bytes);

// A module for an execution worker: its artifact and the id of each entry.
struct LoadBlob {
  Artifact artifact;
  std::vector<uint64_t> function_ids;  // one an entry
  std::vector<std::string> names;      // the client's symbols, one an entry, for error messages
  bool serial = false;
};
std::string Serialize(const LoadBlob& blob);
Expected<LoadBlob> ParseLoadBlob(std::string_view bytes);

// A job for a compile worker. The IR comes last so that it can be read in place.
struct CompileJob {
  std::string target;
  std::vector<FunctionDeclaration> functions;
  CompileOptions options;
  std::string_view ir;
};
std::string Serialize(const CompileJob& job);
Expected<CompileJob> ParseCompileJob(std::string_view bytes);  // `ir` points into `bytes`

// What a compile worker answers: an artifact or an error, from a hostile process.
std::string SerializeResult(const Expected<Artifact>& result);
Expected<Artifact> ParseResult(std::string_view bytes);

// An artifact alone, for the store.
void PutArtifact(Writer& writer, const Artifact& artifact);
Artifact GetArtifact(Reader& reader);

}  // namespace rbc::worker
