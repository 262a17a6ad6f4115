// printf and its kin for client code.
// SPDX-License-Identifier: Apache-2.0
#include "worker/runtime/output.h"

#include <cerrno>
#include <cstdint>
#include <cstring>
#include <string_view>

#include "worker/call_context.h"
#include "worker/fault.h"

// The two files that there are; both end in the one capture, in the order of the calls.
struct RbcClientFile {
  char name[8];
};

namespace {

RbcClientFile output_file{"stdout"};
RbcClientFile error_file{"stderr"};

int Print(const char* format, va_list arguments) {
  const rbc::worker::OutputOfCall output;
  return output ? output->Print(format, arguments) : -1;
}

int Write(std::string_view text) {
  const rbc::worker::OutputOfCall output;
  if (!output) return -1;
  output->Write(text);
  return 0;
}

void Check(const RbcClientFile* file, const char* function, const void* caller) {
  if (file == &output_file || file == &error_file) return;
  char text[96];
  snprintf(text, sizeof text, "%s is called with a file that is neither stdout nor stderr", function);
  rbc::worker::EndWithFault(rbc::worker::FaultCause::kRefused, 0, 0, file, caller, text);
}

}  // namespace

#define RBC_CHECK_FILE(file, function) Check(file, function, __builtin_return_address(0))

extern "C" {

RbcClientFile* client_stdout = &output_file;
RbcClientFile* client_stderr = &error_file;

int CaptureVprintf(const char* format, va_list arguments) { return Print(format, arguments); }

int CapturePrintf(const char* format, ...) {
  va_list arguments;
  va_start(arguments, format);
  const int size = Print(format, arguments);
  va_end(arguments);
  return size;
}

int CapturePuts(const char* text) {
  Write(text);
  return Write("\n");
}

int CapturePutchar(int character) {
  const char byte = static_cast<char>(character);
  return Write({&byte, 1}) < 0 ? -1 : static_cast<unsigned char>(byte);
}

int CaptureVfprintf(RbcClientFile* file, const char* format, va_list arguments) {
  RBC_CHECK_FILE(file, "fprintf");
  return Print(format, arguments);
}

int CaptureFprintf(RbcClientFile* file, const char* format, ...) {
  RBC_CHECK_FILE(file, "fprintf");
  va_list arguments;
  va_start(arguments, format);
  const int size = Print(format, arguments);
  va_end(arguments);
  return size;
}

int CaptureFputs(const char* text, RbcClientFile* file) {
  RBC_CHECK_FILE(file, "fputs");
  return Write(text);
}

int CaptureFputc(int character, RbcClientFile* file) {
  RBC_CHECK_FILE(file, "fputc");
  return CapturePutchar(character);
}

size_t CaptureFwrite(const void* data, size_t size, size_t count, RbcClientFile* file) {
  RBC_CHECK_FILE(file, "fwrite");
  size_t bytes;
  if (__builtin_mul_overflow(size, count, &bytes)) return 0;
  return Write({static_cast<const char*>(data), bytes}) < 0 ? 0 : count;
}

int CaptureFflush(RbcClientFile* file) {
  if (file != nullptr) RBC_CHECK_FILE(file, "fflush");
  return 0;
}

int CaptureFerror(RbcClientFile* file) {
  RBC_CHECK_FILE(file, "ferror");
  return 0;
}

void CapturePerror(const char* text) {
  const int error = errno;
  if (text != nullptr && *text != 0) CapturePrintf("%s: ", text);
  CapturePuts(strerror(error));
}

int CapturePrintfChk(int, const char* format, ...) {
  va_list arguments;
  va_start(arguments, format);
  const int size = Print(format, arguments);
  va_end(arguments);
  return size;
}

int CaptureVprintfChk(int, const char* format, va_list arguments) { return Print(format, arguments); }

int CaptureFprintfChk(RbcClientFile* file, int, const char* format, ...) {
  RBC_CHECK_FILE(file, "fprintf");
  va_list arguments;
  va_start(arguments, format);
  const int size = Print(format, arguments);
  va_end(arguments);
  return size;
}

int CaptureVfprintfChk(RbcClientFile* file, int, const char* format, va_list arguments) {
  RBC_CHECK_FILE(file, "fprintf");
  return Print(format, arguments);
}

}  // extern "C"
