// printf and its kin for client code: into the capture of the call.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdarg>
#include <cstddef>

// C linkage because client code calls them; the signatures are those of the functions they stand in for, with a file
// being one of ours. Any other file ends the call.
extern "C" {
struct RbcClientFile;
extern RbcClientFile* client_stdout;
extern RbcClientFile* client_stderr;
int CapturePrintf(const char* format, ...);
int CaptureVprintf(const char* format, va_list arguments);
int CapturePuts(const char* text);
int CapturePutchar(int character);
int CaptureFprintf(RbcClientFile* file, const char* format, ...);
int CaptureVfprintf(RbcClientFile* file, const char* format, va_list arguments);
int CaptureFputs(const char* text, RbcClientFile* file);
int CaptureFputc(int character, RbcClientFile* file);
size_t CaptureFwrite(const void* data, size_t size, size_t count, RbcClientFile* file);
int CaptureFflush(RbcClientFile* file);
int CaptureFerror(RbcClientFile* file);
void CapturePerror(const char* text);
int CapturePrintfChk(int flag, const char* format, ...);
int CaptureVprintfChk(int flag, const char* format, va_list arguments);
int CaptureFprintfChk(RbcClientFile* file, int flag, const char* format, ...);
int CaptureVfprintfChk(RbcClientFile* file, int flag, const char* format, va_list arguments);
}
