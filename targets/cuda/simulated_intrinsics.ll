; What NVPTX intrinsics compute, for the simulator: the one table of them. llvm.nvvm.X is @rbc.nvvm.X here; PTX that
; libdevice writes as inline assembly is @rbc.asm.X (targets/cuda/simulate.cc knows which). An intrinsic that is not here
; is refused by name. x86-64; cuda/simulator/abi.h says what the engine does.
; SPDX-License-Identifier: Apache-2.0

declare ptr @rbc_sim_thread() #1
declare i32 @rbc_sim_barrier(i32, i32, i32, i32) #2
declare void @rbc_sim_warp_barrier(i32) #2
declare i64 @rbc_sim_shuffle(i32, i32, i32, i32, i32) #2
declare i32 @rbc_sim_vote(i32, i32, i32) #2
declare i64 @rbc_sim_match(i32, i32, i64) #2
declare i32 @rbc_sim_reduce(i32, i32, i32) #2
declare i32 @rbc_sim_active_mask() #2
declare void @rbc_sim_exit() #3
declare i64 @rbc_sim_global_timer() #2
declare i64 @rbc_sim_clock() #2
declare void @rbc_sim_sleep(i32) #2

; ---- Who a thread is
define i32 @rbc.nvvm.read.ptx.sreg.tid.x() #0 {
  %t = call ptr @rbc_sim_thread()
  %p = getelementptr inbounds i8, ptr %t, i64 0
  %v = load i32, ptr %p, align 4, !invariant.load !0
  ret i32 %v
}
define i32 @rbc.nvvm.read.ptx.sreg.tid.y() #0 {
  %t = call ptr @rbc_sim_thread()
  %p = getelementptr inbounds i8, ptr %t, i64 4
  %v = load i32, ptr %p, align 4, !invariant.load !0
  ret i32 %v
}
define i32 @rbc.nvvm.read.ptx.sreg.tid.z() #0 {
  %t = call ptr @rbc_sim_thread()
  %p = getelementptr inbounds i8, ptr %t, i64 8
  %v = load i32, ptr %p, align 4, !invariant.load !0
  ret i32 %v
}
define i32 @rbc.nvvm.read.ptx.sreg.tid.w() #0 {
  ret i32 0
}
define i32 @rbc.nvvm.read.ptx.sreg.ntid.x() #0 {
  %t = call ptr @rbc_sim_thread()
  %p = getelementptr inbounds i8, ptr %t, i64 12
  %v = load i32, ptr %p, align 4, !invariant.load !0
  ret i32 %v
}
define i32 @rbc.nvvm.read.ptx.sreg.ntid.y() #0 {
  %t = call ptr @rbc_sim_thread()
  %p = getelementptr inbounds i8, ptr %t, i64 16
  %v = load i32, ptr %p, align 4, !invariant.load !0
  ret i32 %v
}
define i32 @rbc.nvvm.read.ptx.sreg.ntid.z() #0 {
  %t = call ptr @rbc_sim_thread()
  %p = getelementptr inbounds i8, ptr %t, i64 20
  %v = load i32, ptr %p, align 4, !invariant.load !0
  ret i32 %v
}
define i32 @rbc.nvvm.read.ptx.sreg.ntid.w() #0 {
  ret i32 1
}
define i32 @rbc.nvvm.read.ptx.sreg.ctaid.x() #0 {
  %t = call ptr @rbc_sim_thread()
  %p = getelementptr inbounds i8, ptr %t, i64 24
  %v = load i32, ptr %p, align 4, !invariant.load !0
  ret i32 %v
}
define i32 @rbc.nvvm.read.ptx.sreg.ctaid.y() #0 {
  %t = call ptr @rbc_sim_thread()
  %p = getelementptr inbounds i8, ptr %t, i64 28
  %v = load i32, ptr %p, align 4, !invariant.load !0
  ret i32 %v
}
define i32 @rbc.nvvm.read.ptx.sreg.ctaid.z() #0 {
  %t = call ptr @rbc_sim_thread()
  %p = getelementptr inbounds i8, ptr %t, i64 32
  %v = load i32, ptr %p, align 4, !invariant.load !0
  ret i32 %v
}
define i32 @rbc.nvvm.read.ptx.sreg.ctaid.w() #0 {
  ret i32 0
}
define i32 @rbc.nvvm.read.ptx.sreg.nctaid.x() #0 {
  %t = call ptr @rbc_sim_thread()
  %p = getelementptr inbounds i8, ptr %t, i64 36
  %v = load i32, ptr %p, align 4, !invariant.load !0
  ret i32 %v
}
define i32 @rbc.nvvm.read.ptx.sreg.nctaid.y() #0 {
  %t = call ptr @rbc_sim_thread()
  %p = getelementptr inbounds i8, ptr %t, i64 40
  %v = load i32, ptr %p, align 4, !invariant.load !0
  ret i32 %v
}
define i32 @rbc.nvvm.read.ptx.sreg.nctaid.z() #0 {
  %t = call ptr @rbc_sim_thread()
  %p = getelementptr inbounds i8, ptr %t, i64 44
  %v = load i32, ptr %p, align 4, !invariant.load !0
  ret i32 %v
}
define i32 @rbc.nvvm.read.ptx.sreg.nctaid.w() #0 {
  ret i32 1
}
define i32 @rbc.nvvm.read.ptx.sreg.laneid() #0 {
  %t = call ptr @rbc_sim_thread()
  %p = getelementptr inbounds i8, ptr %t, i64 56
  %v = load i32, ptr %p, align 4, !invariant.load !0
  ret i32 %v
}
define i32 @rbc.nvvm.read.ptx.sreg.warpid() #0 {
  %t = call ptr @rbc_sim_thread()
  %p = getelementptr inbounds i8, ptr %t, i64 60
  %v = load i32, ptr %p, align 4, !invariant.load !0
  ret i32 %v
}
define i32 @rbc.nvvm.read.ptx.sreg.dynamic_smem_size() #0 {
  %t = call ptr @rbc_sim_thread()
  %p = getelementptr inbounds i8, ptr %t, i64 64
  %v = load i32, ptr %p, align 4, !invariant.load !0
  ret i32 %v
}
define i32 @rbc.nvvm.read.ptx.sreg.gridid() #0 {
  %t = call ptr @rbc_sim_thread()
  %p = getelementptr inbounds i8, ptr %t, i64 68
  %v = load i32, ptr %p, align 4, !invariant.load !0
  ret i32 %v
}
define i32 @rbc.nvvm.read.ptx.sreg.warpsize() #0 {
  ret i32 32
}
define i32 @rbc.nvvm.read.ptx.sreg.smid() #0 {
  ret i32 0
}
define i32 @rbc.nvvm.read.ptx.sreg.nsmid() #0 {
  ret i32 1
}
define i32 @rbc.nvvm.read.ptx.sreg.nwarpid() #0 {
  ret i32 32
}
define i32 @rbc.nvvm.read.ptx.sreg.lanemask.eq() #0 {
  %l = call i32 @rbc.nvvm.read.ptx.sreg.laneid()
  %m = shl i32 1, %l
  ret i32 %m
}
define i32 @rbc.nvvm.read.ptx.sreg.lanemask.lt() #0 {
  %l = call i32 @rbc.nvvm.read.ptx.sreg.laneid()
  %b = shl i32 1, %l
  %m = sub i32 %b, 1
  ret i32 %m
}
define i32 @rbc.nvvm.read.ptx.sreg.lanemask.le() #0 {
  %l = call i32 @rbc.nvvm.read.ptx.sreg.laneid()
  %b = shl i32 2, %l
  %m = sub i32 %b, 1
  ret i32 %m
}
define i32 @rbc.nvvm.read.ptx.sreg.lanemask.ge() #0 {
  %l = call i32 @rbc.nvvm.read.ptx.sreg.laneid()
  %m = shl i32 -1, %l
  ret i32 %m
}
define i32 @rbc.nvvm.read.ptx.sreg.lanemask.gt() #0 {
  %l = call i32 @rbc.nvvm.read.ptx.sreg.laneid()
  %m = shl i32 -2, %l
  ret i32 %m
}
define i64 @rbc.nvvm.read.ptx.sreg.globaltimer() #0 {
  %v = call i64 @rbc_sim_global_timer()
  ret i64 %v
}
define i64 @rbc.nvvm.read.ptx.sreg.clock64() #0 {
  %v = call i64 @rbc_sim_clock()
  ret i64 %v
}
define i32 @rbc.nvvm.read.ptx.sreg.clock() #0 {
  %w = call i64 @rbc_sim_clock()
  %v = trunc i64 %w to i32
  ret i32 %v
}
; ---- How threads meet
define void @rbc.nvvm.barrier.cta.sync.all(i32 %id) #0 {
  %r = call i32 @rbc_sim_barrier(i32 %id, i32 0, i32 0, i32 0)
  ret void
}
define void @rbc.nvvm.barrier.cta.sync.count(i32 %id, i32 %n) #0 {
  %r = call i32 @rbc_sim_barrier(i32 %id, i32 %n, i32 0, i32 0)
  ret void
}
define i32 @rbc.nvvm.barrier.cta.red.popc.all(i32 %id, i1 %p) #0 {
  %q = zext i1 %p to i32
  %r = call i32 @rbc_sim_barrier(i32 %id, i32 0, i32 1, i32 %q)
  ret i32 %r
}
define i32 @rbc.nvvm.barrier.cta.red.popc.count(i32 %id, i32 %n, i1 %p) #0 {
  %q = zext i1 %p to i32
  %r = call i32 @rbc_sim_barrier(i32 %id, i32 %n, i32 1, i32 %q)
  ret i32 %r
}
define i1 @rbc.nvvm.barrier.cta.red.and.all(i32 %id, i1 %p) #0 {
  %q = zext i1 %p to i32
  %r = call i32 @rbc_sim_barrier(i32 %id, i32 0, i32 2, i32 %q)
  %s = icmp ne i32 %r, 0
  ret i1 %s
}
define i1 @rbc.nvvm.barrier.cta.red.and.count(i32 %id, i32 %n, i1 %p) #0 {
  %q = zext i1 %p to i32
  %r = call i32 @rbc_sim_barrier(i32 %id, i32 %n, i32 2, i32 %q)
  %s = icmp ne i32 %r, 0
  ret i1 %s
}
define i1 @rbc.nvvm.barrier.cta.red.or.all(i32 %id, i1 %p) #0 {
  %q = zext i1 %p to i32
  %r = call i32 @rbc_sim_barrier(i32 %id, i32 0, i32 3, i32 %q)
  %s = icmp ne i32 %r, 0
  ret i1 %s
}
define i1 @rbc.nvvm.barrier.cta.red.or.count(i32 %id, i32 %n, i1 %p) #0 {
  %q = zext i1 %p to i32
  %r = call i32 @rbc_sim_barrier(i32 %id, i32 %n, i32 3, i32 %q)
  %s = icmp ne i32 %r, 0
  ret i1 %s
}
define void @rbc.nvvm.barrier.cta.sync.aligned.all(i32 %id) #0 {
  %r = call i32 @rbc_sim_barrier(i32 %id, i32 0, i32 0, i32 0)
  ret void
}
define void @rbc.nvvm.barrier.cta.sync.aligned.count(i32 %id, i32 %n) #0 {
  %r = call i32 @rbc_sim_barrier(i32 %id, i32 %n, i32 0, i32 0)
  ret void
}
define i32 @rbc.nvvm.barrier.cta.red.popc.aligned.all(i32 %id, i1 %p) #0 {
  %q = zext i1 %p to i32
  %r = call i32 @rbc_sim_barrier(i32 %id, i32 0, i32 1, i32 %q)
  ret i32 %r
}
define i32 @rbc.nvvm.barrier.cta.red.popc.aligned.count(i32 %id, i32 %n, i1 %p) #0 {
  %q = zext i1 %p to i32
  %r = call i32 @rbc_sim_barrier(i32 %id, i32 %n, i32 1, i32 %q)
  ret i32 %r
}
define i1 @rbc.nvvm.barrier.cta.red.and.aligned.all(i32 %id, i1 %p) #0 {
  %q = zext i1 %p to i32
  %r = call i32 @rbc_sim_barrier(i32 %id, i32 0, i32 2, i32 %q)
  %s = icmp ne i32 %r, 0
  ret i1 %s
}
define i1 @rbc.nvvm.barrier.cta.red.and.aligned.count(i32 %id, i32 %n, i1 %p) #0 {
  %q = zext i1 %p to i32
  %r = call i32 @rbc_sim_barrier(i32 %id, i32 %n, i32 2, i32 %q)
  %s = icmp ne i32 %r, 0
  ret i1 %s
}
define i1 @rbc.nvvm.barrier.cta.red.or.aligned.all(i32 %id, i1 %p) #0 {
  %q = zext i1 %p to i32
  %r = call i32 @rbc_sim_barrier(i32 %id, i32 0, i32 3, i32 %q)
  %s = icmp ne i32 %r, 0
  ret i1 %s
}
define i1 @rbc.nvvm.barrier.cta.red.or.aligned.count(i32 %id, i32 %n, i1 %p) #0 {
  %q = zext i1 %p to i32
  %r = call i32 @rbc_sim_barrier(i32 %id, i32 %n, i32 3, i32 %q)
  %s = icmp ne i32 %r, 0
  ret i1 %s
}
define void @rbc.nvvm.bar.warp.sync(i32 %mask) #0 {
  call void @rbc_sim_warp_barrier(i32 %mask)
  ret void
}
define i32 @rbc.nvvm.shfl.sync.up.i32(i32 %mask, i32 %v, i32 %lane, i32 %clamp) #0 {
  %r = call i64 @rbc_sim_shuffle(i32 0, i32 %mask, i32 %v, i32 %lane, i32 %clamp)
  %l = trunc i64 %r to i32
  ret i32 %l
}
define { i32, i1 } @rbc.nvvm.shfl.sync.up.i32p(i32 %mask, i32 %v, i32 %lane, i32 %clamp) #0 {
  %r = call i64 @rbc_sim_shuffle(i32 0, i32 %mask, i32 %v, i32 %lane, i32 %clamp)
  %l = trunc i64 %r to i32
  %h = lshr i64 %r, 32
  %p = trunc i64 %h to i1
  %a = insertvalue { i32, i1 } poison, i32 %l, 0
  %b = insertvalue { i32, i1 } %a, i1 %p, 1
  ret { i32, i1 } %b
}
define float @rbc.nvvm.shfl.sync.up.f32(i32 %mask, float %v, i32 %lane, i32 %clamp) #0 {
  %w = bitcast float %v to i32
  %r = call i64 @rbc_sim_shuffle(i32 0, i32 %mask, i32 %w, i32 %lane, i32 %clamp)
  %l = trunc i64 %r to i32
  %x = bitcast i32 %l to float
  ret float %x
}
define { float, i1 } @rbc.nvvm.shfl.sync.up.f32p(i32 %mask, float %v, i32 %lane, i32 %clamp) #0 {
  %w = bitcast float %v to i32
  %r = call i64 @rbc_sim_shuffle(i32 0, i32 %mask, i32 %w, i32 %lane, i32 %clamp)
  %l = trunc i64 %r to i32
  %x = bitcast i32 %l to float
  %h = lshr i64 %r, 32
  %p = trunc i64 %h to i1
  %a = insertvalue { float, i1 } poison, float %x, 0
  %b = insertvalue { float, i1 } %a, i1 %p, 1
  ret { float, i1 } %b
}
define i32 @rbc.nvvm.shfl.sync.down.i32(i32 %mask, i32 %v, i32 %lane, i32 %clamp) #0 {
  %r = call i64 @rbc_sim_shuffle(i32 1, i32 %mask, i32 %v, i32 %lane, i32 %clamp)
  %l = trunc i64 %r to i32
  ret i32 %l
}
define { i32, i1 } @rbc.nvvm.shfl.sync.down.i32p(i32 %mask, i32 %v, i32 %lane, i32 %clamp) #0 {
  %r = call i64 @rbc_sim_shuffle(i32 1, i32 %mask, i32 %v, i32 %lane, i32 %clamp)
  %l = trunc i64 %r to i32
  %h = lshr i64 %r, 32
  %p = trunc i64 %h to i1
  %a = insertvalue { i32, i1 } poison, i32 %l, 0
  %b = insertvalue { i32, i1 } %a, i1 %p, 1
  ret { i32, i1 } %b
}
define float @rbc.nvvm.shfl.sync.down.f32(i32 %mask, float %v, i32 %lane, i32 %clamp) #0 {
  %w = bitcast float %v to i32
  %r = call i64 @rbc_sim_shuffle(i32 1, i32 %mask, i32 %w, i32 %lane, i32 %clamp)
  %l = trunc i64 %r to i32
  %x = bitcast i32 %l to float
  ret float %x
}
define { float, i1 } @rbc.nvvm.shfl.sync.down.f32p(i32 %mask, float %v, i32 %lane, i32 %clamp) #0 {
  %w = bitcast float %v to i32
  %r = call i64 @rbc_sim_shuffle(i32 1, i32 %mask, i32 %w, i32 %lane, i32 %clamp)
  %l = trunc i64 %r to i32
  %x = bitcast i32 %l to float
  %h = lshr i64 %r, 32
  %p = trunc i64 %h to i1
  %a = insertvalue { float, i1 } poison, float %x, 0
  %b = insertvalue { float, i1 } %a, i1 %p, 1
  ret { float, i1 } %b
}
define i32 @rbc.nvvm.shfl.sync.bfly.i32(i32 %mask, i32 %v, i32 %lane, i32 %clamp) #0 {
  %r = call i64 @rbc_sim_shuffle(i32 2, i32 %mask, i32 %v, i32 %lane, i32 %clamp)
  %l = trunc i64 %r to i32
  ret i32 %l
}
define { i32, i1 } @rbc.nvvm.shfl.sync.bfly.i32p(i32 %mask, i32 %v, i32 %lane, i32 %clamp) #0 {
  %r = call i64 @rbc_sim_shuffle(i32 2, i32 %mask, i32 %v, i32 %lane, i32 %clamp)
  %l = trunc i64 %r to i32
  %h = lshr i64 %r, 32
  %p = trunc i64 %h to i1
  %a = insertvalue { i32, i1 } poison, i32 %l, 0
  %b = insertvalue { i32, i1 } %a, i1 %p, 1
  ret { i32, i1 } %b
}
define float @rbc.nvvm.shfl.sync.bfly.f32(i32 %mask, float %v, i32 %lane, i32 %clamp) #0 {
  %w = bitcast float %v to i32
  %r = call i64 @rbc_sim_shuffle(i32 2, i32 %mask, i32 %w, i32 %lane, i32 %clamp)
  %l = trunc i64 %r to i32
  %x = bitcast i32 %l to float
  ret float %x
}
define { float, i1 } @rbc.nvvm.shfl.sync.bfly.f32p(i32 %mask, float %v, i32 %lane, i32 %clamp) #0 {
  %w = bitcast float %v to i32
  %r = call i64 @rbc_sim_shuffle(i32 2, i32 %mask, i32 %w, i32 %lane, i32 %clamp)
  %l = trunc i64 %r to i32
  %x = bitcast i32 %l to float
  %h = lshr i64 %r, 32
  %p = trunc i64 %h to i1
  %a = insertvalue { float, i1 } poison, float %x, 0
  %b = insertvalue { float, i1 } %a, i1 %p, 1
  ret { float, i1 } %b
}
define i32 @rbc.nvvm.shfl.sync.idx.i32(i32 %mask, i32 %v, i32 %lane, i32 %clamp) #0 {
  %r = call i64 @rbc_sim_shuffle(i32 3, i32 %mask, i32 %v, i32 %lane, i32 %clamp)
  %l = trunc i64 %r to i32
  ret i32 %l
}
define { i32, i1 } @rbc.nvvm.shfl.sync.idx.i32p(i32 %mask, i32 %v, i32 %lane, i32 %clamp) #0 {
  %r = call i64 @rbc_sim_shuffle(i32 3, i32 %mask, i32 %v, i32 %lane, i32 %clamp)
  %l = trunc i64 %r to i32
  %h = lshr i64 %r, 32
  %p = trunc i64 %h to i1
  %a = insertvalue { i32, i1 } poison, i32 %l, 0
  %b = insertvalue { i32, i1 } %a, i1 %p, 1
  ret { i32, i1 } %b
}
define float @rbc.nvvm.shfl.sync.idx.f32(i32 %mask, float %v, i32 %lane, i32 %clamp) #0 {
  %w = bitcast float %v to i32
  %r = call i64 @rbc_sim_shuffle(i32 3, i32 %mask, i32 %w, i32 %lane, i32 %clamp)
  %l = trunc i64 %r to i32
  %x = bitcast i32 %l to float
  ret float %x
}
define { float, i1 } @rbc.nvvm.shfl.sync.idx.f32p(i32 %mask, float %v, i32 %lane, i32 %clamp) #0 {
  %w = bitcast float %v to i32
  %r = call i64 @rbc_sim_shuffle(i32 3, i32 %mask, i32 %w, i32 %lane, i32 %clamp)
  %l = trunc i64 %r to i32
  %x = bitcast i32 %l to float
  %h = lshr i64 %r, 32
  %p = trunc i64 %h to i1
  %a = insertvalue { float, i1 } poison, float %x, 0
  %b = insertvalue { float, i1 } %a, i1 %p, 1
  ret { float, i1 } %b
}
define i1 @rbc.nvvm.vote.all.sync(i32 %mask, i1 %p) #0 {
  %q = zext i1 %p to i32
  %r = call i32 @rbc_sim_vote(i32 0, i32 %mask, i32 %q)
  %s = icmp ne i32 %r, 0
  ret i1 %s
}
define i1 @rbc.nvvm.vote.all(i1 %p) #0 {
  %mask = call i32 @rbc_sim_active_mask()
  %q = zext i1 %p to i32
  %r = call i32 @rbc_sim_vote(i32 0, i32 %mask, i32 %q)
  %s = icmp ne i32 %r, 0
  ret i1 %s
}
define i1 @rbc.nvvm.vote.any.sync(i32 %mask, i1 %p) #0 {
  %q = zext i1 %p to i32
  %r = call i32 @rbc_sim_vote(i32 1, i32 %mask, i32 %q)
  %s = icmp ne i32 %r, 0
  ret i1 %s
}
define i1 @rbc.nvvm.vote.any(i1 %p) #0 {
  %mask = call i32 @rbc_sim_active_mask()
  %q = zext i1 %p to i32
  %r = call i32 @rbc_sim_vote(i32 1, i32 %mask, i32 %q)
  %s = icmp ne i32 %r, 0
  ret i1 %s
}
define i1 @rbc.nvvm.vote.uni.sync(i32 %mask, i1 %p) #0 {
  %q = zext i1 %p to i32
  %r = call i32 @rbc_sim_vote(i32 2, i32 %mask, i32 %q)
  %s = icmp ne i32 %r, 0
  ret i1 %s
}
define i1 @rbc.nvvm.vote.uni(i1 %p) #0 {
  %mask = call i32 @rbc_sim_active_mask()
  %q = zext i1 %p to i32
  %r = call i32 @rbc_sim_vote(i32 2, i32 %mask, i32 %q)
  %s = icmp ne i32 %r, 0
  ret i1 %s
}
define i32 @rbc.nvvm.vote.ballot.sync(i32 %mask, i1 %p) #0 {
  %q = zext i1 %p to i32
  %r = call i32 @rbc_sim_vote(i32 3, i32 %mask, i32 %q)
  ret i32 %r
}
define i32 @rbc.nvvm.vote.ballot(i1 %p) #0 {
  %mask = call i32 @rbc_sim_active_mask()
  %q = zext i1 %p to i32
  %r = call i32 @rbc_sim_vote(i32 3, i32 %mask, i32 %q)
  ret i32 %r
}
define i32 @rbc.nvvm.match.any.sync.i32(i32 %mask, i32 %v) #0 {
  %w = zext i32 %v to i64
  %r = call i64 @rbc_sim_match(i32 0, i32 %mask, i64 %w)
  %m = trunc i64 %r to i32
  ret i32 %m
}
define { i32, i1 } @rbc.nvvm.match.all.sync.i32p(i32 %mask, i32 %v) #0 {
  %w = zext i32 %v to i64
  %r = call i64 @rbc_sim_match(i32 1, i32 %mask, i64 %w)
  %m = trunc i64 %r to i32
  %h = lshr i64 %r, 32
  %p = trunc i64 %h to i1
  %a = insertvalue { i32, i1 } poison, i32 %m, 0
  %b = insertvalue { i32, i1 } %a, i1 %p, 1
  ret { i32, i1 } %b
}
define i32 @rbc.nvvm.match.any.sync.i64(i32 %mask, i64 %v) #0 {
  %r = call i64 @rbc_sim_match(i32 0, i32 %mask, i64 %v)
  %m = trunc i64 %r to i32
  ret i32 %m
}
define { i32, i1 } @rbc.nvvm.match.all.sync.i64p(i32 %mask, i64 %v) #0 {
  %r = call i64 @rbc_sim_match(i32 1, i32 %mask, i64 %v)
  %m = trunc i64 %r to i32
  %h = lshr i64 %r, 32
  %p = trunc i64 %h to i1
  %a = insertvalue { i32, i1 } poison, i32 %m, 0
  %b = insertvalue { i32, i1 } %a, i1 %p, 1
  ret { i32, i1 } %b
}
define i32 @rbc.nvvm.redux.sync.add(i32 %v, i32 %mask) #0 {
  %r = call i32 @rbc_sim_reduce(i32 0, i32 %mask, i32 %v)
  ret i32 %r
}
define i32 @rbc.nvvm.redux.sync.min(i32 %v, i32 %mask) #0 {
  %r = call i32 @rbc_sim_reduce(i32 1, i32 %mask, i32 %v)
  ret i32 %r
}
define i32 @rbc.nvvm.redux.sync.max(i32 %v, i32 %mask) #0 {
  %r = call i32 @rbc_sim_reduce(i32 2, i32 %mask, i32 %v)
  ret i32 %r
}
define i32 @rbc.nvvm.redux.sync.umin(i32 %v, i32 %mask) #0 {
  %r = call i32 @rbc_sim_reduce(i32 3, i32 %mask, i32 %v)
  ret i32 %r
}
define i32 @rbc.nvvm.redux.sync.umax(i32 %v, i32 %mask) #0 {
  %r = call i32 @rbc_sim_reduce(i32 4, i32 %mask, i32 %v)
  ret i32 %r
}
define i32 @rbc.nvvm.redux.sync.and(i32 %v, i32 %mask) #0 {
  %r = call i32 @rbc_sim_reduce(i32 5, i32 %mask, i32 %v)
  ret i32 %r
}
define i32 @rbc.nvvm.redux.sync.or(i32 %v, i32 %mask) #0 {
  %r = call i32 @rbc_sim_reduce(i32 6, i32 %mask, i32 %v)
  ret i32 %r
}
define i32 @rbc.nvvm.redux.sync.xor(i32 %v, i32 %mask) #0 {
  %r = call i32 @rbc_sim_reduce(i32 7, i32 %mask, i32 %v)
  ret i32 %r
}
define i32 @rbc.nvvm.activemask() #0 {
  %r = call i32 @rbc_sim_active_mask()
  ret i32 %r
}
define void @rbc.nvvm.membar.cta() #0 {
  fence seq_cst
  ret void
}
define void @rbc.nvvm.membar.gl() #0 {
  fence seq_cst
  ret void
}
define void @rbc.nvvm.membar.sys() #0 {
  fence seq_cst
  ret void
}
define void @rbc.nvvm.nanosleep(i32 %n) #0 {
  call void @rbc_sim_sleep(i32 %n)
  ret void
}
define void @rbc.nvvm.exit() #0 {
  call void @rbc_sim_exit()
  unreachable
}
; ---- Integers
define i16 @rbc.nvvm.mulhi.s(i16 %a, i16 %b) #0 {
  %x = sext i16 %a to i32
  %y = sext i16 %b to i32
  %m = mul i32 %x, %y
  %h = lshr i32 %m, 16
  %r = trunc i32 %h to i16
  ret i16 %r
}
define i16 @rbc.nvvm.sad.s(i16 %a, i16 %b, i16 %c) #0 {
  %g = icmp sgt i16 %a, %b
  %x = sub i16 %a, %b
  %y = sub i16 %b, %a
  %d = select i1 %g, i16 %x, i16 %y
  %r = add i16 %d, %c
  ret i16 %r
}
define i16 @rbc.nvvm.mulhi.us(i16 %a, i16 %b) #0 {
  %x = zext i16 %a to i32
  %y = zext i16 %b to i32
  %m = mul i32 %x, %y
  %h = lshr i32 %m, 16
  %r = trunc i32 %h to i16
  ret i16 %r
}
define i16 @rbc.nvvm.sad.us(i16 %a, i16 %b, i16 %c) #0 {
  %g = icmp ugt i16 %a, %b
  %x = sub i16 %a, %b
  %y = sub i16 %b, %a
  %d = select i1 %g, i16 %x, i16 %y
  %r = add i16 %d, %c
  ret i16 %r
}
define i32 @rbc.nvvm.mulhi.i(i32 %a, i32 %b) #0 {
  %x = sext i32 %a to i64
  %y = sext i32 %b to i64
  %m = mul i64 %x, %y
  %h = lshr i64 %m, 32
  %r = trunc i64 %h to i32
  ret i32 %r
}
define i32 @rbc.nvvm.sad.i(i32 %a, i32 %b, i32 %c) #0 {
  %g = icmp sgt i32 %a, %b
  %x = sub i32 %a, %b
  %y = sub i32 %b, %a
  %d = select i1 %g, i32 %x, i32 %y
  %r = add i32 %d, %c
  ret i32 %r
}
define i32 @rbc.nvvm.mulhi.ui(i32 %a, i32 %b) #0 {
  %x = zext i32 %a to i64
  %y = zext i32 %b to i64
  %m = mul i64 %x, %y
  %h = lshr i64 %m, 32
  %r = trunc i64 %h to i32
  ret i32 %r
}
define i32 @rbc.nvvm.sad.ui(i32 %a, i32 %b, i32 %c) #0 {
  %g = icmp ugt i32 %a, %b
  %x = sub i32 %a, %b
  %y = sub i32 %b, %a
  %d = select i1 %g, i32 %x, i32 %y
  %r = add i32 %d, %c
  ret i32 %r
}
define i64 @rbc.nvvm.mulhi.ll(i64 %a, i64 %b) #0 {
  %x = sext i64 %a to i128
  %y = sext i64 %b to i128
  %m = mul i128 %x, %y
  %h = lshr i128 %m, 64
  %r = trunc i128 %h to i64
  ret i64 %r
}
define i64 @rbc.nvvm.sad.ll(i64 %a, i64 %b, i64 %c) #0 {
  %g = icmp sgt i64 %a, %b
  %x = sub i64 %a, %b
  %y = sub i64 %b, %a
  %d = select i1 %g, i64 %x, i64 %y
  %r = add i64 %d, %c
  ret i64 %r
}
define i64 @rbc.nvvm.mulhi.ull(i64 %a, i64 %b) #0 {
  %x = zext i64 %a to i128
  %y = zext i64 %b to i128
  %m = mul i128 %x, %y
  %h = lshr i128 %m, 64
  %r = trunc i128 %h to i64
  ret i64 %r
}
define i64 @rbc.nvvm.sad.ull(i64 %a, i64 %b, i64 %c) #0 {
  %g = icmp ugt i64 %a, %b
  %x = sub i64 %a, %b
  %y = sub i64 %b, %a
  %d = select i1 %g, i64 %x, i64 %y
  %r = add i64 %d, %c
  ret i64 %r
}
define i32 @rbc.nvvm.mul24.i(i32 %a, i32 %b) #0 {
  %c = shl i32 %a, 8
  %x = ashr i32 %c, 8
  %d = shl i32 %b, 8
  %y = ashr i32 %d, 8
  %r = mul i32 %x, %y
  ret i32 %r
}
define i32 @rbc.nvvm.mul24.ui(i32 %a, i32 %b) #0 {
  %c = shl i32 %a, 8
  %x = lshr i32 %c, 8
  %d = shl i32 %b, 8
  %y = lshr i32 %d, 8
  %r = mul i32 %x, %y
  ret i32 %r
}
define i32 @rbc.nvvm.prmt(i32 %a, i32 %b, i32 %sel) #0 {
  %lo = zext i32 %a to i64
  %hi0 = zext i32 %b to i64
  %hi = shl i64 %hi0, 32
  %v = or i64 %lo, %hi
  %s0 = lshr i32 %sel, 0
  %n0 = and i32 %s0, 7
  %k0 = shl i32 %n0, 3
  %z0 = zext i32 %k0 to i64
  %y0 = lshr i64 %v, %z0
  %c0 = trunc i64 %y0 to i8
  %g0 = ashr i8 %c0, 7
  %h0 = and i32 %s0, 8
  %q0 = icmp ne i32 %h0, 0
  %d0 = select i1 %q0, i8 %g0, i8 %c0
  %e0 = zext i8 %d0 to i32
  %f0 = shl i32 %e0, 0
  %s1 = lshr i32 %sel, 4
  %n1 = and i32 %s1, 7
  %k1 = shl i32 %n1, 3
  %z1 = zext i32 %k1 to i64
  %y1 = lshr i64 %v, %z1
  %c1 = trunc i64 %y1 to i8
  %g1 = ashr i8 %c1, 7
  %h1 = and i32 %s1, 8
  %q1 = icmp ne i32 %h1, 0
  %d1 = select i1 %q1, i8 %g1, i8 %c1
  %e1 = zext i8 %d1 to i32
  %f1 = shl i32 %e1, 8
  %s2 = lshr i32 %sel, 8
  %n2 = and i32 %s2, 7
  %k2 = shl i32 %n2, 3
  %z2 = zext i32 %k2 to i64
  %y2 = lshr i64 %v, %z2
  %c2 = trunc i64 %y2 to i8
  %g2 = ashr i8 %c2, 7
  %h2 = and i32 %s2, 8
  %q2 = icmp ne i32 %h2, 0
  %d2 = select i1 %q2, i8 %g2, i8 %c2
  %e2 = zext i8 %d2 to i32
  %f2 = shl i32 %e2, 16
  %s3 = lshr i32 %sel, 12
  %n3 = and i32 %s3, 7
  %k3 = shl i32 %n3, 3
  %z3 = zext i32 %k3 to i64
  %y3 = lshr i64 %v, %z3
  %c3 = trunc i64 %y3 to i8
  %g3 = ashr i8 %c3, 7
  %h3 = and i32 %s3, 8
  %q3 = icmp ne i32 %h3, 0
  %d3 = select i1 %q3, i8 %g3, i8 %c3
  %e3 = zext i8 %d3 to i32
  %f3 = shl i32 %e3, 24
  %o1 = or i32 %f0, %f1
  %o2 = or i32 %o1, %f2
  %o3 = or i32 %o2, %f3
  ret i32 %o3
}
define i32 @rbc.nvvm.fshl.clamp(i32 %h, i32 %l, i32 %n) #0 {
  %c = call i32 @llvm.umin.i32(i32 %n, i32 32)
  %a = zext i32 %h to i64
  %a2 = shl i64 %a, 32
  %b = zext i32 %l to i64
  %v = or i64 %a2, %b
  %k = zext i32 %c to i64
  %s = shl i64 %v, %k
  %t = lshr i64 %s, 32
  %r = trunc i64 %t to i32
  ret i32 %r
}
define i32 @rbc.nvvm.fshr.clamp(i32 %h, i32 %l, i32 %n) #0 {
  %c = call i32 @llvm.umin.i32(i32 %n, i32 32)
  %a = zext i32 %h to i64
  %a2 = shl i64 %a, 32
  %b = zext i32 %l to i64
  %v = or i64 %a2, %b
  %k = zext i32 %c to i64
  %s = lshr i64 %v, %k
  %r = trunc i64 %s to i32
  ret i32 %r
}
declare i32 @llvm.umin.i32(i32, i32)
define i32 @rbc.nvvm.idp4a.s.s(i32 %a, i32 %b, i32 %c) #0 {
  %x0 = lshr i32 %a, 0
  %p0 = trunc i32 %x0 to i8
  %m0 = sext i8 %p0 to i32
  %y0 = lshr i32 %b, 0
  %q0 = trunc i32 %y0 to i8
  %n0 = sext i8 %q0 to i32
  %t0 = mul i32 %m0, %n0
  %s0 = add i32 %c, %t0
  %x1 = lshr i32 %a, 8
  %p1 = trunc i32 %x1 to i8
  %m1 = sext i8 %p1 to i32
  %y1 = lshr i32 %b, 8
  %q1 = trunc i32 %y1 to i8
  %n1 = sext i8 %q1 to i32
  %t1 = mul i32 %m1, %n1
  %s1 = add i32 %s0, %t1
  %x2 = lshr i32 %a, 16
  %p2 = trunc i32 %x2 to i8
  %m2 = sext i8 %p2 to i32
  %y2 = lshr i32 %b, 16
  %q2 = trunc i32 %y2 to i8
  %n2 = sext i8 %q2 to i32
  %t2 = mul i32 %m2, %n2
  %s2 = add i32 %s1, %t2
  %x3 = lshr i32 %a, 24
  %p3 = trunc i32 %x3 to i8
  %m3 = sext i8 %p3 to i32
  %y3 = lshr i32 %b, 24
  %q3 = trunc i32 %y3 to i8
  %n3 = sext i8 %q3 to i32
  %t3 = mul i32 %m3, %n3
  %s3 = add i32 %s2, %t3
  ret i32 %s3
}
define i32 @rbc.nvvm.idp4a.s.u(i32 %a, i32 %b, i32 %c) #0 {
  %x0 = lshr i32 %a, 0
  %p0 = trunc i32 %x0 to i8
  %m0 = sext i8 %p0 to i32
  %y0 = lshr i32 %b, 0
  %q0 = trunc i32 %y0 to i8
  %n0 = zext i8 %q0 to i32
  %t0 = mul i32 %m0, %n0
  %s0 = add i32 %c, %t0
  %x1 = lshr i32 %a, 8
  %p1 = trunc i32 %x1 to i8
  %m1 = sext i8 %p1 to i32
  %y1 = lshr i32 %b, 8
  %q1 = trunc i32 %y1 to i8
  %n1 = zext i8 %q1 to i32
  %t1 = mul i32 %m1, %n1
  %s1 = add i32 %s0, %t1
  %x2 = lshr i32 %a, 16
  %p2 = trunc i32 %x2 to i8
  %m2 = sext i8 %p2 to i32
  %y2 = lshr i32 %b, 16
  %q2 = trunc i32 %y2 to i8
  %n2 = zext i8 %q2 to i32
  %t2 = mul i32 %m2, %n2
  %s2 = add i32 %s1, %t2
  %x3 = lshr i32 %a, 24
  %p3 = trunc i32 %x3 to i8
  %m3 = sext i8 %p3 to i32
  %y3 = lshr i32 %b, 24
  %q3 = trunc i32 %y3 to i8
  %n3 = zext i8 %q3 to i32
  %t3 = mul i32 %m3, %n3
  %s3 = add i32 %s2, %t3
  ret i32 %s3
}
define i32 @rbc.nvvm.idp4a.u.s(i32 %a, i32 %b, i32 %c) #0 {
  %x0 = lshr i32 %a, 0
  %p0 = trunc i32 %x0 to i8
  %m0 = zext i8 %p0 to i32
  %y0 = lshr i32 %b, 0
  %q0 = trunc i32 %y0 to i8
  %n0 = sext i8 %q0 to i32
  %t0 = mul i32 %m0, %n0
  %s0 = add i32 %c, %t0
  %x1 = lshr i32 %a, 8
  %p1 = trunc i32 %x1 to i8
  %m1 = zext i8 %p1 to i32
  %y1 = lshr i32 %b, 8
  %q1 = trunc i32 %y1 to i8
  %n1 = sext i8 %q1 to i32
  %t1 = mul i32 %m1, %n1
  %s1 = add i32 %s0, %t1
  %x2 = lshr i32 %a, 16
  %p2 = trunc i32 %x2 to i8
  %m2 = zext i8 %p2 to i32
  %y2 = lshr i32 %b, 16
  %q2 = trunc i32 %y2 to i8
  %n2 = sext i8 %q2 to i32
  %t2 = mul i32 %m2, %n2
  %s2 = add i32 %s1, %t2
  %x3 = lshr i32 %a, 24
  %p3 = trunc i32 %x3 to i8
  %m3 = zext i8 %p3 to i32
  %y3 = lshr i32 %b, 24
  %q3 = trunc i32 %y3 to i8
  %n3 = sext i8 %q3 to i32
  %t3 = mul i32 %m3, %n3
  %s3 = add i32 %s2, %t3
  ret i32 %s3
}
define i32 @rbc.nvvm.idp4a.u.u(i32 %a, i32 %b, i32 %c) #0 {
  %x0 = lshr i32 %a, 0
  %p0 = trunc i32 %x0 to i8
  %m0 = zext i8 %p0 to i32
  %y0 = lshr i32 %b, 0
  %q0 = trunc i32 %y0 to i8
  %n0 = zext i8 %q0 to i32
  %t0 = mul i32 %m0, %n0
  %s0 = add i32 %c, %t0
  %x1 = lshr i32 %a, 8
  %p1 = trunc i32 %x1 to i8
  %m1 = zext i8 %p1 to i32
  %y1 = lshr i32 %b, 8
  %q1 = trunc i32 %y1 to i8
  %n1 = zext i8 %q1 to i32
  %t1 = mul i32 %m1, %n1
  %s1 = add i32 %s0, %t1
  %x2 = lshr i32 %a, 16
  %p2 = trunc i32 %x2 to i8
  %m2 = zext i8 %p2 to i32
  %y2 = lshr i32 %b, 16
  %q2 = trunc i32 %y2 to i8
  %n2 = zext i8 %q2 to i32
  %t2 = mul i32 %m2, %n2
  %s2 = add i32 %s1, %t2
  %x3 = lshr i32 %a, 24
  %p3 = trunc i32 %x3 to i8
  %m3 = zext i8 %p3 to i32
  %y3 = lshr i32 %b, 24
  %q3 = trunc i32 %y3 to i8
  %n3 = zext i8 %q3 to i32
  %t3 = mul i32 %m3, %n3
  %s3 = add i32 %s2, %t3
  ret i32 %s3
}
; ---- Floating point. ftz: denormal arguments and results are zeros
declare float @llvm.fabs.f32(float)
declare double @llvm.fabs.f64(double)
declare float @llvm.copysign.f32(float, float)
define float @rbc.ftz(float %x) #0 {
  %a = call float @llvm.fabs.f32(float %x)
  %s = fcmp olt float %a, 0x3810000000000000
  %z = call float @llvm.copysign.f32(float 0.0, float %x)
  %r = select i1 %s, float %z, float %x
  ret float %r
}
define float @rbc.saturate(float %x) #0 {
  %l = fcmp ogt float %x, 0.0
  %a = select i1 %l, float %x, float 0.0
  %h = fcmp olt float %a, 1.0
  %r = select i1 %h, float %a, float 1.0
  ret float %r
}
define float @rbc.nvvm.floor.f(float %a) #0 {
  %r = call float @llvm.floor.f32(float %a)
  ret float %r
}
define float @rbc.nvvm.floor.ftz.f(float %a0) #0 {
  %x0 = call float @rbc.ftz(float %a0)
  %r = call float @rbc.nvvm.floor.f(float %x0)
  %z = call float @rbc.ftz(float %r)
  ret float %z
}
define double @rbc.nvvm.floor.d(double %a) #0 {
  %r = call double @llvm.floor.f64(double %a)
  ret double %r
}
define float @rbc.nvvm.ceil.f(float %a) #0 {
  %r = call float @llvm.ceil.f32(float %a)
  ret float %r
}
define float @rbc.nvvm.ceil.ftz.f(float %a0) #0 {
  %x0 = call float @rbc.ftz(float %a0)
  %r = call float @rbc.nvvm.ceil.f(float %x0)
  %z = call float @rbc.ftz(float %r)
  ret float %z
}
define double @rbc.nvvm.ceil.d(double %a) #0 {
  %r = call double @llvm.ceil.f64(double %a)
  ret double %r
}
define float @rbc.nvvm.trunc.f(float %a) #0 {
  %r = call float @llvm.trunc.f32(float %a)
  ret float %r
}
define float @rbc.nvvm.trunc.ftz.f(float %a0) #0 {
  %x0 = call float @rbc.ftz(float %a0)
  %r = call float @rbc.nvvm.trunc.f(float %x0)
  %z = call float @rbc.ftz(float %r)
  ret float %z
}
define double @rbc.nvvm.trunc.d(double %a) #0 {
  %r = call double @llvm.trunc.f64(double %a)
  ret double %r
}
define float @rbc.nvvm.round.f(float %a) #0 {
  %r = call float @llvm.roundeven.f32(float %a)
  ret float %r
}
define float @rbc.nvvm.round.ftz.f(float %a0) #0 {
  %x0 = call float @rbc.ftz(float %a0)
  %r = call float @rbc.nvvm.round.f(float %x0)
  %z = call float @rbc.ftz(float %r)
  ret float %z
}
define double @rbc.nvvm.round.d(double %a) #0 {
  %r = call double @llvm.roundeven.f64(double %a)
  ret double %r
}
define float @rbc.nvvm.fabs.f32(float %a) #0 {
  %r = call float @llvm.fabs.f32(float %a)
  ret float %r
}
define float @rbc.nvvm.fabs.ftz.f32(float %a0) #0 {
  %x0 = call float @rbc.ftz(float %a0)
  %r = call float @rbc.nvvm.fabs.f32(float %x0)
  %z = call float @rbc.ftz(float %r)
  ret float %z
}
define double @rbc.nvvm.fabs.f64(double %a) #0 {
  %r = call double @llvm.fabs.f64(double %a)
  ret double %r
}
define float @rbc.nvvm.sin.approx.f(float %a) #0 {
  %r = call float @llvm.sin.f32(float %a)
  ret float %r
}
define float @rbc.nvvm.sin.approx.ftz.f(float %a0) #0 {
  %x0 = call float @rbc.ftz(float %a0)
  %r = call float @rbc.nvvm.sin.approx.f(float %x0)
  %z = call float @rbc.ftz(float %r)
  ret float %z
}
define float @rbc.nvvm.cos.approx.f(float %a) #0 {
  %r = call float @llvm.cos.f32(float %a)
  ret float %r
}
define float @rbc.nvvm.cos.approx.ftz.f(float %a0) #0 {
  %x0 = call float @rbc.ftz(float %a0)
  %r = call float @rbc.nvvm.cos.approx.f(float %x0)
  %z = call float @rbc.ftz(float %r)
  ret float %z
}
define float @rbc.nvvm.lg2.approx.f(float %a) #0 {
  %r = call float @llvm.log2.f32(float %a)
  ret float %r
}
define float @rbc.nvvm.lg2.approx.ftz.f(float %a0) #0 {
  %x0 = call float @rbc.ftz(float %a0)
  %r = call float @rbc.nvvm.lg2.approx.f(float %x0)
  %z = call float @rbc.ftz(float %r)
  ret float %z
}
define float @rbc.nvvm.sqrt.approx.f(float %a) #0 {
  %r = call float @llvm.sqrt.f32(float %a)
  ret float %r
}
define float @rbc.nvvm.sqrt.approx.ftz.f(float %a0) #0 {
  %x0 = call float @rbc.ftz(float %a0)
  %r = call float @rbc.nvvm.sqrt.approx.f(float %x0)
  %z = call float @rbc.ftz(float %r)
  ret float %z
}
define float @rbc.nvvm.sqrt.f(float %a) #0 {
  %r = call float @llvm.sqrt.f32(float %a)
  ret float %r
}
define float @rbc.nvvm.ex2.approx.f32(float %a) #0 {
  %r = call float @llvm.exp2.f32(float %a)
  ret float %r
}
define float @rbc.nvvm.ex2.approx.ftz.f32(float %a0) #0 {
  %x0 = call float @rbc.ftz(float %a0)
  %r = call float @rbc.nvvm.ex2.approx.f32(float %x0)
  %z = call float @rbc.ftz(float %r)
  ret float %z
}
define float @rbc.nvvm.rsqrt.approx.f(float %a) #0 {
  %s = call float @llvm.sqrt.f32(float %a)
  %r = fdiv float 1.0, %s
  ret float %r
}
define double @rbc.nvvm.rsqrt.approx.d(double %a) #0 {
  %s = call double @llvm.sqrt.f64(double %a)
  %r = fdiv double 1.0, %s
  ret double %r
}
define float @rbc.nvvm.rsqrt.approx.ftz.f(float %a0) #0 {
  %x0 = call float @rbc.ftz(float %a0)
  %r = call float @rbc.nvvm.rsqrt.approx.f(float %x0)
  %z = call float @rbc.ftz(float %r)
  ret float %z
}
; The high word alone, as the hardware gives it.
define double @rbc.high(double %a) #0 {
  %b = bitcast double %a to i64
  %h = and i64 %b, -4294967296
  %r = bitcast i64 %h to double
  ret double %r
}
define double @rbc.nvvm.rcp.approx.ftz.d(double %a) #0 {
  %h = call double @rbc.high(double %a)
  %q = fdiv double 1.0, %h
  %r = call double @rbc.high(double %q)
  ret double %r
}
define double @rbc.nvvm.rsqrt.approx.ftz.d(double %a) #0 {
  %h = call double @rbc.high(double %a)
  %q = call double @rbc.nvvm.rsqrt.approx.d(double %h)
  %r = call double @rbc.high(double %q)
  ret double %r
}
define float @rbc.nvvm.rcp.approx.f(float %a) #0 {
  %r = fdiv float 1.0, %a
  ret float %r
}
define float @rbc.nvvm.rcp.approx.ftz.f(float %a0) #0 {
  %x0 = call float @rbc.ftz(float %a0)
  %r = call float @rbc.nvvm.rcp.approx.f(float %x0)
  %z = call float @rbc.ftz(float %r)
  ret float %z
}
define float @rbc.nvvm.fmin.f(float %a, float %b) #0 {
  %r = call float @llvm.minimumnum.f32(float %a, float %b)
  ret float %r
}
define double @rbc.nvvm.fmin.d(double %a, double %b) #0 {
  %r = call double @llvm.minimumnum.f64(double %a, double %b)
  ret double %r
}
define float @rbc.nvvm.fmin.ftz.f(float %a0, float %a1) #0 {
  %x0 = call float @rbc.ftz(float %a0)
  %x1 = call float @rbc.ftz(float %a1)
  %r = call float @rbc.nvvm.fmin.f(float %x0, float %x1)
  %z = call float @rbc.ftz(float %r)
  ret float %z
}
define float @rbc.nvvm.fmin.nan.f(float %a, float %b) #0 {
  %r = call float @llvm.minimum.f32(float %a, float %b)
  ret float %r
}
define float @rbc.nvvm.fmax.f(float %a, float %b) #0 {
  %r = call float @llvm.maximumnum.f32(float %a, float %b)
  ret float %r
}
define double @rbc.nvvm.fmax.d(double %a, double %b) #0 {
  %r = call double @llvm.maximumnum.f64(double %a, double %b)
  ret double %r
}
define float @rbc.nvvm.fmax.ftz.f(float %a0, float %a1) #0 {
  %x0 = call float @rbc.ftz(float %a0)
  %x1 = call float @rbc.ftz(float %a1)
  %r = call float @rbc.nvvm.fmax.f(float %x0, float %x1)
  %z = call float @rbc.ftz(float %r)
  ret float %z
}
define float @rbc.nvvm.fmax.nan.f(float %a, float %b) #0 {
  %r = call float @llvm.maximum.f32(float %a, float %b)
  ret float %r
}
define float @rbc.nvvm.saturate.f(float %a) #0 {
  %r = call float @rbc.saturate(float %a)
  ret float %r
}
define float @rbc.nvvm.saturate.ftz.f(float %a0) #0 {
  %x0 = call float @rbc.ftz(float %a0)
  %r = call float @rbc.nvvm.saturate.f(float %x0)
  %z = call float @rbc.ftz(float %r)
  ret float %z
}
define float @rbc.nvvm.div.approx.f(float %a, float %b) #0 {
  %r = fdiv float %a, %b
  ret float %r
}
define float @rbc.nvvm.div.approx.ftz.f(float %a0, float %a1) #0 {
  %x0 = call float @rbc.ftz(float %a0)
  %x1 = call float @rbc.ftz(float %a1)
  %r = call float @rbc.nvvm.div.approx.f(float %x0, float %x1)
  %z = call float @rbc.ftz(float %r)
  ret float %z
}
define float @rbc.nvvm.div.full(float %a, float %b) #0 {
  %r = fdiv float %a, %b
  ret float %r
}
define float @rbc.nvvm.div.full.ftz(float %a0, float %a1) #0 {
  %x0 = call float @rbc.ftz(float %a0)
  %x1 = call float @rbc.ftz(float %a1)
  %r = call float @rbc.nvvm.div.full(float %x0, float %x1)
  %z = call float @rbc.ftz(float %r)
  ret float %z
}
; ---- Rounding as asked for. Other than to nearest it is the processor's mode around one operation.
declare void @llvm.set.rounding(i32)
define float @rbc.nvvm.add.rn.f(float %a0, float %a1) #0 {
  %r = fadd float %a0, %a1
  ret float %r
}
define double @rbc.nvvm.add.rn.d(double %a0, double %a1) #0 {
  %r = fadd double %a0, %a1
  ret double %r
}
define float @rbc.nvvm.add.rn.ftz.f(float %a0, float %a1) #0 {
  %x0 = call float @rbc.ftz(float %a0)
  %x1 = call float @rbc.ftz(float %a1)
  %r = call float @rbc.nvvm.add.rn.f(float %x0, float %x1)
  %z = call float @rbc.ftz(float %r)
  ret float %z
}
define float @rbc.nvvm.add.rz.f(float %a0, float %a1) #4 {
  call void @llvm.set.rounding(i32 0) #6
  %r = call float @llvm.experimental.constrained.fadd.f32(float %a0, float %a1, metadata !"round.dynamic", metadata !"fpexcept.strict") #6
  call void @llvm.set.rounding(i32 1) #6
  ret float %r
}
define double @rbc.nvvm.add.rz.d(double %a0, double %a1) #4 {
  call void @llvm.set.rounding(i32 0) #6
  %r = call double @llvm.experimental.constrained.fadd.f64(double %a0, double %a1, metadata !"round.dynamic", metadata !"fpexcept.strict") #6
  call void @llvm.set.rounding(i32 1) #6
  ret double %r
}
define float @rbc.nvvm.add.rz.ftz.f(float %a0, float %a1) #0 {
  %x0 = call float @rbc.ftz(float %a0)
  %x1 = call float @rbc.ftz(float %a1)
  %r = call float @rbc.nvvm.add.rz.f(float %x0, float %x1)
  %z = call float @rbc.ftz(float %r)
  ret float %z
}
define float @rbc.nvvm.add.rm.f(float %a0, float %a1) #4 {
  call void @llvm.set.rounding(i32 3) #6
  %r = call float @llvm.experimental.constrained.fadd.f32(float %a0, float %a1, metadata !"round.dynamic", metadata !"fpexcept.strict") #6
  call void @llvm.set.rounding(i32 1) #6
  ret float %r
}
define double @rbc.nvvm.add.rm.d(double %a0, double %a1) #4 {
  call void @llvm.set.rounding(i32 3) #6
  %r = call double @llvm.experimental.constrained.fadd.f64(double %a0, double %a1, metadata !"round.dynamic", metadata !"fpexcept.strict") #6
  call void @llvm.set.rounding(i32 1) #6
  ret double %r
}
define float @rbc.nvvm.add.rm.ftz.f(float %a0, float %a1) #0 {
  %x0 = call float @rbc.ftz(float %a0)
  %x1 = call float @rbc.ftz(float %a1)
  %r = call float @rbc.nvvm.add.rm.f(float %x0, float %x1)
  %z = call float @rbc.ftz(float %r)
  ret float %z
}
define float @rbc.nvvm.add.rp.f(float %a0, float %a1) #4 {
  call void @llvm.set.rounding(i32 2) #6
  %r = call float @llvm.experimental.constrained.fadd.f32(float %a0, float %a1, metadata !"round.dynamic", metadata !"fpexcept.strict") #6
  call void @llvm.set.rounding(i32 1) #6
  ret float %r
}
define double @rbc.nvvm.add.rp.d(double %a0, double %a1) #4 {
  call void @llvm.set.rounding(i32 2) #6
  %r = call double @llvm.experimental.constrained.fadd.f64(double %a0, double %a1, metadata !"round.dynamic", metadata !"fpexcept.strict") #6
  call void @llvm.set.rounding(i32 1) #6
  ret double %r
}
define float @rbc.nvvm.add.rp.ftz.f(float %a0, float %a1) #0 {
  %x0 = call float @rbc.ftz(float %a0)
  %x1 = call float @rbc.ftz(float %a1)
  %r = call float @rbc.nvvm.add.rp.f(float %x0, float %x1)
  %z = call float @rbc.ftz(float %r)
  ret float %z
}
define float @rbc.nvvm.mul.rn.f(float %a0, float %a1) #0 {
  %r = fmul float %a0, %a1
  ret float %r
}
define double @rbc.nvvm.mul.rn.d(double %a0, double %a1) #0 {
  %r = fmul double %a0, %a1
  ret double %r
}
define float @rbc.nvvm.mul.rn.ftz.f(float %a0, float %a1) #0 {
  %x0 = call float @rbc.ftz(float %a0)
  %x1 = call float @rbc.ftz(float %a1)
  %r = call float @rbc.nvvm.mul.rn.f(float %x0, float %x1)
  %z = call float @rbc.ftz(float %r)
  ret float %z
}
define float @rbc.nvvm.mul.rz.f(float %a0, float %a1) #4 {
  call void @llvm.set.rounding(i32 0) #6
  %r = call float @llvm.experimental.constrained.fmul.f32(float %a0, float %a1, metadata !"round.dynamic", metadata !"fpexcept.strict") #6
  call void @llvm.set.rounding(i32 1) #6
  ret float %r
}
define double @rbc.nvvm.mul.rz.d(double %a0, double %a1) #4 {
  call void @llvm.set.rounding(i32 0) #6
  %r = call double @llvm.experimental.constrained.fmul.f64(double %a0, double %a1, metadata !"round.dynamic", metadata !"fpexcept.strict") #6
  call void @llvm.set.rounding(i32 1) #6
  ret double %r
}
define float @rbc.nvvm.mul.rz.ftz.f(float %a0, float %a1) #0 {
  %x0 = call float @rbc.ftz(float %a0)
  %x1 = call float @rbc.ftz(float %a1)
  %r = call float @rbc.nvvm.mul.rz.f(float %x0, float %x1)
  %z = call float @rbc.ftz(float %r)
  ret float %z
}
define float @rbc.nvvm.mul.rm.f(float %a0, float %a1) #4 {
  call void @llvm.set.rounding(i32 3) #6
  %r = call float @llvm.experimental.constrained.fmul.f32(float %a0, float %a1, metadata !"round.dynamic", metadata !"fpexcept.strict") #6
  call void @llvm.set.rounding(i32 1) #6
  ret float %r
}
define double @rbc.nvvm.mul.rm.d(double %a0, double %a1) #4 {
  call void @llvm.set.rounding(i32 3) #6
  %r = call double @llvm.experimental.constrained.fmul.f64(double %a0, double %a1, metadata !"round.dynamic", metadata !"fpexcept.strict") #6
  call void @llvm.set.rounding(i32 1) #6
  ret double %r
}
define float @rbc.nvvm.mul.rm.ftz.f(float %a0, float %a1) #0 {
  %x0 = call float @rbc.ftz(float %a0)
  %x1 = call float @rbc.ftz(float %a1)
  %r = call float @rbc.nvvm.mul.rm.f(float %x0, float %x1)
  %z = call float @rbc.ftz(float %r)
  ret float %z
}
define float @rbc.nvvm.mul.rp.f(float %a0, float %a1) #4 {
  call void @llvm.set.rounding(i32 2) #6
  %r = call float @llvm.experimental.constrained.fmul.f32(float %a0, float %a1, metadata !"round.dynamic", metadata !"fpexcept.strict") #6
  call void @llvm.set.rounding(i32 1) #6
  ret float %r
}
define double @rbc.nvvm.mul.rp.d(double %a0, double %a1) #4 {
  call void @llvm.set.rounding(i32 2) #6
  %r = call double @llvm.experimental.constrained.fmul.f64(double %a0, double %a1, metadata !"round.dynamic", metadata !"fpexcept.strict") #6
  call void @llvm.set.rounding(i32 1) #6
  ret double %r
}
define float @rbc.nvvm.mul.rp.ftz.f(float %a0, float %a1) #0 {
  %x0 = call float @rbc.ftz(float %a0)
  %x1 = call float @rbc.ftz(float %a1)
  %r = call float @rbc.nvvm.mul.rp.f(float %x0, float %x1)
  %z = call float @rbc.ftz(float %r)
  ret float %z
}
define float @rbc.nvvm.div.rn.f(float %a0, float %a1) #0 {
  %r = fdiv float %a0, %a1
  ret float %r
}
define double @rbc.nvvm.div.rn.d(double %a0, double %a1) #0 {
  %r = fdiv double %a0, %a1
  ret double %r
}
define float @rbc.nvvm.div.rn.ftz.f(float %a0, float %a1) #0 {
  %x0 = call float @rbc.ftz(float %a0)
  %x1 = call float @rbc.ftz(float %a1)
  %r = call float @rbc.nvvm.div.rn.f(float %x0, float %x1)
  %z = call float @rbc.ftz(float %r)
  ret float %z
}
define float @rbc.nvvm.div.rz.f(float %a0, float %a1) #4 {
  call void @llvm.set.rounding(i32 0) #6
  %r = call float @llvm.experimental.constrained.fdiv.f32(float %a0, float %a1, metadata !"round.dynamic", metadata !"fpexcept.strict") #6
  call void @llvm.set.rounding(i32 1) #6
  ret float %r
}
define double @rbc.nvvm.div.rz.d(double %a0, double %a1) #4 {
  call void @llvm.set.rounding(i32 0) #6
  %r = call double @llvm.experimental.constrained.fdiv.f64(double %a0, double %a1, metadata !"round.dynamic", metadata !"fpexcept.strict") #6
  call void @llvm.set.rounding(i32 1) #6
  ret double %r
}
define float @rbc.nvvm.div.rz.ftz.f(float %a0, float %a1) #0 {
  %x0 = call float @rbc.ftz(float %a0)
  %x1 = call float @rbc.ftz(float %a1)
  %r = call float @rbc.nvvm.div.rz.f(float %x0, float %x1)
  %z = call float @rbc.ftz(float %r)
  ret float %z
}
define float @rbc.nvvm.div.rm.f(float %a0, float %a1) #4 {
  call void @llvm.set.rounding(i32 3) #6
  %r = call float @llvm.experimental.constrained.fdiv.f32(float %a0, float %a1, metadata !"round.dynamic", metadata !"fpexcept.strict") #6
  call void @llvm.set.rounding(i32 1) #6
  ret float %r
}
define double @rbc.nvvm.div.rm.d(double %a0, double %a1) #4 {
  call void @llvm.set.rounding(i32 3) #6
  %r = call double @llvm.experimental.constrained.fdiv.f64(double %a0, double %a1, metadata !"round.dynamic", metadata !"fpexcept.strict") #6
  call void @llvm.set.rounding(i32 1) #6
  ret double %r
}
define float @rbc.nvvm.div.rm.ftz.f(float %a0, float %a1) #0 {
  %x0 = call float @rbc.ftz(float %a0)
  %x1 = call float @rbc.ftz(float %a1)
  %r = call float @rbc.nvvm.div.rm.f(float %x0, float %x1)
  %z = call float @rbc.ftz(float %r)
  ret float %z
}
define float @rbc.nvvm.div.rp.f(float %a0, float %a1) #4 {
  call void @llvm.set.rounding(i32 2) #6
  %r = call float @llvm.experimental.constrained.fdiv.f32(float %a0, float %a1, metadata !"round.dynamic", metadata !"fpexcept.strict") #6
  call void @llvm.set.rounding(i32 1) #6
  ret float %r
}
define double @rbc.nvvm.div.rp.d(double %a0, double %a1) #4 {
  call void @llvm.set.rounding(i32 2) #6
  %r = call double @llvm.experimental.constrained.fdiv.f64(double %a0, double %a1, metadata !"round.dynamic", metadata !"fpexcept.strict") #6
  call void @llvm.set.rounding(i32 1) #6
  ret double %r
}
define float @rbc.nvvm.div.rp.ftz.f(float %a0, float %a1) #0 {
  %x0 = call float @rbc.ftz(float %a0)
  %x1 = call float @rbc.ftz(float %a1)
  %r = call float @rbc.nvvm.div.rp.f(float %x0, float %x1)
  %z = call float @rbc.ftz(float %r)
  ret float %z
}
define float @rbc.nvvm.sqrt.rn.f(float %a0) #0 {
  %r = call float @llvm.sqrt.f32(float %a0)
  ret float %r
}
define double @rbc.nvvm.sqrt.rn.d(double %a0) #0 {
  %r = call double @llvm.sqrt.f64(double %a0)
  ret double %r
}
define float @rbc.nvvm.sqrt.rn.ftz.f(float %a0) #0 {
  %x0 = call float @rbc.ftz(float %a0)
  %r = call float @rbc.nvvm.sqrt.rn.f(float %x0)
  %z = call float @rbc.ftz(float %r)
  ret float %z
}
define float @rbc.nvvm.sqrt.rz.f(float %a0) #4 {
  call void @llvm.set.rounding(i32 0) #6
  %r = call float @llvm.experimental.constrained.sqrt.f32(float %a0, metadata !"round.dynamic", metadata !"fpexcept.strict") #6
  call void @llvm.set.rounding(i32 1) #6
  ret float %r
}
define double @rbc.nvvm.sqrt.rz.d(double %a0) #4 {
  call void @llvm.set.rounding(i32 0) #6
  %r = call double @llvm.experimental.constrained.sqrt.f64(double %a0, metadata !"round.dynamic", metadata !"fpexcept.strict") #6
  call void @llvm.set.rounding(i32 1) #6
  ret double %r
}
define float @rbc.nvvm.sqrt.rz.ftz.f(float %a0) #0 {
  %x0 = call float @rbc.ftz(float %a0)
  %r = call float @rbc.nvvm.sqrt.rz.f(float %x0)
  %z = call float @rbc.ftz(float %r)
  ret float %z
}
define float @rbc.nvvm.sqrt.rm.f(float %a0) #4 {
  call void @llvm.set.rounding(i32 3) #6
  %r = call float @llvm.experimental.constrained.sqrt.f32(float %a0, metadata !"round.dynamic", metadata !"fpexcept.strict") #6
  call void @llvm.set.rounding(i32 1) #6
  ret float %r
}
define double @rbc.nvvm.sqrt.rm.d(double %a0) #4 {
  call void @llvm.set.rounding(i32 3) #6
  %r = call double @llvm.experimental.constrained.sqrt.f64(double %a0, metadata !"round.dynamic", metadata !"fpexcept.strict") #6
  call void @llvm.set.rounding(i32 1) #6
  ret double %r
}
define float @rbc.nvvm.sqrt.rm.ftz.f(float %a0) #0 {
  %x0 = call float @rbc.ftz(float %a0)
  %r = call float @rbc.nvvm.sqrt.rm.f(float %x0)
  %z = call float @rbc.ftz(float %r)
  ret float %z
}
define float @rbc.nvvm.sqrt.rp.f(float %a0) #4 {
  call void @llvm.set.rounding(i32 2) #6
  %r = call float @llvm.experimental.constrained.sqrt.f32(float %a0, metadata !"round.dynamic", metadata !"fpexcept.strict") #6
  call void @llvm.set.rounding(i32 1) #6
  ret float %r
}
define double @rbc.nvvm.sqrt.rp.d(double %a0) #4 {
  call void @llvm.set.rounding(i32 2) #6
  %r = call double @llvm.experimental.constrained.sqrt.f64(double %a0, metadata !"round.dynamic", metadata !"fpexcept.strict") #6
  call void @llvm.set.rounding(i32 1) #6
  ret double %r
}
define float @rbc.nvvm.sqrt.rp.ftz.f(float %a0) #0 {
  %x0 = call float @rbc.ftz(float %a0)
  %r = call float @rbc.nvvm.sqrt.rp.f(float %x0)
  %z = call float @rbc.ftz(float %r)
  ret float %z
}
define float @rbc.nvvm.fma.rn.f(float %a0, float %a1, float %a2) #0 {
  %r = call float @llvm.fma.f32(float %a0, float %a1, float %a2)
  ret float %r
}
define double @rbc.nvvm.fma.rn.d(double %a0, double %a1, double %a2) #0 {
  %r = call double @llvm.fma.f64(double %a0, double %a1, double %a2)
  ret double %r
}
define float @rbc.nvvm.fma.rn.ftz.f(float %a0, float %a1, float %a2) #0 {
  %x0 = call float @rbc.ftz(float %a0)
  %x1 = call float @rbc.ftz(float %a1)
  %x2 = call float @rbc.ftz(float %a2)
  %r = call float @rbc.nvvm.fma.rn.f(float %x0, float %x1, float %x2)
  %z = call float @rbc.ftz(float %r)
  ret float %z
}
define float @rbc.nvvm.fma.rz.f(float %a0, float %a1, float %a2) #4 {
  call void @llvm.set.rounding(i32 0) #6
  %r = call float @llvm.experimental.constrained.fma.f32(float %a0, float %a1, float %a2, metadata !"round.dynamic", metadata !"fpexcept.strict") #6
  call void @llvm.set.rounding(i32 1) #6
  ret float %r
}
define double @rbc.nvvm.fma.rz.d(double %a0, double %a1, double %a2) #4 {
  call void @llvm.set.rounding(i32 0) #6
  %r = call double @llvm.experimental.constrained.fma.f64(double %a0, double %a1, double %a2, metadata !"round.dynamic", metadata !"fpexcept.strict") #6
  call void @llvm.set.rounding(i32 1) #6
  ret double %r
}
define float @rbc.nvvm.fma.rz.ftz.f(float %a0, float %a1, float %a2) #0 {
  %x0 = call float @rbc.ftz(float %a0)
  %x1 = call float @rbc.ftz(float %a1)
  %x2 = call float @rbc.ftz(float %a2)
  %r = call float @rbc.nvvm.fma.rz.f(float %x0, float %x1, float %x2)
  %z = call float @rbc.ftz(float %r)
  ret float %z
}
define float @rbc.nvvm.fma.rm.f(float %a0, float %a1, float %a2) #4 {
  call void @llvm.set.rounding(i32 3) #6
  %r = call float @llvm.experimental.constrained.fma.f32(float %a0, float %a1, float %a2, metadata !"round.dynamic", metadata !"fpexcept.strict") #6
  call void @llvm.set.rounding(i32 1) #6
  ret float %r
}
define double @rbc.nvvm.fma.rm.d(double %a0, double %a1, double %a2) #4 {
  call void @llvm.set.rounding(i32 3) #6
  %r = call double @llvm.experimental.constrained.fma.f64(double %a0, double %a1, double %a2, metadata !"round.dynamic", metadata !"fpexcept.strict") #6
  call void @llvm.set.rounding(i32 1) #6
  ret double %r
}
define float @rbc.nvvm.fma.rm.ftz.f(float %a0, float %a1, float %a2) #0 {
  %x0 = call float @rbc.ftz(float %a0)
  %x1 = call float @rbc.ftz(float %a1)
  %x2 = call float @rbc.ftz(float %a2)
  %r = call float @rbc.nvvm.fma.rm.f(float %x0, float %x1, float %x2)
  %z = call float @rbc.ftz(float %r)
  ret float %z
}
define float @rbc.nvvm.fma.rp.f(float %a0, float %a1, float %a2) #4 {
  call void @llvm.set.rounding(i32 2) #6
  %r = call float @llvm.experimental.constrained.fma.f32(float %a0, float %a1, float %a2, metadata !"round.dynamic", metadata !"fpexcept.strict") #6
  call void @llvm.set.rounding(i32 1) #6
  ret float %r
}
define double @rbc.nvvm.fma.rp.d(double %a0, double %a1, double %a2) #4 {
  call void @llvm.set.rounding(i32 2) #6
  %r = call double @llvm.experimental.constrained.fma.f64(double %a0, double %a1, double %a2, metadata !"round.dynamic", metadata !"fpexcept.strict") #6
  call void @llvm.set.rounding(i32 1) #6
  ret double %r
}
define float @rbc.nvvm.fma.rp.ftz.f(float %a0, float %a1, float %a2) #0 {
  %x0 = call float @rbc.ftz(float %a0)
  %x1 = call float @rbc.ftz(float %a1)
  %x2 = call float @rbc.ftz(float %a2)
  %r = call float @rbc.nvvm.fma.rp.f(float %x0, float %x1, float %x2)
  %z = call float @rbc.ftz(float %r)
  ret float %z
}
define float @rbc.nvvm.rcp.rn.f(float %a) #0 {
  %r = call float @rbc.nvvm.div.rn.f(float 1.0, float %a)
  ret float %r
}
define float @rbc.asm.sub.rn.f32(float %a, float %b) #0 {
  %n = fneg float %b
  %r = call float @rbc.nvvm.add.rn.f(float %a, float %n)
  ret float %r
}
define double @rbc.nvvm.rcp.rn.d(double %a) #0 {
  %r = call double @rbc.nvvm.div.rn.d(double 1.0, double %a)
  ret double %r
}
define double @rbc.asm.sub.rn.f64(double %a, double %b) #0 {
  %n = fneg double %b
  %r = call double @rbc.nvvm.add.rn.d(double %a, double %n)
  ret double %r
}
define float @rbc.nvvm.rcp.rn.ftz.f(float %a0) #0 {
  %x0 = call float @rbc.ftz(float %a0)
  %r = call float @rbc.nvvm.rcp.rn.f(float %x0)
  %z = call float @rbc.ftz(float %r)
  ret float %z
}
define float @rbc.asm.sub.rn.ftz.f32(float %a0, float %a1) #0 {
  %x0 = call float @rbc.ftz(float %a0)
  %x1 = call float @rbc.ftz(float %a1)
  %r = call float @rbc.asm.sub.rn.f32(float %x0, float %x1)
  %z = call float @rbc.ftz(float %r)
  ret float %z
}
define float @rbc.nvvm.rcp.rz.f(float %a) #0 {
  %r = call float @rbc.nvvm.div.rz.f(float 1.0, float %a)
  ret float %r
}
define float @rbc.asm.sub.rz.f32(float %a, float %b) #0 {
  %n = fneg float %b
  %r = call float @rbc.nvvm.add.rz.f(float %a, float %n)
  ret float %r
}
define double @rbc.nvvm.rcp.rz.d(double %a) #0 {
  %r = call double @rbc.nvvm.div.rz.d(double 1.0, double %a)
  ret double %r
}
define double @rbc.asm.sub.rz.f64(double %a, double %b) #0 {
  %n = fneg double %b
  %r = call double @rbc.nvvm.add.rz.d(double %a, double %n)
  ret double %r
}
define float @rbc.nvvm.rcp.rz.ftz.f(float %a0) #0 {
  %x0 = call float @rbc.ftz(float %a0)
  %r = call float @rbc.nvvm.rcp.rz.f(float %x0)
  %z = call float @rbc.ftz(float %r)
  ret float %z
}
define float @rbc.asm.sub.rz.ftz.f32(float %a0, float %a1) #0 {
  %x0 = call float @rbc.ftz(float %a0)
  %x1 = call float @rbc.ftz(float %a1)
  %r = call float @rbc.asm.sub.rz.f32(float %x0, float %x1)
  %z = call float @rbc.ftz(float %r)
  ret float %z
}
define float @rbc.nvvm.rcp.rm.f(float %a) #0 {
  %r = call float @rbc.nvvm.div.rm.f(float 1.0, float %a)
  ret float %r
}
define float @rbc.asm.sub.rm.f32(float %a, float %b) #0 {
  %n = fneg float %b
  %r = call float @rbc.nvvm.add.rm.f(float %a, float %n)
  ret float %r
}
define double @rbc.nvvm.rcp.rm.d(double %a) #0 {
  %r = call double @rbc.nvvm.div.rm.d(double 1.0, double %a)
  ret double %r
}
define double @rbc.asm.sub.rm.f64(double %a, double %b) #0 {
  %n = fneg double %b
  %r = call double @rbc.nvvm.add.rm.d(double %a, double %n)
  ret double %r
}
define float @rbc.nvvm.rcp.rm.ftz.f(float %a0) #0 {
  %x0 = call float @rbc.ftz(float %a0)
  %r = call float @rbc.nvvm.rcp.rm.f(float %x0)
  %z = call float @rbc.ftz(float %r)
  ret float %z
}
define float @rbc.asm.sub.rm.ftz.f32(float %a0, float %a1) #0 {
  %x0 = call float @rbc.ftz(float %a0)
  %x1 = call float @rbc.ftz(float %a1)
  %r = call float @rbc.asm.sub.rm.f32(float %x0, float %x1)
  %z = call float @rbc.ftz(float %r)
  ret float %z
}
define float @rbc.nvvm.rcp.rp.f(float %a) #0 {
  %r = call float @rbc.nvvm.div.rp.f(float 1.0, float %a)
  ret float %r
}
define float @rbc.asm.sub.rp.f32(float %a, float %b) #0 {
  %n = fneg float %b
  %r = call float @rbc.nvvm.add.rp.f(float %a, float %n)
  ret float %r
}
define double @rbc.nvvm.rcp.rp.d(double %a) #0 {
  %r = call double @rbc.nvvm.div.rp.d(double 1.0, double %a)
  ret double %r
}
define double @rbc.asm.sub.rp.f64(double %a, double %b) #0 {
  %n = fneg double %b
  %r = call double @rbc.nvvm.add.rp.d(double %a, double %n)
  ret double %r
}
define float @rbc.nvvm.rcp.rp.ftz.f(float %a0) #0 {
  %x0 = call float @rbc.ftz(float %a0)
  %r = call float @rbc.nvvm.rcp.rp.f(float %x0)
  %z = call float @rbc.ftz(float %r)
  ret float %z
}
define float @rbc.asm.sub.rp.ftz.f32(float %a0, float %a1) #0 {
  %x0 = call float @rbc.ftz(float %a0)
  %x1 = call float @rbc.ftz(float %a1)
  %r = call float @rbc.asm.sub.rp.f32(float %x0, float %x1)
  %z = call float @rbc.ftz(float %r)
  ret float %z
}
; ---- Conversions
define float @rbc.nvvm.d2f.rn(double %a) #0 {
  %r = fptrunc double %a to float
  ret float %r
}
define float @rbc.nvvm.d2f.rn.ftz(double %a) #0 {
  %r = call float @rbc.nvvm.d2f.rn(double %a)
  %z = call float @rbc.ftz(float %r)
  ret float %z
}
define float @rbc.nvvm.i2f.rn(i32 %a) #0 {
  %r = sitofp i32 %a to float
  ret float %r
}
define double @rbc.nvvm.i2d.rn(i32 %a) #0 {
  %r = sitofp i32 %a to double
  ret double %r
}
define float @rbc.nvvm.ui2f.rn(i32 %a) #0 {
  %r = uitofp i32 %a to float
  ret float %r
}
define double @rbc.nvvm.ui2d.rn(i32 %a) #0 {
  %r = uitofp i32 %a to double
  ret double %r
}
define float @rbc.nvvm.ll2f.rn(i64 %a) #0 {
  %r = sitofp i64 %a to float
  ret float %r
}
define double @rbc.nvvm.ll2d.rn(i64 %a) #0 {
  %r = sitofp i64 %a to double
  ret double %r
}
define float @rbc.nvvm.ull2f.rn(i64 %a) #0 {
  %r = uitofp i64 %a to float
  ret float %r
}
define double @rbc.nvvm.ull2d.rn(i64 %a) #0 {
  %r = uitofp i64 %a to double
  ret double %r
}
define i32 @rbc.nvvm.f2i.rn(float %a) #0 {
  %w = call float @llvm.roundeven.f32(float %a)
  %s = call i32 @llvm.fptosi.sat.i32.f32(float %w)
  %n = fcmp uno float %a, 0.0
  %r = select i1 %n, i32 0, i32 %s
  ret i32 %r
}
define i32 @rbc.nvvm.f2i.rn.ftz(float %a0) #0 {
  %x0 = call float @rbc.ftz(float %a0)
  %r = call i32 @rbc.nvvm.f2i.rn(float %x0)
  ret i32 %r
}
define i32 @rbc.nvvm.d2i.rn(double %a) #0 {
  %w = call double @llvm.roundeven.f64(double %a)
  %s = call i32 @llvm.fptosi.sat.i32.f64(double %w)
  %n = fcmp uno double %a, 0.0
  %r = select i1 %n, i32 -2147483648, i32 %s
  ret i32 %r
}
define i32 @rbc.nvvm.f2ui.rn(float %a) #0 {
  %w = call float @llvm.roundeven.f32(float %a)
  %s = call i32 @llvm.fptoui.sat.i32.f32(float %w)
  %n = fcmp uno float %a, 0.0
  %r = select i1 %n, i32 0, i32 %s
  ret i32 %r
}
define i32 @rbc.nvvm.f2ui.rn.ftz(float %a0) #0 {
  %x0 = call float @rbc.ftz(float %a0)
  %r = call i32 @rbc.nvvm.f2ui.rn(float %x0)
  ret i32 %r
}
define i32 @rbc.nvvm.d2ui.rn(double %a) #0 {
  %w = call double @llvm.roundeven.f64(double %a)
  %s = call i32 @llvm.fptoui.sat.i32.f64(double %w)
  %n = fcmp uno double %a, 0.0
  %r = select i1 %n, i32 -2147483648, i32 %s
  ret i32 %r
}
define i64 @rbc.nvvm.f2ll.rn(float %a) #0 {
  %w = call float @llvm.roundeven.f32(float %a)
  %s = call i64 @llvm.fptosi.sat.i64.f32(float %w)
  %n = fcmp uno float %a, 0.0
  %r = select i1 %n, i64 -9223372036854775808, i64 %s
  ret i64 %r
}
define i64 @rbc.nvvm.f2ll.rn.ftz(float %a0) #0 {
  %x0 = call float @rbc.ftz(float %a0)
  %r = call i64 @rbc.nvvm.f2ll.rn(float %x0)
  ret i64 %r
}
define i64 @rbc.nvvm.d2ll.rn(double %a) #0 {
  %w = call double @llvm.roundeven.f64(double %a)
  %s = call i64 @llvm.fptosi.sat.i64.f64(double %w)
  %n = fcmp uno double %a, 0.0
  %r = select i1 %n, i64 -9223372036854775808, i64 %s
  ret i64 %r
}
define i64 @rbc.nvvm.f2ull.rn(float %a) #0 {
  %w = call float @llvm.roundeven.f32(float %a)
  %s = call i64 @llvm.fptoui.sat.i64.f32(float %w)
  %n = fcmp uno float %a, 0.0
  %r = select i1 %n, i64 -9223372036854775808, i64 %s
  ret i64 %r
}
define i64 @rbc.nvvm.f2ull.rn.ftz(float %a0) #0 {
  %x0 = call float @rbc.ftz(float %a0)
  %r = call i64 @rbc.nvvm.f2ull.rn(float %x0)
  ret i64 %r
}
define i64 @rbc.nvvm.d2ull.rn(double %a) #0 {
  %w = call double @llvm.roundeven.f64(double %a)
  %s = call i64 @llvm.fptoui.sat.i64.f64(double %w)
  %n = fcmp uno double %a, 0.0
  %r = select i1 %n, i64 -9223372036854775808, i64 %s
  ret i64 %r
}
define float @rbc.nvvm.d2f.rz(double %a) #4 {
  call void @llvm.set.rounding(i32 0) #6
  %r = call float @llvm.experimental.constrained.fptrunc.f32.f64(double %a, metadata !"round.dynamic", metadata !"fpexcept.strict") #6
  call void @llvm.set.rounding(i32 1) #6
  ret float %r
}
define float @rbc.nvvm.d2f.rz.ftz(double %a) #0 {
  %r = call float @rbc.nvvm.d2f.rz(double %a)
  %z = call float @rbc.ftz(float %r)
  ret float %z
}
define float @rbc.nvvm.i2f.rz(i32 %a) #4 {
  call void @llvm.set.rounding(i32 0) #6
  %r = call float @llvm.experimental.constrained.sitofp.f32.i32(i32 %a, metadata !"round.dynamic", metadata !"fpexcept.strict") #6
  call void @llvm.set.rounding(i32 1) #6
  ret float %r
}
define double @rbc.nvvm.i2d.rz(i32 %a) #4 {
  call void @llvm.set.rounding(i32 0) #6
  %r = call double @llvm.experimental.constrained.sitofp.f64.i32(i32 %a, metadata !"round.dynamic", metadata !"fpexcept.strict") #6
  call void @llvm.set.rounding(i32 1) #6
  ret double %r
}
define float @rbc.nvvm.ui2f.rz(i32 %a) #4 {
  call void @llvm.set.rounding(i32 0) #6
  %r = call float @llvm.experimental.constrained.uitofp.f32.i32(i32 %a, metadata !"round.dynamic", metadata !"fpexcept.strict") #6
  call void @llvm.set.rounding(i32 1) #6
  ret float %r
}
define double @rbc.nvvm.ui2d.rz(i32 %a) #4 {
  call void @llvm.set.rounding(i32 0) #6
  %r = call double @llvm.experimental.constrained.uitofp.f64.i32(i32 %a, metadata !"round.dynamic", metadata !"fpexcept.strict") #6
  call void @llvm.set.rounding(i32 1) #6
  ret double %r
}
define float @rbc.nvvm.ll2f.rz(i64 %a) #4 {
  call void @llvm.set.rounding(i32 0) #6
  %r = call float @llvm.experimental.constrained.sitofp.f32.i64(i64 %a, metadata !"round.dynamic", metadata !"fpexcept.strict") #6
  call void @llvm.set.rounding(i32 1) #6
  ret float %r
}
define double @rbc.nvvm.ll2d.rz(i64 %a) #4 {
  call void @llvm.set.rounding(i32 0) #6
  %r = call double @llvm.experimental.constrained.sitofp.f64.i64(i64 %a, metadata !"round.dynamic", metadata !"fpexcept.strict") #6
  call void @llvm.set.rounding(i32 1) #6
  ret double %r
}
define float @rbc.nvvm.ull2f.rz(i64 %a) #4 {
  call void @llvm.set.rounding(i32 0) #6
  %r = call float @llvm.experimental.constrained.uitofp.f32.i64(i64 %a, metadata !"round.dynamic", metadata !"fpexcept.strict") #6
  call void @llvm.set.rounding(i32 1) #6
  ret float %r
}
define double @rbc.nvvm.ull2d.rz(i64 %a) #4 {
  call void @llvm.set.rounding(i32 0) #6
  %r = call double @llvm.experimental.constrained.uitofp.f64.i64(i64 %a, metadata !"round.dynamic", metadata !"fpexcept.strict") #6
  call void @llvm.set.rounding(i32 1) #6
  ret double %r
}
define i32 @rbc.nvvm.f2i.rz(float %a) #0 {
  %w = call float @llvm.trunc.f32(float %a)
  %s = call i32 @llvm.fptosi.sat.i32.f32(float %w)
  %n = fcmp uno float %a, 0.0
  %r = select i1 %n, i32 0, i32 %s
  ret i32 %r
}
define i32 @rbc.nvvm.f2i.rz.ftz(float %a0) #0 {
  %x0 = call float @rbc.ftz(float %a0)
  %r = call i32 @rbc.nvvm.f2i.rz(float %x0)
  ret i32 %r
}
define i32 @rbc.nvvm.d2i.rz(double %a) #0 {
  %w = call double @llvm.trunc.f64(double %a)
  %s = call i32 @llvm.fptosi.sat.i32.f64(double %w)
  %n = fcmp uno double %a, 0.0
  %r = select i1 %n, i32 -2147483648, i32 %s
  ret i32 %r
}
define i32 @rbc.nvvm.f2ui.rz(float %a) #0 {
  %w = call float @llvm.trunc.f32(float %a)
  %s = call i32 @llvm.fptoui.sat.i32.f32(float %w)
  %n = fcmp uno float %a, 0.0
  %r = select i1 %n, i32 0, i32 %s
  ret i32 %r
}
define i32 @rbc.nvvm.f2ui.rz.ftz(float %a0) #0 {
  %x0 = call float @rbc.ftz(float %a0)
  %r = call i32 @rbc.nvvm.f2ui.rz(float %x0)
  ret i32 %r
}
define i32 @rbc.nvvm.d2ui.rz(double %a) #0 {
  %w = call double @llvm.trunc.f64(double %a)
  %s = call i32 @llvm.fptoui.sat.i32.f64(double %w)
  %n = fcmp uno double %a, 0.0
  %r = select i1 %n, i32 -2147483648, i32 %s
  ret i32 %r
}
define i64 @rbc.nvvm.f2ll.rz(float %a) #0 {
  %w = call float @llvm.trunc.f32(float %a)
  %s = call i64 @llvm.fptosi.sat.i64.f32(float %w)
  %n = fcmp uno float %a, 0.0
  %r = select i1 %n, i64 -9223372036854775808, i64 %s
  ret i64 %r
}
define i64 @rbc.nvvm.f2ll.rz.ftz(float %a0) #0 {
  %x0 = call float @rbc.ftz(float %a0)
  %r = call i64 @rbc.nvvm.f2ll.rz(float %x0)
  ret i64 %r
}
define i64 @rbc.nvvm.d2ll.rz(double %a) #0 {
  %w = call double @llvm.trunc.f64(double %a)
  %s = call i64 @llvm.fptosi.sat.i64.f64(double %w)
  %n = fcmp uno double %a, 0.0
  %r = select i1 %n, i64 -9223372036854775808, i64 %s
  ret i64 %r
}
define i64 @rbc.nvvm.f2ull.rz(float %a) #0 {
  %w = call float @llvm.trunc.f32(float %a)
  %s = call i64 @llvm.fptoui.sat.i64.f32(float %w)
  %n = fcmp uno float %a, 0.0
  %r = select i1 %n, i64 -9223372036854775808, i64 %s
  ret i64 %r
}
define i64 @rbc.nvvm.f2ull.rz.ftz(float %a0) #0 {
  %x0 = call float @rbc.ftz(float %a0)
  %r = call i64 @rbc.nvvm.f2ull.rz(float %x0)
  ret i64 %r
}
define i64 @rbc.nvvm.d2ull.rz(double %a) #0 {
  %w = call double @llvm.trunc.f64(double %a)
  %s = call i64 @llvm.fptoui.sat.i64.f64(double %w)
  %n = fcmp uno double %a, 0.0
  %r = select i1 %n, i64 -9223372036854775808, i64 %s
  ret i64 %r
}
define float @rbc.nvvm.d2f.rm(double %a) #4 {
  call void @llvm.set.rounding(i32 3) #6
  %r = call float @llvm.experimental.constrained.fptrunc.f32.f64(double %a, metadata !"round.dynamic", metadata !"fpexcept.strict") #6
  call void @llvm.set.rounding(i32 1) #6
  ret float %r
}
define float @rbc.nvvm.d2f.rm.ftz(double %a) #0 {
  %r = call float @rbc.nvvm.d2f.rm(double %a)
  %z = call float @rbc.ftz(float %r)
  ret float %z
}
define float @rbc.nvvm.i2f.rm(i32 %a) #4 {
  call void @llvm.set.rounding(i32 3) #6
  %r = call float @llvm.experimental.constrained.sitofp.f32.i32(i32 %a, metadata !"round.dynamic", metadata !"fpexcept.strict") #6
  call void @llvm.set.rounding(i32 1) #6
  ret float %r
}
define double @rbc.nvvm.i2d.rm(i32 %a) #4 {
  call void @llvm.set.rounding(i32 3) #6
  %r = call double @llvm.experimental.constrained.sitofp.f64.i32(i32 %a, metadata !"round.dynamic", metadata !"fpexcept.strict") #6
  call void @llvm.set.rounding(i32 1) #6
  ret double %r
}
define float @rbc.nvvm.ui2f.rm(i32 %a) #4 {
  call void @llvm.set.rounding(i32 3) #6
  %r = call float @llvm.experimental.constrained.uitofp.f32.i32(i32 %a, metadata !"round.dynamic", metadata !"fpexcept.strict") #6
  call void @llvm.set.rounding(i32 1) #6
  ret float %r
}
define double @rbc.nvvm.ui2d.rm(i32 %a) #4 {
  call void @llvm.set.rounding(i32 3) #6
  %r = call double @llvm.experimental.constrained.uitofp.f64.i32(i32 %a, metadata !"round.dynamic", metadata !"fpexcept.strict") #6
  call void @llvm.set.rounding(i32 1) #6
  ret double %r
}
define float @rbc.nvvm.ll2f.rm(i64 %a) #4 {
  call void @llvm.set.rounding(i32 3) #6
  %r = call float @llvm.experimental.constrained.sitofp.f32.i64(i64 %a, metadata !"round.dynamic", metadata !"fpexcept.strict") #6
  call void @llvm.set.rounding(i32 1) #6
  ret float %r
}
define double @rbc.nvvm.ll2d.rm(i64 %a) #4 {
  call void @llvm.set.rounding(i32 3) #6
  %r = call double @llvm.experimental.constrained.sitofp.f64.i64(i64 %a, metadata !"round.dynamic", metadata !"fpexcept.strict") #6
  call void @llvm.set.rounding(i32 1) #6
  ret double %r
}
define float @rbc.nvvm.ull2f.rm(i64 %a) #4 {
  call void @llvm.set.rounding(i32 3) #6
  %r = call float @llvm.experimental.constrained.uitofp.f32.i64(i64 %a, metadata !"round.dynamic", metadata !"fpexcept.strict") #6
  call void @llvm.set.rounding(i32 1) #6
  ret float %r
}
define double @rbc.nvvm.ull2d.rm(i64 %a) #4 {
  call void @llvm.set.rounding(i32 3) #6
  %r = call double @llvm.experimental.constrained.uitofp.f64.i64(i64 %a, metadata !"round.dynamic", metadata !"fpexcept.strict") #6
  call void @llvm.set.rounding(i32 1) #6
  ret double %r
}
define i32 @rbc.nvvm.f2i.rm(float %a) #0 {
  %w = call float @llvm.floor.f32(float %a)
  %s = call i32 @llvm.fptosi.sat.i32.f32(float %w)
  %n = fcmp uno float %a, 0.0
  %r = select i1 %n, i32 0, i32 %s
  ret i32 %r
}
define i32 @rbc.nvvm.f2i.rm.ftz(float %a0) #0 {
  %x0 = call float @rbc.ftz(float %a0)
  %r = call i32 @rbc.nvvm.f2i.rm(float %x0)
  ret i32 %r
}
define i32 @rbc.nvvm.d2i.rm(double %a) #0 {
  %w = call double @llvm.floor.f64(double %a)
  %s = call i32 @llvm.fptosi.sat.i32.f64(double %w)
  %n = fcmp uno double %a, 0.0
  %r = select i1 %n, i32 -2147483648, i32 %s
  ret i32 %r
}
define i32 @rbc.nvvm.f2ui.rm(float %a) #0 {
  %w = call float @llvm.floor.f32(float %a)
  %s = call i32 @llvm.fptoui.sat.i32.f32(float %w)
  %n = fcmp uno float %a, 0.0
  %r = select i1 %n, i32 0, i32 %s
  ret i32 %r
}
define i32 @rbc.nvvm.f2ui.rm.ftz(float %a0) #0 {
  %x0 = call float @rbc.ftz(float %a0)
  %r = call i32 @rbc.nvvm.f2ui.rm(float %x0)
  ret i32 %r
}
define i32 @rbc.nvvm.d2ui.rm(double %a) #0 {
  %w = call double @llvm.floor.f64(double %a)
  %s = call i32 @llvm.fptoui.sat.i32.f64(double %w)
  %n = fcmp uno double %a, 0.0
  %r = select i1 %n, i32 -2147483648, i32 %s
  ret i32 %r
}
define i64 @rbc.nvvm.f2ll.rm(float %a) #0 {
  %w = call float @llvm.floor.f32(float %a)
  %s = call i64 @llvm.fptosi.sat.i64.f32(float %w)
  %n = fcmp uno float %a, 0.0
  %r = select i1 %n, i64 -9223372036854775808, i64 %s
  ret i64 %r
}
define i64 @rbc.nvvm.f2ll.rm.ftz(float %a0) #0 {
  %x0 = call float @rbc.ftz(float %a0)
  %r = call i64 @rbc.nvvm.f2ll.rm(float %x0)
  ret i64 %r
}
define i64 @rbc.nvvm.d2ll.rm(double %a) #0 {
  %w = call double @llvm.floor.f64(double %a)
  %s = call i64 @llvm.fptosi.sat.i64.f64(double %w)
  %n = fcmp uno double %a, 0.0
  %r = select i1 %n, i64 -9223372036854775808, i64 %s
  ret i64 %r
}
define i64 @rbc.nvvm.f2ull.rm(float %a) #0 {
  %w = call float @llvm.floor.f32(float %a)
  %s = call i64 @llvm.fptoui.sat.i64.f32(float %w)
  %n = fcmp uno float %a, 0.0
  %r = select i1 %n, i64 -9223372036854775808, i64 %s
  ret i64 %r
}
define i64 @rbc.nvvm.f2ull.rm.ftz(float %a0) #0 {
  %x0 = call float @rbc.ftz(float %a0)
  %r = call i64 @rbc.nvvm.f2ull.rm(float %x0)
  ret i64 %r
}
define i64 @rbc.nvvm.d2ull.rm(double %a) #0 {
  %w = call double @llvm.floor.f64(double %a)
  %s = call i64 @llvm.fptoui.sat.i64.f64(double %w)
  %n = fcmp uno double %a, 0.0
  %r = select i1 %n, i64 -9223372036854775808, i64 %s
  ret i64 %r
}
define float @rbc.nvvm.d2f.rp(double %a) #4 {
  call void @llvm.set.rounding(i32 2) #6
  %r = call float @llvm.experimental.constrained.fptrunc.f32.f64(double %a, metadata !"round.dynamic", metadata !"fpexcept.strict") #6
  call void @llvm.set.rounding(i32 1) #6
  ret float %r
}
define float @rbc.nvvm.d2f.rp.ftz(double %a) #0 {
  %r = call float @rbc.nvvm.d2f.rp(double %a)
  %z = call float @rbc.ftz(float %r)
  ret float %z
}
define float @rbc.nvvm.i2f.rp(i32 %a) #4 {
  call void @llvm.set.rounding(i32 2) #6
  %r = call float @llvm.experimental.constrained.sitofp.f32.i32(i32 %a, metadata !"round.dynamic", metadata !"fpexcept.strict") #6
  call void @llvm.set.rounding(i32 1) #6
  ret float %r
}
define double @rbc.nvvm.i2d.rp(i32 %a) #4 {
  call void @llvm.set.rounding(i32 2) #6
  %r = call double @llvm.experimental.constrained.sitofp.f64.i32(i32 %a, metadata !"round.dynamic", metadata !"fpexcept.strict") #6
  call void @llvm.set.rounding(i32 1) #6
  ret double %r
}
define float @rbc.nvvm.ui2f.rp(i32 %a) #4 {
  call void @llvm.set.rounding(i32 2) #6
  %r = call float @llvm.experimental.constrained.uitofp.f32.i32(i32 %a, metadata !"round.dynamic", metadata !"fpexcept.strict") #6
  call void @llvm.set.rounding(i32 1) #6
  ret float %r
}
define double @rbc.nvvm.ui2d.rp(i32 %a) #4 {
  call void @llvm.set.rounding(i32 2) #6
  %r = call double @llvm.experimental.constrained.uitofp.f64.i32(i32 %a, metadata !"round.dynamic", metadata !"fpexcept.strict") #6
  call void @llvm.set.rounding(i32 1) #6
  ret double %r
}
define float @rbc.nvvm.ll2f.rp(i64 %a) #4 {
  call void @llvm.set.rounding(i32 2) #6
  %r = call float @llvm.experimental.constrained.sitofp.f32.i64(i64 %a, metadata !"round.dynamic", metadata !"fpexcept.strict") #6
  call void @llvm.set.rounding(i32 1) #6
  ret float %r
}
define double @rbc.nvvm.ll2d.rp(i64 %a) #4 {
  call void @llvm.set.rounding(i32 2) #6
  %r = call double @llvm.experimental.constrained.sitofp.f64.i64(i64 %a, metadata !"round.dynamic", metadata !"fpexcept.strict") #6
  call void @llvm.set.rounding(i32 1) #6
  ret double %r
}
define float @rbc.nvvm.ull2f.rp(i64 %a) #4 {
  call void @llvm.set.rounding(i32 2) #6
  %r = call float @llvm.experimental.constrained.uitofp.f32.i64(i64 %a, metadata !"round.dynamic", metadata !"fpexcept.strict") #6
  call void @llvm.set.rounding(i32 1) #6
  ret float %r
}
define double @rbc.nvvm.ull2d.rp(i64 %a) #4 {
  call void @llvm.set.rounding(i32 2) #6
  %r = call double @llvm.experimental.constrained.uitofp.f64.i64(i64 %a, metadata !"round.dynamic", metadata !"fpexcept.strict") #6
  call void @llvm.set.rounding(i32 1) #6
  ret double %r
}
define i32 @rbc.nvvm.f2i.rp(float %a) #0 {
  %w = call float @llvm.ceil.f32(float %a)
  %s = call i32 @llvm.fptosi.sat.i32.f32(float %w)
  %n = fcmp uno float %a, 0.0
  %r = select i1 %n, i32 0, i32 %s
  ret i32 %r
}
define i32 @rbc.nvvm.f2i.rp.ftz(float %a0) #0 {
  %x0 = call float @rbc.ftz(float %a0)
  %r = call i32 @rbc.nvvm.f2i.rp(float %x0)
  ret i32 %r
}
define i32 @rbc.nvvm.d2i.rp(double %a) #0 {
  %w = call double @llvm.ceil.f64(double %a)
  %s = call i32 @llvm.fptosi.sat.i32.f64(double %w)
  %n = fcmp uno double %a, 0.0
  %r = select i1 %n, i32 -2147483648, i32 %s
  ret i32 %r
}
define i32 @rbc.nvvm.f2ui.rp(float %a) #0 {
  %w = call float @llvm.ceil.f32(float %a)
  %s = call i32 @llvm.fptoui.sat.i32.f32(float %w)
  %n = fcmp uno float %a, 0.0
  %r = select i1 %n, i32 0, i32 %s
  ret i32 %r
}
define i32 @rbc.nvvm.f2ui.rp.ftz(float %a0) #0 {
  %x0 = call float @rbc.ftz(float %a0)
  %r = call i32 @rbc.nvvm.f2ui.rp(float %x0)
  ret i32 %r
}
define i32 @rbc.nvvm.d2ui.rp(double %a) #0 {
  %w = call double @llvm.ceil.f64(double %a)
  %s = call i32 @llvm.fptoui.sat.i32.f64(double %w)
  %n = fcmp uno double %a, 0.0
  %r = select i1 %n, i32 -2147483648, i32 %s
  ret i32 %r
}
define i64 @rbc.nvvm.f2ll.rp(float %a) #0 {
  %w = call float @llvm.ceil.f32(float %a)
  %s = call i64 @llvm.fptosi.sat.i64.f32(float %w)
  %n = fcmp uno float %a, 0.0
  %r = select i1 %n, i64 -9223372036854775808, i64 %s
  ret i64 %r
}
define i64 @rbc.nvvm.f2ll.rp.ftz(float %a0) #0 {
  %x0 = call float @rbc.ftz(float %a0)
  %r = call i64 @rbc.nvvm.f2ll.rp(float %x0)
  ret i64 %r
}
define i64 @rbc.nvvm.d2ll.rp(double %a) #0 {
  %w = call double @llvm.ceil.f64(double %a)
  %s = call i64 @llvm.fptosi.sat.i64.f64(double %w)
  %n = fcmp uno double %a, 0.0
  %r = select i1 %n, i64 -9223372036854775808, i64 %s
  ret i64 %r
}
define i64 @rbc.nvvm.f2ull.rp(float %a) #0 {
  %w = call float @llvm.ceil.f32(float %a)
  %s = call i64 @llvm.fptoui.sat.i64.f32(float %w)
  %n = fcmp uno float %a, 0.0
  %r = select i1 %n, i64 -9223372036854775808, i64 %s
  ret i64 %r
}
define i64 @rbc.nvvm.f2ull.rp.ftz(float %a0) #0 {
  %x0 = call float @rbc.ftz(float %a0)
  %r = call i64 @rbc.nvvm.f2ull.rp(float %x0)
  ret i64 %r
}
define i64 @rbc.nvvm.d2ull.rp(double %a) #0 {
  %w = call double @llvm.ceil.f64(double %a)
  %s = call i64 @llvm.fptoui.sat.i64.f64(double %w)
  %n = fcmp uno double %a, 0.0
  %r = select i1 %n, i64 -9223372036854775808, i64 %s
  ret i64 %r
}
define i32 @rbc.nvvm.d2i.lo(double %a) #0 {
  %b = bitcast double %a to i64
  %r = trunc i64 %b to i32
  ret i32 %r
}
define i32 @rbc.nvvm.d2i.hi(double %a) #0 {
  %b = bitcast double %a to i64
  %h = lshr i64 %b, 32
  %r = trunc i64 %h to i32
  ret i32 %r
}
define double @rbc.nvvm.lohi.i2d(i32 %l, i32 %h) #0 {
  %a = zext i32 %l to i64
  %b = zext i32 %h to i64
  %c = shl i64 %b, 32
  %d = or i64 %a, %c
  %r = bitcast i64 %d to double
  ret double %r
}
define i16 @rbc.nvvm.f2h.rn(float %a) #0 {
  %h = fptrunc float %a to half
  %r = bitcast half %h to i16
  ret i16 %r
}
define i16 @rbc.nvvm.f2h.rn.ftz(float %a0) #0 {
  %x0 = call float @rbc.ftz(float %a0)
  %r = call i16 @rbc.nvvm.f2h.rn(float %x0)
  ret i16 %r
}
; ---- Inline assembly of libdevice
define float @rbc.asm.rcp.approx.ftz.f32(float %a) #0 {
  %r = call float @rbc.nvvm.rcp.approx.ftz.f(float %a)
  ret float %r
}
define double @rbc.asm.rsqrt.approx.ftz.f64(double %a) #0 {
  %r = call double @rbc.nvvm.rsqrt.approx.ftz.d(double %a)
  ret double %r
}
declare i32 @llvm.ctlz.i32(i32, i1)
define i32 @rbc.asm.bfind.shiftamt.u32(i32 %a) #0 {
  %z = icmp eq i32 %a, 0
  %c = call i32 @llvm.ctlz.i32(i32 %a, i1 false)
  %r = select i1 %z, i32 -1, i32 %c
  ret i32 %r
}
define double @rbc.asm.select.equ.f64(double %a, double %b, double %c, double %d) #0 {
  %e = fcmp ueq double %a, %b
  %r = select i1 %e, double %c, double %d
  ret double %r
}
define { i64, i64 } @rbc.asm.add.u128(i64 %a, i64 %b, i64 %c, i64 %d) #0 {
  %l0 = zext i64 %a to i128
  %g0 = zext i64 %b to i128
  %k0 = shl i128 %g0, 64
  %v0 = or i128 %l0, %k0
  %l1 = zext i64 %c to i128
  %g1 = zext i64 %d to i128
  %k1 = shl i128 %g1, 64
  %v1 = or i128 %l1, %k1
  %r = add i128 %v0, %v1
  %w0 = trunc i128 %r to i64
  %h = lshr i128 %r, 64
  %w1 = trunc i128 %h to i64
  %s0 = insertvalue { i64, i64 } poison, i64 %w0, 0
  %s1 = insertvalue { i64, i64 } %s0, i64 %w1, 1
  ret { i64, i64 } %s1
}
define { i64, i64 } @rbc.asm.sub.u128(i64 %a, i64 %b, i64 %c, i64 %d) #0 {
  %l0 = zext i64 %a to i128
  %g0 = zext i64 %b to i128
  %k0 = shl i128 %g0, 64
  %v0 = or i128 %l0, %k0
  %l1 = zext i64 %c to i128
  %g1 = zext i64 %d to i128
  %k1 = shl i128 %g1, 64
  %v1 = or i128 %l1, %k1
  %r = sub i128 %v0, %v1
  %w0 = trunc i128 %r to i64
  %h = lshr i128 %r, 64
  %w1 = trunc i128 %h to i64
  %s0 = insertvalue { i64, i64 } poison, i64 %w0, 0
  %s1 = insertvalue { i64, i64 } %s0, i64 %w1, 1
  ret { i64, i64 } %s1
}
define { i64, i64 } @rbc.asm.mul.wide.u64(i64 %a, i64 %b) #0 {
  %x = zext i64 %a to i128
  %y = zext i64 %b to i128
  %r = mul i128 %x, %y
  %w0 = trunc i128 %r to i64
  %h = lshr i128 %r, 64
  %w1 = trunc i128 %h to i64
  %s0 = insertvalue { i64, i64 } poison, i64 %w0, 0
  %s1 = insertvalue { i64, i64 } %s0, i64 %w1, 1
  ret { i64, i64 } %s1
}
define { i64, i64 } @rbc.asm.mad.wide.u64(i64 %a, i64 %b, i64 %c) #0 {
  %x = zext i64 %a to i128
  %y = zext i64 %b to i128
  %m = mul i128 %x, %y
  %z = zext i64 %c to i128
  %r = add i128 %m, %z
  %w0 = trunc i128 %r to i64
  %h = lshr i128 %r, 64
  %w1 = trunc i128 %h to i64
  %s0 = insertvalue { i64, i64 } poison, i64 %w0, 0
  %s1 = insertvalue { i64, i64 } %s0, i64 %w1, 1
  ret { i64, i64 } %s1
}
define { i32, i32 } @rbc.asm.mad.wide.u32(i32 %a, i32 %b, i32 %c) #0 {
  %x = zext i32 %a to i64
  %y = zext i32 %b to i64
  %m = mul i64 %x, %y
  %z = zext i32 %c to i64
  %r = add i64 %m, %z
  %w0 = trunc i64 %r to i32
  %h = lshr i64 %r, 32
  %w1 = trunc i64 %h to i32
  %s0 = insertvalue { i32, i32 } poison, i32 %w0, 0
  %s1 = insertvalue { i32, i32 } %s0, i32 %w1, 1
  ret { i32, i32 } %s1
}
; ---- LLVM's own
declare double @llvm.ceil.f64(double)
declare double @llvm.experimental.constrained.fadd.f64(double, double, metadata, metadata)
declare double @llvm.experimental.constrained.fdiv.f64(double, double, metadata, metadata)
declare double @llvm.experimental.constrained.fma.f64(double, double, double, metadata, metadata)
declare double @llvm.experimental.constrained.fmul.f64(double, double, metadata, metadata)
declare double @llvm.experimental.constrained.sitofp.f64.i32(i32, metadata, metadata)
declare double @llvm.experimental.constrained.sitofp.f64.i64(i64, metadata, metadata)
declare double @llvm.experimental.constrained.sqrt.f64(double, metadata, metadata)
declare double @llvm.experimental.constrained.uitofp.f64.i32(i32, metadata, metadata)
declare double @llvm.experimental.constrained.uitofp.f64.i64(i64, metadata, metadata)
declare double @llvm.floor.f64(double)
declare double @llvm.fma.f64(double, double, double)
declare double @llvm.maximumnum.f64(double, double)
declare double @llvm.minimumnum.f64(double, double)
declare double @llvm.roundeven.f64(double)
declare double @llvm.sqrt.f64(double)
declare double @llvm.trunc.f64(double)
declare float @llvm.ceil.f32(float)
declare float @llvm.cos.f32(float)
declare float @llvm.exp2.f32(float)
declare float @llvm.experimental.constrained.fadd.f32(float, float, metadata, metadata)
declare float @llvm.experimental.constrained.fdiv.f32(float, float, metadata, metadata)
declare float @llvm.experimental.constrained.fma.f32(float, float, float, metadata, metadata)
declare float @llvm.experimental.constrained.fmul.f32(float, float, metadata, metadata)
declare float @llvm.experimental.constrained.fptrunc.f32.f64(double, metadata, metadata)
declare float @llvm.experimental.constrained.sitofp.f32.i32(i32, metadata, metadata)
declare float @llvm.experimental.constrained.sitofp.f32.i64(i64, metadata, metadata)
declare float @llvm.experimental.constrained.sqrt.f32(float, metadata, metadata)
declare float @llvm.experimental.constrained.uitofp.f32.i32(i32, metadata, metadata)
declare float @llvm.experimental.constrained.uitofp.f32.i64(i64, metadata, metadata)
declare float @llvm.floor.f32(float)
declare float @llvm.fma.f32(float, float, float)
declare float @llvm.log2.f32(float)
declare float @llvm.maximum.f32(float, float)
declare float @llvm.maximumnum.f32(float, float)
declare float @llvm.minimum.f32(float, float)
declare float @llvm.minimumnum.f32(float, float)
declare float @llvm.roundeven.f32(float)
declare float @llvm.sin.f32(float)
declare float @llvm.sqrt.f32(float)
declare float @llvm.trunc.f32(float)
declare i32 @llvm.fptosi.sat.i32.f32(float)
declare i32 @llvm.fptosi.sat.i32.f64(double)
declare i32 @llvm.fptoui.sat.i32.f32(float)
declare i32 @llvm.fptoui.sat.i32.f64(double)
declare i64 @llvm.fptosi.sat.i64.f32(float)
declare i64 @llvm.fptosi.sat.i64.f64(double)
declare i64 @llvm.fptoui.sat.i64.f32(float)
declare i64 @llvm.fptoui.sat.i64.f64(double)

attributes #0 = { alwaysinline nounwind }
attributes #1 = { nounwind willreturn memory(none) }
attributes #2 = { convergent nounwind }
attributes #3 = { convergent nounwind noreturn }
attributes #4 = { noinline nounwind strictfp }
attributes #6 = { strictfp }
!0 = !{}
