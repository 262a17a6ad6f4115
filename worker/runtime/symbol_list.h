// The one list of runtime symbols: group and name. LIBRARY: the C library's, the compiler's or the C++ library's own
// function under that name. OURS: a function of runtime/ that stands in for it.
// SPDX-License-Identifier: Apache-2.0
#pragma once

// clang-format off

// name, namef and namel of one function.
#define RBC_FLOATS(X, group, name) X(group, name) X(group, name##f) X(group, name##l)

#define RBC_MATH(X) \
  RBC_FLOATS(X, kMath, acos) RBC_FLOATS(X, kMath, acosh) RBC_FLOATS(X, kMath, asin) RBC_FLOATS(X, kMath, asinh) \
  RBC_FLOATS(X, kMath, atan) RBC_FLOATS(X, kMath, atan2) RBC_FLOATS(X, kMath, atanh) RBC_FLOATS(X, kMath, cbrt) \
  RBC_FLOATS(X, kMath, ceil) RBC_FLOATS(X, kMath, copysign) RBC_FLOATS(X, kMath, cos) RBC_FLOATS(X, kMath, cosh) \
  RBC_FLOATS(X, kMath, erf) RBC_FLOATS(X, kMath, erfc) RBC_FLOATS(X, kMath, exp) RBC_FLOATS(X, kMath, exp2) \
  RBC_FLOATS(X, kMath, exp10) RBC_FLOATS(X, kMath, expm1) RBC_FLOATS(X, kMath, fabs) RBC_FLOATS(X, kMath, fdim) \
  RBC_FLOATS(X, kMath, floor) RBC_FLOATS(X, kMath, fma) RBC_FLOATS(X, kMath, fmax) RBC_FLOATS(X, kMath, fmin) \
  RBC_FLOATS(X, kMath, fmod) RBC_FLOATS(X, kMath, frexp) RBC_FLOATS(X, kMath, hypot) RBC_FLOATS(X, kMath, ilogb) \
  RBC_FLOATS(X, kMath, j0) RBC_FLOATS(X, kMath, j1) RBC_FLOATS(X, kMath, jn) RBC_FLOATS(X, kMath, y0) \
  RBC_FLOATS(X, kMath, y1) RBC_FLOATS(X, kMath, yn) RBC_FLOATS(X, kMath, ldexp) RBC_FLOATS(X, kMath, lgamma) \
  RBC_FLOATS(X, kMath, llrint) RBC_FLOATS(X, kMath, llround) RBC_FLOATS(X, kMath, log) RBC_FLOATS(X, kMath, log10) \
  RBC_FLOATS(X, kMath, log1p) RBC_FLOATS(X, kMath, log2) RBC_FLOATS(X, kMath, logb) RBC_FLOATS(X, kMath, lrint) \
  RBC_FLOATS(X, kMath, lround) RBC_FLOATS(X, kMath, modf) RBC_FLOATS(X, kMath, nan) RBC_FLOATS(X, kMath, nearbyint) \
  RBC_FLOATS(X, kMath, nextafter) RBC_FLOATS(X, kMath, nexttoward) RBC_FLOATS(X, kMath, pow) \
  RBC_FLOATS(X, kMath, remainder) RBC_FLOATS(X, kMath, remquo) RBC_FLOATS(X, kMath, rint) RBC_FLOATS(X, kMath, round) \
  RBC_FLOATS(X, kMath, roundeven) RBC_FLOATS(X, kMath, scalbln) RBC_FLOATS(X, kMath, scalbn) \
  RBC_FLOATS(X, kMath, sin) RBC_FLOATS(X, kMath, sincos) RBC_FLOATS(X, kMath, sinh) RBC_FLOATS(X, kMath, sqrt) \
  RBC_FLOATS(X, kMath, tan) RBC_FLOATS(X, kMath, tanh) RBC_FLOATS(X, kMath, tgamma) RBC_FLOATS(X, kMath, trunc) \
  X(kMath, lgamma_r) X(kMath, lgammaf_r) X(kMath, signgam) \
  X(kMath, __fpclassify) X(kMath, __fpclassifyf) X(kMath, __fpclassifyl) \
  X(kMath, __signbit) X(kMath, __signbitf) X(kMath, __signbitl) \
  X(kMath, __isnan) X(kMath, __isnanf) X(kMath, __isnanl) X(kMath, __isinf) X(kMath, __isinff) X(kMath, __isinfl) \
  X(kMath, __finite) X(kMath, __finitef) X(kMath, __finitel) X(kMath, isnan) X(kMath, isinf) X(kMath, finite) \
  X(kMath, fegetround) X(kMath, fesetround) X(kMath, feclearexcept) X(kMath, fetestexcept) X(kMath, feraiseexcept)

#define RBC_COMPLEX(X) \
  RBC_FLOATS(X, kComplex, cabs) RBC_FLOATS(X, kComplex, carg) RBC_FLOATS(X, kComplex, cimag) \
  RBC_FLOATS(X, kComplex, conj) RBC_FLOATS(X, kComplex, cproj) RBC_FLOATS(X, kComplex, creal) \
  RBC_FLOATS(X, kComplex, cacos) RBC_FLOATS(X, kComplex, cacosh) RBC_FLOATS(X, kComplex, casin) \
  RBC_FLOATS(X, kComplex, casinh) RBC_FLOATS(X, kComplex, catan) RBC_FLOATS(X, kComplex, catanh) \
  RBC_FLOATS(X, kComplex, ccos) RBC_FLOATS(X, kComplex, ccosh) RBC_FLOATS(X, kComplex, cexp) \
  RBC_FLOATS(X, kComplex, clog) RBC_FLOATS(X, kComplex, cpow) RBC_FLOATS(X, kComplex, csin) \
  RBC_FLOATS(X, kComplex, csinh) RBC_FLOATS(X, kComplex, csqrt) RBC_FLOATS(X, kComplex, ctan) \
  RBC_FLOATS(X, kComplex, ctanh)

#define RBC_COMPILER(X) \
  X(kCompiler, __divti3) X(kCompiler, __modti3) X(kCompiler, __udivti3) X(kCompiler, __umodti3) \
  X(kCompiler, __divmodti4) X(kCompiler, __udivmodti4) X(kCompiler, __multi3) X(kCompiler, __negti2) \
  X(kCompiler, __ashlti3) X(kCompiler, __ashrti3) X(kCompiler, __lshrti3) X(kCompiler, __cmpti2) \
  X(kCompiler, __ucmpti2) X(kCompiler, __absvsi2) X(kCompiler, __absvdi2) X(kCompiler, __absvti2) \
  X(kCompiler, __addvsi3) X(kCompiler, __addvdi3) X(kCompiler, __addvti3) X(kCompiler, __subvsi3) \
  X(kCompiler, __subvdi3) X(kCompiler, __subvti3) X(kCompiler, __mulvsi3) X(kCompiler, __mulvdi3) \
  X(kCompiler, __mulvti3) X(kCompiler, __negvsi2) X(kCompiler, __negvdi2) X(kCompiler, __negvti2) \
  X(kCompiler, __ffsdi2) X(kCompiler, __ffsti2) X(kCompiler, __clzdi2) X(kCompiler, __clzti2) \
  X(kCompiler, __ctzdi2) X(kCompiler, __ctzti2) X(kCompiler, __popcountdi2) X(kCompiler, __popcountti2) \
  X(kCompiler, __paritydi2) X(kCompiler, __parityti2) X(kCompiler, __bswapsi2) X(kCompiler, __bswapdi2) \
  X(kCompiler, __clrsbdi2) X(kCompiler, __clrsbti2) \
  X(kCompiler, __powisf2) X(kCompiler, __powidf2) X(kCompiler, __powixf2) \
  X(kCompiler, __mulhc3) X(kCompiler, __mulsc3) X(kCompiler, __muldc3) X(kCompiler, __mulxc3) X(kCompiler, __multc3) \
  X(kCompiler, __divhc3) X(kCompiler, __divsc3) X(kCompiler, __divdc3) X(kCompiler, __divxc3) X(kCompiler, __divtc3) \
  X(kCompiler, __fixsfti) X(kCompiler, __fixdfti) X(kCompiler, __fixxfti) \
  X(kCompiler, __fixunssfdi) X(kCompiler, __fixunsdfdi) X(kCompiler, __fixunsxfdi) \
  X(kCompiler, __fixunssfti) X(kCompiler, __fixunsdfti) X(kCompiler, __fixunsxfti) \
  X(kCompiler, __floattisf) X(kCompiler, __floattidf) X(kCompiler, __floattixf) \
  X(kCompiler, __floatuntisf) X(kCompiler, __floatuntidf) X(kCompiler, __floatuntixf) \
  X(kCompiler, __extendhfsf2) X(kCompiler, __extendhfdf2) X(kCompiler, __extendhfxf2) X(kCompiler, __extendhftf2) \
  X(kCompiler, __truncsfhf2) X(kCompiler, __truncdfhf2) X(kCompiler, __truncxfhf2) X(kCompiler, __trunctfhf2) \
  X(kCompiler, __fixhfti) X(kCompiler, __fixunshfti) X(kCompiler, __floattihf) X(kCompiler, __floatuntihf) \
  X(kCompiler, __addtf3) X(kCompiler, __subtf3) X(kCompiler, __multf3) X(kCompiler, __divtf3) X(kCompiler, __negtf2) \
  X(kCompiler, __eqtf2) X(kCompiler, __netf2) X(kCompiler, __lttf2) X(kCompiler, __letf2) X(kCompiler, __gttf2) \
  X(kCompiler, __getf2) X(kCompiler, __unordtf2) X(kCompiler, __powitf2) \
  X(kCompiler, __extendsftf2) X(kCompiler, __extenddftf2) X(kCompiler, __extendxftf2) \
  X(kCompiler, __trunctfsf2) X(kCompiler, __trunctfdf2) X(kCompiler, __trunctfxf2) \
  X(kCompiler, __fixtfsi) X(kCompiler, __fixtfdi) X(kCompiler, __fixtfti) \
  X(kCompiler, __fixunstfsi) X(kCompiler, __fixunstfdi) X(kCompiler, __fixunstfti) \
  X(kCompiler, __floatsitf) X(kCompiler, __floatditf) X(kCompiler, __floattitf) \
  X(kCompiler, __floatunsitf) X(kCompiler, __floatunditf) X(kCompiler, __floatuntitf) \
  X(kCompiler, __cpu_model) X(kCompiler, __cpu_indicator_init) \
  X(kCompiler, __memcpy_chk) X(kCompiler, __memmove_chk) X(kCompiler, __memset_chk) X(kCompiler, __mempcpy_chk) \
  X(kCompiler, __strcpy_chk) X(kCompiler, __strncpy_chk) X(kCompiler, __stpcpy_chk) X(kCompiler, __strcat_chk) \
  X(kCompiler, __strncat_chk) X(kCompiler, __snprintf_chk) X(kCompiler, __vsnprintf_chk) X(kCompiler, __sprintf_chk) \
  X(kCompiler, __vsprintf_chk)

#define RBC_TEXT(X) \
  X(kMemory, memcpy) X(kMemory, memmove) X(kMemory, memset) X(kMemory, memcmp) X(kMemory, bcmp) X(kMemory, memchr) \
  X(kMemory, memrchr) X(kMemory, rawmemchr) X(kMemory, memmem) X(kMemory, memccpy) X(kMemory, mempcpy) \
  X(kMemory, bcopy) X(kMemory, bzero) X(kMemory, ffs) X(kMemory, ffsl) X(kMemory, ffsll) \
  X(kString, strlen) X(kString, strnlen) X(kString, strcpy) X(kString, strncpy) X(kString, stpcpy) \
  X(kString, stpncpy) X(kString, strcat) X(kString, strncat) X(kString, strcmp) X(kString, strncmp) \
  X(kString, strcasecmp) X(kString, strncasecmp) X(kString, strcoll) X(kString, strxfrm) X(kString, strchr) \
  X(kString, strchrnul) X(kString, strrchr) X(kString, index) X(kString, rindex) X(kString, strstr) \
  X(kString, strcasestr) X(kString, strspn) X(kString, strcspn) X(kString, strpbrk) X(kString, strtok) \
  X(kString, strtok_r) X(kString, strsep) X(kString, strdup) X(kString, strndup) X(kString, strerror) \
  X(kString, wcslen) X(kString, wmemcpy) X(kString, wmemset) X(kString, wmemcmp) X(kString, wcscmp) \
  X(kCharacter, isalnum) X(kCharacter, isalpha) X(kCharacter, isblank) X(kCharacter, iscntrl) X(kCharacter, isdigit) \
  X(kCharacter, isgraph) X(kCharacter, islower) X(kCharacter, isprint) X(kCharacter, ispunct) X(kCharacter, isspace) \
  X(kCharacter, isupper) X(kCharacter, isxdigit) X(kCharacter, tolower) X(kCharacter, toupper) \
  X(kCharacter, __ctype_b_loc) X(kCharacter, __ctype_tolower_loc) X(kCharacter, __ctype_toupper_loc) \
  X(kCharacter, __errno_location) X(kCharacter, localeconv)

#define RBC_SERVICES(X) \
  X(kHeap, malloc) X(kHeap, calloc) X(kHeap, realloc) X(kHeap, reallocarray) X(kHeap, free) X(kHeap, aligned_alloc) \
  X(kHeap, posix_memalign) X(kHeap, memalign) X(kHeap, malloc_usable_size) \
  X(kSort, qsort) X(kSort, qsort_r) X(kSort, bsearch) X(kSort, abs) X(kSort, labs) X(kSort, llabs) X(kSort, div) \
  X(kSort, ldiv) X(kSort, lldiv) \
  X(kNumber, atoi) X(kNumber, atol) X(kNumber, atoll) X(kNumber, atof) X(kNumber, strtol) X(kNumber, strtoll) \
  X(kNumber, strtoul) X(kNumber, strtoull) X(kNumber, strtod) X(kNumber, strtof) X(kNumber, strtold) \
  X(kNumber, snprintf) X(kNumber, vsnprintf) X(kNumber, sprintf) X(kNumber, vsprintf) X(kNumber, asprintf) \
  X(kNumber, vasprintf) X(kNumber, sscanf) X(kNumber, vsscanf) X(kNumber, __isoc99_sscanf) \
  X(kNumber, __isoc99_vsscanf) \
  X(kRandom, rand) X(kRandom, srand) X(kRandom, rand_r) X(kRandom, random) X(kRandom, srandom) X(kRandom, drand48) \
  X(kRandom, erand48) X(kRandom, lrand48) X(kRandom, nrand48) X(kRandom, mrand48) X(kRandom, jrand48) \
  X(kRandom, srand48) \
  X(kTime, time) X(kTime, clock) X(kTime, clock_gettime) X(kTime, gettimeofday) X(kTime, difftime) \
  X(kCxx, _Znwm) X(kCxx, _Znam) X(kCxx, _ZnwmRKSt9nothrow_t) X(kCxx, _ZnamRKSt9nothrow_t) \
  X(kCxx, _ZnwmSt11align_val_t) X(kCxx, _ZnamSt11align_val_t) X(kCxx, _ZdlPv) X(kCxx, _ZdaPv) X(kCxx, _ZdlPvm) \
  X(kCxx, _ZdaPvm) X(kCxx, _ZdlPvSt11align_val_t) X(kCxx, _ZdaPvSt11align_val_t) X(kCxx, _ZdlPvmSt11align_val_t) \
  X(kCxx, _ZdaPvmSt11align_val_t) X(kCxx, _ZSt7nothrow) \
  X(kCxx, __cxa_guard_acquire) X(kCxx, __cxa_guard_release) X(kCxx, __cxa_guard_abort) \
  X(kCxx, _ZTVN10__cxxabiv117__class_type_infoE) X(kCxx, _ZTVN10__cxxabiv120__si_class_type_infoE) \
  X(kCxx, _ZTVN10__cxxabiv121__vmi_class_type_infoE) X(kCxx, __dynamic_cast) X(kCxx, __gxx_personality_v0)

// Symbols as they are in the libraries that this program links.
#define RBC_LIBRARY_SYMBOLS(X) RBC_MATH(X) RBC_COMPLEX(X) RBC_COMPILER(X) RBC_TEXT(X) RBC_SERVICES(X)

// group, name, what stands in for it (runtime/*.h)
#define RBC_OUR_SYMBOLS(X) \
  X(kOutput, printf, CapturePrintf) X(kOutput, vprintf, CaptureVprintf) X(kOutput, puts, CapturePuts) \
  X(kOutput, putchar, CapturePutchar) X(kOutput, putchar_unlocked, CapturePutchar) \
  X(kOutput, fprintf, CaptureFprintf) X(kOutput, vfprintf, CaptureVfprintf) X(kOutput, fputs, CaptureFputs) \
  X(kOutput, fputs_unlocked, CaptureFputs) X(kOutput, fputc, CaptureFputc) X(kOutput, fputc_unlocked, CaptureFputc) \
  X(kOutput, putc, CaptureFputc) X(kOutput, putc_unlocked, CaptureFputc) X(kOutput, _IO_putc, CaptureFputc) \
  X(kOutput, fwrite, CaptureFwrite) X(kOutput, fwrite_unlocked, CaptureFwrite) X(kOutput, fflush, CaptureFflush) \
  X(kOutput, ferror, CaptureFerror) X(kOutput, perror, CapturePerror) \
  X(kOutput, __printf_chk, CapturePrintfChk) X(kOutput, __vprintf_chk, CaptureVprintfChk) \
  X(kOutput, __fprintf_chk, CaptureFprintfChk) X(kOutput, __vfprintf_chk, CaptureVfprintfChk) \
  X(kOutput, stdout, client_stdout) X(kOutput, stderr, client_stderr) \
  X(kEnd, abort, EndByAbort) X(kEnd, exit, EndByExit) X(kEnd, _exit, EndByExit) X(kEnd, _Exit, EndByExit) \
  X(kEnd, quick_exit, EndByExit) X(kEnd, __assert_fail, EndByAssert) X(kEnd, __assert, EndByShortAssert) \
  X(kEnd, __stack_chk_fail, EndByStackSmash) X(kEnd, __chk_fail, EndByBufferOverflow) \
  X(kEnd, atexit, RunAtUnload) X(kEnd, __cxa_atexit, RunAtUnloadWith) X(kEnd, __dso_handle, client_dso_handle) \
  X(kCxx, __cxa_pure_virtual, EndByPureVirtual) X(kCxx, __cxa_deleted_virtual, EndByPureVirtual) \
  X(kCxx, _ZSt9terminatev, EndByTerminate) X(kCxx, __cxa_throw, EndByThrow) X(kCxx, __cxa_rethrow, EndByRethrow) \
  X(kCxx, _Unwind_Resume, EndByRethrow) X(kCxx, __cxa_begin_catch, EndByCatch) X(kCxx, __cxa_end_catch, EndByRethrow) \
  X(kCxx, __cxa_allocate_exception, AllocateException) X(kCxx, __cxa_free_exception, FreeException) \
  X(kCxx, __cxa_throw_bad_array_new_length, EndByBadLength) \
  X(kCxx, _ZSt17__throw_bad_allocv, EndByBadAlloc) X(kCxx, _ZSt28__throw_bad_array_new_lengthv, EndByBadLength) \
  X(kCxx, _ZSt20__throw_length_errorPKc, EndByLibraryError) X(kCxx, _ZSt19__throw_logic_errorPKc, EndByLibraryError) \
  X(kCxx, _ZSt20__throw_out_of_rangePKc, EndByLibraryError) \
  X(kCxx, _ZSt24__throw_out_of_range_fmtPKcz, EndByLibraryError) \
  X(kCxx, _ZSt24__throw_invalid_argumentPKc, EndByLibraryError) \
  X(kCxx, _ZSt25__throw_bad_function_callv, EndByBadFunction) \
  X(kHeap, rbc_free_after_call, FreeAfterCall) \
  X(kNumber, __isoc23_strtol, strtol) X(kNumber, __isoc23_strtoll, strtoll) X(kNumber, __isoc23_strtoul, strtoul) \
  X(kNumber, __isoc23_strtoull, strtoull) X(kNumber, __isoc23_sscanf, sscanf) \
  X(kCompiler, __truncsfbf2, TruncateFloatToBfloat) X(kCompiler, __truncdfbf2, TruncateDoubleToBfloat)

// Well-known names that are refused, and why.
#define RBC_REFUSED_SYMBOLS(X) \
  X("files are not available to functions", \
    "fopen fopen64 freopen fdopen fclose fread fseek fseeko ftell ftello rewind fgetpos fsetpos fgets fgetc getc ungetc " \
    "feof clearerr fileno setvbuf setbuf tmpfile tmpnam mkstemp remove rename open open64 openat creat close read write " \
    "pread pwrite readv writev lseek stat fstat lstat access unlink mkdir rmdir opendir readdir closedir getcwd chdir " \
    "fscanf fgetpos mmap munmap mprotect ftruncate fcntl ioctl select poll pipe dup dup2 isatty truncate symlink readlink") \
  X("standard input is not available to functions", "stdin getchar getchar_unlocked gets scanf vscanf __isoc99_scanf " \
    "__isoc99_fscanf getline getdelim fgets_unlocked") \
  X("the environment is not available to functions", \
    "getenv secure_getenv setenv unsetenv putenv clearenv environ __environ sysconf gethostname uname getpid getppid " \
    "getuid geteuid getgid getegid getlogin getpwnam getpwuid") \
  X("processes are not available to functions", \
    "fork vfork execve execv execvp execl execlp system popen pclose posix_spawn posix_spawnp wait waitpid kill raise " \
    "ptrace getrlimit setrlimit") \
  X("signals are not available to functions", \
    "signal sigaction sigprocmask sigaltstack alarm setitimer pause sigsuspend pthread_sigmask") \
  X("threads are not available to functions: calls of one session already run side by side", \
    "pthread_create pthread_join pthread_detach pthread_exit pthread_cancel thrd_create clone _ZNSt6thread15_M_start_threadE" \
    "St10unique_ptrINS_6_StateESt14default_deleteIS1_EEPFvvE sleep usleep nanosleep") \
  X("sockets are not available to functions", \
    "socket connect bind listen accept accept4 send recv sendto recvfrom sendmsg recvmsg getaddrinfo gethostbyname " \
    "socketpair shutdown setsockopt getsockopt") \
  X("other libraries cannot be loaded by functions", "dlopen dlsym dlclose dlerror dladdr dl_iterate_phdr") \
  X("jumps between stack frames are not available to functions", \
    "setjmp _setjmp __sigsetjmp sigsetjmp longjmp _longjmp siglongjmp __longjmp_chk getcontext setcontext makecontext " \
    "swapcontext") \
  X("the machine's time zone and locale are not available to functions", \
    "localtime localtime_r gmtime gmtime_r mktime strftime tzset setlocale newlocale uselocale") \
  X("raw system calls are not available to functions", "syscall") \
  X("thread-local variables are not supported yet", "__tls_get_addr __emutls_get_address") \
  X("C++ streams are not available to functions: use printf", \
    "_ZSt4cout _ZSt4cerr _ZSt3cin _ZSt4clog _ZNSt8ios_base4InitC1Ev _ZNSt8ios_base4InitD1Ev")

// clang-format on
