; The `add` of the seed notebook as numba printed it for LLVM 14, with typed pointers, completed to a whole module.
; add_TYPES are plain functions (abi direct); _ZN8__main__... return a status and store the result through their
; first parameter (abi status_retptr), complex arguments taken apart.
source_filename = "<ipython-input-4-47cad48366e9>"
target datalayout = "e-m:e-i64:64-f80:128-n8:16:32:64-S128"
target triple = "x86_64-unknown-linux-gnu"

@"_ZN08NumbaEnv8__main__7add$244Edd" = common local_unnamed_addr global i8* null
@"_ZN08NumbaEnv8__main__7add$245Exx" = common local_unnamed_addr global i8* null
@"_ZN08NumbaEnv8__main__7add$246E10complex12810complex128" = common local_unnamed_addr global i8* null

; Function Attrs: norecurse nounwind
define i32 @"_ZN8__main__7add$244Edd"(double* noalias nocapture %retptr, { i8*, i32 }** noalias nocapture readnone %excinfo, double %arg.a, double %arg.b) local_unnamed_addr #0 {
entry:
  %.16 = fadd double %arg.a, %arg.b
  store double %.16, double* %retptr, align 8
  ret i32 0
}

; Function Attrs: norecurse nounwind readnone
define double @add_daddA(double %.1, double %.2) local_unnamed_addr #1 {
entry:
  %.16.i = fadd double %.1, %.2
  ret double %.16.i
}

; Function Attrs: norecurse nounwind
define i32 @"_ZN8__main__7add$245Exx"(i64* noalias nocapture %retptr, { i8*, i32 }** noalias nocapture readnone %excinfo, i64 %arg.a, i64 %arg.b) local_unnamed_addr #0 {
entry:
  %.16 = add nsw i64 %arg.b, %arg.a
  store i64 %.16, i64* %retptr, align 8
  ret i32 0
}

; Function Attrs: norecurse nounwind readnone
define i64 @add_lallA(i64 %.1, i64 %.2) local_unnamed_addr #1 {
entry:
  %.16.i = add nsw i64 %.2, %.1
  ret i64 %.16.i
}

; Function Attrs: norecurse nounwind
define i32 @"_ZN8__main__7add$246E10complex12810complex128"({ double, double }* noalias nocapture %retptr, { i8*, i32 }** noalias nocapture readnone %excinfo, double %arg.a.0, double %arg.a.1, double %arg.b.0, double %arg.b.1) local_unnamed_addr #0 {
entry:
  %.real = fadd double %arg.a.0, %arg.b.0
  %.imag = fadd double %arg.a.1, %arg.b.1
  %retptr.real = getelementptr inbounds { double, double }, { double, double }* %retptr, i64 0, i32 0
  store double %.real, double* %retptr.real, align 8
  %retptr.imag = getelementptr inbounds { double, double }, { double, double }* %retptr, i64 0, i32 1
  store double %.imag, double* %retptr.imag, align 8
  ret i32 0
}

; Function Attrs: norecurse nounwind readnone
define { double, double } @add_DaDDA({ double, double } %.1, { double, double } %.2) local_unnamed_addr #1 {
entry:
  %.1.real = extractvalue { double, double } %.1, 0
  %.1.imag = extractvalue { double, double } %.1, 1
  %.2.real = extractvalue { double, double } %.2, 0
  %.2.imag = extractvalue { double, double } %.2, 1
  %.real = fadd double %.1.real, %.2.real
  %.imag = fadd double %.1.imag, %.2.imag
  %.sum.0 = insertvalue { double, double } undef, double %.real, 0
  %.sum.1 = insertvalue { double, double } %.sum.0, double %.imag, 1
  ret { double, double } %.sum.1
}

attributes #0 = { norecurse nounwind }
attributes #1 = { norecurse nounwind readnone }
