// Bodies of control messages that have no fixed size, as bytes.
// SPDX-License-Identifier: Apache-2.0
#include "worker/control_messages.h"

#include <algorithm>

#include "base/error_serial.h"
#include "types/type.h"

namespace rbc::worker {
namespace {

void PutFlag(Writer& writer, bool flag) { writer.Put(static_cast<uint8_t>(flag)); }

void PutStrings(Writer& writer, const std::vector<std::string>& strings) {
  writer.Put(static_cast<uint32_t>(strings.size()));
  for (const auto& s : strings) writer.PutBytes(s);
}

std::vector<std::string> GetStrings(Reader& reader) {
  std::vector<std::string> out(reader.GetCount(sizeof(uint32_t)));
  for (auto& s : out) s = reader.GetString();
  return out;
}

void PutArray(Writer& writer, const EntryPoint::Array& array) {
  for (const uint32_t number : {array.offset, array.rank, array.element_size, array.alignment, array.parameter})
    writer.Put(number);
  PutFlag(writer, array.contiguous);
  PutFlag(writer, array.read_only);
}

EntryPoint::Array GetArray(Reader& reader) {
  EntryPoint::Array array;
  for (uint32_t* number : {&array.offset, &array.rank, &array.element_size, &array.alignment, &array.parameter}) {
    *number = reader.Get<uint32_t>();
  }
  array.contiguous = reader.GetBool();
  array.read_only = reader.GetBool();
  return array;
}

void PutEntry(Writer& writer, const EntryPoint& entry) {
  writer.Put(entry.declaration);
  writer.PutBytes(entry.symbol);
  writer.Put(entry.frame_size);
  writer.Put(entry.result_size);
  PutFlag(writer, entry.result_is_string);
  writer.Put(static_cast<uint32_t>(entry.cells.size()));
  for (const auto& [offset, kind] : entry.cells) {
    writer.Put(offset);
    writer.Put(kind);
  }
  writer.Put(static_cast<uint32_t>(entry.arrays.size()));
  for (const auto& array : entry.arrays) PutArray(writer, array);
  writer.Put(static_cast<uint32_t>(entry.result_arrays.size()));
  for (const auto& array : entry.result_arrays) PutArray(writer, array);
  PutFlag(writer, entry.result_is_array);
  writer.Put(entry.kind);
  writer.Put(entry.parameter_bytes);
  writer.Put(static_cast<uint32_t>(entry.parameters.size()));
  for (const auto& parameter : entry.parameters) {
    writer.Put(parameter.offset);
    writer.Put(parameter.size);
    PutFlag(writer, parameter.is_pointer);
    writer.Put(parameter.frame_offset);
    PutFlag(writer, parameter.is_array);
  }
  writer.Put(entry.shared_bytes);
  writer.Put(entry.max_threads);
  PutFlag(writer, entry.meets);
}

// Whether the arrays that the result is said to have can lie there.
bool ResultHolds(const EntryPoint& entry) {
  const auto& arrays = entry.result_arrays;
  if (entry.result_is_array &&
      (arrays.size() != 1 || arrays[0].offset != 0 || entry.result_size != 16 + 16 * uint64_t{arrays[0].rank}))
    return false;
  return std::all_of(arrays.begin(), arrays.end(), [&](const EntryPoint::Array& array) {
    const uint64_t size = 16 + 16 * uint64_t{array.rank};
    return array.rank != 0 && array.rank <= types::kMaxArrayRank && array.element_size != 0 &&
           array.offset + size <= entry.result_size;
  });
}

EntryPoint GetEntry(Reader& reader) {
  EntryPoint entry;
  entry.declaration = reader.Get<uint32_t>();
  entry.symbol = reader.GetString();
  entry.frame_size = reader.Get<uint32_t>();
  entry.result_size = reader.Get<uint32_t>();
  entry.result_is_string = reader.GetBool();
  entry.cells.resize(reader.GetCount(5));
  for (auto& [offset, kind] : entry.cells) {
    offset = reader.Get<uint32_t>();
    kind = reader.Get<EntryPoint::Cell>();
  }
  entry.arrays.resize(reader.GetCount(22));
  for (auto& array : entry.arrays) array = GetArray(reader);
  entry.result_arrays.resize(reader.GetCount(22));
  for (auto& array : entry.result_arrays) array = GetArray(reader);
  entry.result_is_array = reader.GetBool();
  // Of a worker that lies the result is plain bytes.
  if (!ResultHolds(entry)) {
    entry.result_arrays.clear();
    entry.result_is_array = false;
  }
  entry.kind = reader.Get<EntryKind>();
  entry.parameter_bytes = reader.Get<uint32_t>();
  entry.parameters.resize(reader.GetCount(14));
  for (auto& parameter : entry.parameters) {
    parameter.offset = reader.Get<uint32_t>();
    parameter.size = reader.Get<uint32_t>();
    parameter.is_pointer = reader.GetBool();
    parameter.frame_offset = reader.Get<uint32_t>();
    parameter.is_array = reader.GetBool();
  }
  entry.shared_bytes = reader.Get<uint32_t>();
  entry.max_threads = reader.Get<uint32_t>();
  entry.meets = reader.GetBool();
  return entry;
}

Error Malformed(const char* what) { return Error(ErrorKind::kInternal, std::string("a ") + what + " is malformed"); }

}  // namespace

std::string Serialize(const NurseryReady& ready) {
  Writer writer;
  writer.PutBytes(ready.build_id);
  writer.Put(static_cast<uint32_t>(ready.targets.size()));
  for (const auto& t : ready.targets) {
    for (const auto* text : {&t.name, &t.triple, &t.data_layout, &t.cpu, &t.llvm_version}) writer.PutBytes(*text);
    writer.Put(t.pointer_bits);
    PutStrings(writer, t.devices);
    PutFlag(writer, t.simulated);
    PutFlag(writer, t.compiler_on_demand);
  }
  writer.PutBytes(ready.notes);
  writer.Put(ready.sandbox);
  return writer.Take();
}

Expected<NurseryReady> ParseNurseryReady(std::string_view bytes) {
  Reader reader(bytes);
  NurseryReady ready;
  ready.build_id = reader.GetString();
  ready.targets.resize(reader.GetCount(30));
  for (auto& t : ready.targets) {
    for (auto* text : {&t.name, &t.triple, &t.data_layout, &t.cpu, &t.llvm_version}) *text = reader.GetString();
    t.pointer_bits = reader.Get<uint32_t>();
    t.devices = GetStrings(reader);
    t.simulated = reader.GetBool();
    t.compiler_on_demand = reader.GetBool();
  }
  ready.notes = reader.GetString();
  ready.sandbox = reader.Get<uint32_t>();
  if (!reader.AtEnd()) return Malformed("nursery's first message");
  return ready;
}

void PutArtifact(Writer& writer, const Artifact& artifact) {
  writer.PutBytes(artifact.code);
  writer.Put(artifact.format);
  writer.Put(artifact.sm);
  writer.Put(static_cast<uint32_t>(artifact.entries.size()));
  for (const auto& entry : artifact.entries) PutEntry(writer, entry);
  writer.PutBytes(artifact.constructors);
  writer.PutBytes(artifact.destructors);
  PutFlag(writer, artifact.stateful);
  PutFlag(writer, artifact.repeatable);
  PutDiagnostics(writer, artifact.warnings);
  writer.Put(static_cast<uint32_t>(artifact.timings_us.size()));
  for (const auto& [phase, us] : artifact.timings_us) {
    writer.PutBytes(phase);
    writer.Put(us);
  }
}

Artifact GetArtifact(Reader& reader) {
  Artifact artifact;
  artifact.code = reader.GetString();
  artifact.format = reader.Get<CodeFormat>();
  artifact.sm = reader.Get<uint32_t>();
  artifact.entries.resize(reader.GetCount(39));
  for (auto& entry : artifact.entries) entry = GetEntry(reader);
  artifact.constructors = reader.GetString();
  artifact.destructors = reader.GetString();
  artifact.stateful = reader.GetBool();
  artifact.repeatable = reader.GetBool();
  artifact.warnings = GetDiagnostics(reader);
  artifact.timings_us.resize(reader.GetCount(8));
  for (auto& [phase, us] : artifact.timings_us) {
    phase = reader.GetString();
    us = reader.Get<uint32_t>();
  }
  return artifact;
}

std::string Serialize(const LoadBlob& blob) {
  Writer writer;
  writer.Put(static_cast<uint32_t>(blob.function_ids.size()));
  for (const uint64_t id : blob.function_ids) writer.Put(id);
  PutStrings(writer, blob.names);
  PutFlag(writer, blob.serial);
  PutArtifact(writer, blob.artifact);
  return writer.Take();
}

Expected<LoadBlob> ParseLoadBlob(std::string_view bytes) {
  Reader reader(bytes);
  LoadBlob blob;
  blob.function_ids.resize(reader.GetCount(sizeof(uint64_t)));
  for (auto& id : blob.function_ids) id = reader.Get<uint64_t>();
  blob.names = GetStrings(reader);
  blob.serial = reader.GetBool();
  blob.artifact = GetArtifact(reader);
  if (!reader.AtEnd() || blob.names.size() != blob.function_ids.size() ||
      blob.artifact.entries.size() != blob.function_ids.size())
    return Malformed("module to load");
  return blob;
}

std::string Serialize(const CompileJob& job) {
  Writer writer;
  writer.PutBytes(job.target);
  writer.Put(static_cast<uint32_t>(job.functions.size()));
  for (const auto& f : job.functions) {
    writer.PutBytes(f.symbol);
    writer.PutBytes(f.signature);
    writer.Put(f.abi);
  }
  writer.Put(job.options.opt_level);
  writer.Put(job.options.emit);
  PutFlag(writer, job.options.debug);
  PutFlag(writer, job.options.allow_contract);
  PutFlag(writer, job.options.allow_inline_asm);
  writer.Put(job.options.entry);
  writer.Put(job.options.sm);
  writer.Put(job.options.ptx_version);
  PutFlag(writer, job.options.simulate);
  writer.PutBytes(job.options.map_pattern);
  writer.Put(job.options.accuracy);
  writer.PutBytes(job.ir);
  return writer.Take();
}

Expected<CompileJob> ParseCompileJob(std::string_view bytes) {
  Reader reader(bytes);
  CompileJob job;
  job.target = reader.GetString();
  job.functions.resize(reader.GetCount(9));
  for (auto& f : job.functions) {
    f.symbol = reader.GetString();
    f.signature = reader.GetString();
    f.abi = reader.Get<Abi>();
  }
  job.options.opt_level = reader.Get<uint8_t>();
  job.options.emit = reader.Get<Emit>();
  job.options.debug = reader.GetBool();
  job.options.allow_contract = reader.GetBool();
  job.options.allow_inline_asm = reader.GetBool();
  job.options.entry = reader.Get<EntryKind>();
  job.options.sm = reader.Get<uint32_t>();
  job.options.ptx_version = reader.Get<uint32_t>();
  job.options.simulate = reader.GetBool();
  job.options.map_pattern = reader.GetString();
  job.options.accuracy = reader.Get<MathAccuracy>();
  job.ir = reader.GetBytes();
  if (!reader.AtEnd()) return Malformed("compile job");
  return job;
}

std::string SerializeResult(const Expected<Artifact>& result) {
  Writer writer;
  PutFlag(writer, result.has_value());
  if (result)
    PutArtifact(writer, *result);
  else
    PutError(writer, result.error());
  return writer.Take();
}

Expected<Artifact> ParseResult(std::string_view bytes) {
  Reader reader(bytes);
  if (reader.GetBool()) {
    Artifact artifact = GetArtifact(reader);
    if (!reader.AtEnd()) return Malformed("compile result");
    return artifact;
  }
  Error error = GetError(reader);
  if (!reader.AtEnd()) return Malformed("compile result");
  return error;
}

}  // namespace rbc::worker
