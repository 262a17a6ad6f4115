// IR of the tests.
// SPDX-License-Identifier: Apache-2.0
#include "tests/harness/ir.h"

namespace rbc::harness {

Module AddModule() {
  return MakeModule(R"(define double @add_daddA(double %a, double %b) {
  %s = fadd double %a, %b
  ret double %s
}
)",
                    "add_daddA", "float64(float64, float64)");
}

Module ScaleModule(const std::string& symbol, int64_t factor) {
  return MakeModule(
      "define i64 @" + symbol + "(i64 %x) {\n  %r = mul i64 %x, " + std::to_string(factor) + "\n  ret i64 %r\n}\n",
      symbol, "int64(int64)");
}

Module CounterModule() {
  return MakeModule(R"(@total = global i64 100
define i64 @count(i64 %step) {
  %old = load i64, ptr @total
  %new = add i64 %old, %step
  store i64 %new, ptr @total
  ret i64 %new
}
)",
                    "count", "int64(int64)");
}

Module EndlessModule(const std::string& marker) {
  return MakeModule(MarkedFunction("endless", marker, R"(  %sink = alloca i64
  br label %again
again:
  %seen = load volatile i64, ptr %sink
  br label %again
)"),
                    "endless", "int64(int64)");
}

Module BusyModule() {
  return MakeModule(R"(define i64 @busy(i64 %steps) {
entry:
  %cell = alloca i64
  store volatile i64 0, ptr %cell
  br label %again
again:
  %i = phi i64 [ 0, %entry ], [ %next, %again ]
  store volatile i64 %i, ptr %cell
  %next = add i64 %i, 1
  %more = icmp slt i64 %next, %steps
  br i1 %more, label %again, label %done
done:
  ret i64 %next
}
)",
                    "busy", "int64(int64)");
}

Module SlowModule(int blocks, int variant) {
  std::string ir = "define i64 @slow(i64 %x) {\nentry:\n  br label %b0\n";
  for (int b = 0; b < blocks; ++b) {
    const std::string n = std::to_string(b), next = std::to_string(b + 1), last = std::to_string(b - 1);
    const std::string from = b == 0 ? "%x, %entry" : "%w" + last + ", %b" + last;
    ir += "b" + n + ":\n  %v" + n + " = phi i64 [ " + from + " ], [ %w" + n + ", %b" + n + " ]\n";
    ir += "  %m" + n + " = mul i64 %v" + n + ", " + std::to_string(variant * 2 + b * 2 + 3) + "\n";
    ir += "  %w" + n + " = xor i64 %m" + n + ", " + n + "\n  %c" + n + " = icmp ult i64 %w" + n + ", %x\n";
    ir += "  br i1 %c" + n + ", label %b" + n + ", label %b" + next + "\n";
  }
  ir += "b" + std::to_string(blocks) + ":\n  ret i64 %w" + std::to_string(blocks - 1) + "\n}\n";
  return MakeModule(ir, "slow", "int64(int64)", wire::Abi::Direct, 3);
}

std::string MarkedFunction(const std::string& name, const std::string& marker, const std::string& body,
                           const std::string& globals) {
  return globals + "@marker = private unnamed_addr constant [" + std::to_string(marker.size() + 1) + " x i8] c\"" +
         marker + "\\00\"\ndeclare i32 @puts(ptr)\ndefine i64 @" + name +
         "(i64 %x) {\nentry:\n  %printed = call i32 @puts(ptr @marker)\n" + body + "}\n";
}

}  // namespace rbc::harness
