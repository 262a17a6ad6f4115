// The one error value of the project: a kind that tells the caller what to do next, and a sentence.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace rbc {

// Numbers travel on the wire (thrift/rbc.thrift ErrorKind): never renumber, only add.
// The comment says what the caller does next.
#define RBC_ERROR_KINDS(X)                                                           \
  X(InvalidArgument, 1)     /* fix the argument, signature or frame */               \
  X(InvalidModule, 2)       /* fix the IR: it does not parse, verify or match */     \
  X(UnsupportedProducer, 3) /* made by a newer LLVM than the farm's */               \
  X(Unsupported, 4)         /* valid, but this farm or target cannot do it */        \
  X(MissingSymbol, 5)       /* define the named symbols or do without them */        \
  X(CompileFailed, 6)       /* the compiler refused the module: change it */         \
  X(CompileCrash, 7)        /* the compiler died on this module: change it */        \
  X(Quarantined, 8)         /* this module killed compilers: change it, or wait */   \
  X(DeadlineExceeded, 9)    /* raise the deadline or do less */                      \
  X(RemoteCrash, 10)        /* the function itself crashed: fix the function */      \
  X(WorkerLost, 11)         /* the worker died: see may_have_run before a retry */   \
  X(StateLost, 12)          /* the module's globals were reset: retry knowingly */   \
  X(UnknownModule, 13)      /* send the IR again */                                  \
  X(UnknownName, 14)        /* no such published name or function */                 \
  X(UnknownTarget, 15)      /* choose one of the farm's targets */                   \
  X(UnknownSession, 16)     /* say hello again */                                    \
  X(WrongFarm, 17)          /* the session lives on the farm at `address` */         \
  X(Busy, 18)               /* try again after retry_after_ms */                     \
  X(ResourceExhausted, 19)  /* a limit is reached: ask for less or free something */ \
  X(ProtocolMismatch, 20)   /* update the older of the two sides */                  \
  X(PermissionDenied, 21)   /* ask the owner or the operator */                      \
  X(Cancelled, 22)          /* it was cancelled on request */                        \
  X(Unavailable, 23)        /* the device or the farm is not there now */            \
  X(ConnectionLost, 24)     /* client side: the farm cannot be reached */            \
  X(NoMatch, 25)            /* client side: no signature takes these arguments */    \
  X(Internal, 26)           /* a defect of the farm: report it */                    \
  X(BufferLost, 27)         /* the buffer is gone: make it anew */

enum class ErrorKind : int32_t {
#define RBC_X(name, number) k##name = number,
  RBC_ERROR_KINDS(RBC_X)
#undef RBC_X
};

// "InvalidModule" and so on; "Internal" for a number that is not in the list.
std::string_view Name(ErrorKind kind);
// kInternal for a number that is not in the list (a newer peer).
ErrorKind ErrorKindFromNumber(int32_t number);

enum class Severity : uint8_t { kError = 0, kWarning = 1, kRemark = 2, kNote = 3 };

// A compiler's message about the client's own IR. line and column count from 1; 0: not known.
struct Diagnostic {
  Severity severity = Severity::kError;
  std::string message;
  uint32_t line = 0;
  uint32_t column = 0;
  std::string source_line;
};

// One sentence in the present tense with the value and the limit. Fields that do not apply keep their defaults.
struct [[nodiscard]] Error {
  ErrorKind kind = ErrorKind::kInternal;
  std::string message;
  std::string role;            // who failed: "client", "daemon", "compile worker", "execution worker"
  std::string function;        // the client's name of the function, if one was running or asked for
  std::string cause;           // "stack overflow", "assertion failed", "LLVM fatal error", ...
  std::string address;         // kWrongFarm: where the session lives
  std::string output;          // what the function printed before it ended
  int32_t signal = 0;          // signal number, kRemoteCrash and kCompileCrash
  bool may_have_run = false;   // the call may have had effects
  bool retry_safe = false;     // sending the same request again is safe
  int64_t retry_after_ms = 0;  // kBusy, kQuarantined
  std::vector<Diagnostic> diagnostics;

  Error() = default;
  Error(ErrorKind k, std::string text) : kind(k), message(std::move(text)) {}
  // The same error with " - while <what>" behind its message.
  Error While(std::string_view what) && {
    message.append(" - while ").append(what);
    return std::move(*this);
  }
};

}  // namespace rbc
