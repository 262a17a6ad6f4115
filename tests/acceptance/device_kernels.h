// Kernels over arrays that several tests launch.
// SPDX-License-Identifier: Apache-2.0
#pragma once

namespace rbc::harness {

// void scale(float64* x, float64* y, int64 n, float64 by): y = x * by. void shift(float64[:] x, float64 by): x += by.
// A thread an element; i64 @thread() is its number.
inline constexpr char kScaleAndShift[] = R"(
declare i32 @llvm.nvvm.read.ptx.sreg.tid.x()
declare i32 @llvm.nvvm.read.ptx.sreg.ctaid.x()
declare i32 @llvm.nvvm.read.ptx.sreg.ntid.x()
define internal i64 @thread() alwaysinline {
  %t = call i32 @llvm.nvvm.read.ptx.sreg.tid.x()
  %b = call i32 @llvm.nvvm.read.ptx.sreg.ctaid.x()
  %d = call i32 @llvm.nvvm.read.ptx.sreg.ntid.x()
  %m = mul i32 %b, %d
  %i = add i32 %m, %t
  %n = zext i32 %i to i64
  ret i64 %n
}
define void @scale(ptr %x, ptr %y, i64 %n, double %by) {
  %i = call i64 @thread()
  %in = icmp ult i64 %i, %n
  br i1 %in, label %go, label %end
go:
  %from = getelementptr inbounds double, ptr %x, i64 %i
  %to = getelementptr inbounds double, ptr %y, i64 %i
  %a = load double, ptr %from
  %b = fmul double %a, %by
  store double %b, ptr %to
  br label %end
end:
  ret void
}
define void @shift(ptr %x, i64 %n, i64 %stride, double %by) {
  %i = call i64 @thread()
  %in = icmp ult i64 %i, %n
  br i1 %in, label %go, label %end
go:
  %offset = mul i64 %i, %stride
  %at = getelementptr inbounds i8, ptr %x, i64 %offset
  %a = load double, ptr %at
  %b = fadd double %a, %by
  store double %b, ptr %at
  br label %end
end:
  ret void
}
)";

}  // namespace rbc::harness
