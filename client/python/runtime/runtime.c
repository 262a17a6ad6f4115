// What numba's code calls of its own C helpers, for the farm: reference-counted memory, arithmetic that is not in libm,
// and how Python prints floats. Built to LLVM IR with the package and linked, where used, to a lowered function
// (rbc/_runtime.py). No pointer to anything of the client's process.
// SPDX-License-Identifier: Apache-2.0

typedef __SIZE_TYPE__ size_t;
typedef __INT64_TYPE__ int64_t;

void* malloc(size_t size);
void* realloc(void* memory, size_t size);
void free(void* memory);
void* memcpy(void* to, const void* from, size_t size);
int snprintf(char* out, size_t size, const char* format, ...);
double strtod(const char* text, char** end);
double tgamma(double);
float tgammaf(float);
double ldexp(double, int);
float ldexpf(float, int);
double frexp(double, int*);
float frexpf(float, int*);
double nextafter(double, double);
float nextafterf(float, float);
double log(double);
double exp(double);
double cos(double);
double sin(double);
double atan2(double, double);
double hypot(double, double);
double pow(double, double);
double exp2(double);
double log2(double);
double log1p(double);
double fabs(double);
float exp2f(float);
float log2f(float);
float log1pf(float);
float expf(float);
float fabsf(float);

// ---- memory: the layout that numba's generated code reads --------------------------------------------------------

typedef void (*Destructor)(void* data, size_t size, void* info);
typedef struct MemInfo {
  size_t references;
  Destructor destructor;
  void* info;
  void* data;
  size_t size;
  void* allocator;
} MemInfo;

enum { kAlignment = 64 };

static MemInfo* NewMemInfo(void* data, size_t size, Destructor destructor, void* info) {
  MemInfo* memory = (MemInfo*)malloc(sizeof(MemInfo));
  if (!memory) return memory;
  memory->references = 1;
  memory->destructor = destructor;
  memory->info = info;
  memory->data = data;
  memory->size = size;
  memory->allocator = 0;
  return memory;
}

// One block: the header, then the data on a border of `align`.
static MemInfo* Allocate(size_t size, size_t align) {
  if (align == 0) align = 16;
  if (size > ((size_t)1 << 46)) return 0;
  MemInfo* memory = (MemInfo*)malloc(sizeof(MemInfo) + size + align);
  if (!memory) return memory;
  size_t data = (size_t)(memory + 1);
  memory->references = 1;
  memory->destructor = 0;
  memory->info = 0;
  memory->data = (void*)((data + align - 1) / align * align);
  memory->size = size;
  memory->allocator = 0;
  return memory;
}

void NRT_incref(MemInfo* memory) {
  if (memory) __atomic_fetch_add(&memory->references, 1, __ATOMIC_RELAXED);
}

void NRT_MemInfo_call_dtor(MemInfo* memory) {
  if (memory->destructor) memory->destructor(memory->data, memory->size, memory->info);
  free(memory);
}

void NRT_decref(MemInfo* memory) {
  if (memory && __atomic_fetch_sub(&memory->references, 1, __ATOMIC_ACQ_REL) == 1) NRT_MemInfo_call_dtor(memory);
}

void* NRT_MemInfo_data_fast(MemInfo* memory) { return memory->data; }
void* NRT_Allocate(size_t size) { return malloc(size); }
void* NRT_Reallocate(void* memory, size_t size) { return realloc(memory, size); }
void NRT_Free(void* memory) { free(memory); }
MemInfo* NRT_MemInfo_alloc(size_t size) { return Allocate(size, 16); }
MemInfo* NRT_MemInfo_alloc_safe(size_t size) { return Allocate(size, 16); }
MemInfo* NRT_MemInfo_alloc_aligned(size_t size, unsigned align) { return Allocate(size, align); }
MemInfo* NRT_MemInfo_alloc_safe_aligned(size_t size, unsigned align) { return Allocate(size, align); }

MemInfo* NRT_MemInfo_alloc_dtor(size_t size, Destructor destructor) {
  MemInfo* memory = Allocate(size, 16);
  if (memory) memory->destructor = destructor;
  return memory;
}
MemInfo* NRT_MemInfo_alloc_dtor_safe(size_t size, Destructor destructor) {
  return NRT_MemInfo_alloc_dtor(size, destructor);
}

// Memory of a list: one block for the header, another, which may move, for the items.
static void FreeVariable(void* data, size_t size, void* info) {
  if (info) ((Destructor)info)(data, size, 0);
  free(data);
}
MemInfo* NRT_MemInfo_new_varsize(size_t size) {
  void* data = malloc(size);
  if (!data) return 0;
  return NewMemInfo(data, size, FreeVariable, 0);
}
MemInfo* NRT_MemInfo_new_varsize_dtor(size_t size, Destructor destructor) {
  MemInfo* memory = NRT_MemInfo_new_varsize(size);
  if (memory) memory->info = (void*)destructor;
  return memory;
}
void* NRT_MemInfo_varsize_alloc(MemInfo* memory, size_t size) {
  memory->data = malloc(size);
  memory->size = memory->data ? size : 0;
  return memory->data;
}
void* NRT_MemInfo_varsize_realloc(MemInfo* memory, size_t size) {
  // Not realloc: devices have none.
  void* data = malloc(size);
  if (!data) return 0;
  if (memory->data) memcpy(data, memory->data, size < memory->size ? size : memory->size);
  free(memory->data);
  memory->data = data;
  memory->size = size;
  return data;
}
void NRT_MemInfo_varsize_free(MemInfo* memory, void* data) {
  free(data);
  if (memory->data == data) memory->data = 0;
}

// Whether an array of these strides can be seen in another shape without a copy; the strides of that view, C order.
int numba_attempt_nocopy_reshape(size_t rank, const size_t* shape, const size_t* strides, size_t new_rank,
                                 const size_t* new_shape, size_t* new_strides, size_t item_size, int fortran) {
  size_t expected = item_size;
  for (size_t i = rank; i-- > 0;) {
    if (shape[i] != 1 && strides[i] != expected) return 0;
    expected *= shape[i];
  }
  if (fortran) return 0;
  size_t stride = item_size;
  for (size_t i = new_rank; i-- > 0;) {
    new_strides[i] = stride;
    stride *= new_shape[i];
  }
  return 1;
}

// ---- arithmetic --------------------------------------------------------------------------------------------------

typedef struct {
  double real, imag;
} Complex128;
typedef struct {
  float real, imag;
} Complex64;

void numba_cpow(Complex128* a, Complex128* b, Complex128* out) {
  if (b->real == 0 && b->imag == 0) {
    out->real = 1;
    out->imag = 0;
    return;
  }
  if (a->real == 0 && a->imag == 0) {
    // 0 to a negative or complex power has no value.
    out->real = out->imag = b->imag != 0 || b->real < 0 ? __builtin_nan("") : 0;
    return;
  }
  const double size = hypot(a->real, a->imag), angle = atan2(a->imag, a->real);
  double length = pow(size, b->real), phase = angle * b->real;
  if (b->imag != 0) {
    length /= exp(angle * b->imag);
    phase += b->imag * log(size);
  }
  out->real = length * cos(phase);
  out->imag = length * sin(phase);
}
void numba_cpowf(Complex64* a, Complex64* b, Complex64* out) {
  Complex128 base = {a->real, a->imag}, exponent = {b->real, b->imag}, wide;
  numba_cpow(&base, &exponent, &wide);
  out->real = (float)wide.real;
  out->imag = (float)wide.imag;
}
double numba_gamma(double x) { return tgamma(x); }
float numba_gammaf(float x) { return tgammaf(x); }
double numba_ldexp(double x, int e) { return ldexp(x, e); }
float numba_ldexpf(float x, int e) { return ldexpf(x, e); }
double numba_frexp(double x, int* e) { return frexp(x, e); }
float numba_frexpf(float x, int* e) { return frexpf(x, e); }
int numba_signbit(double x) { return __builtin_signbit(x) != 0; }
int numba_signbitf(float x) { return __builtin_signbitf(x) != 0; }
double numba_nextafter(double x, double y) { return nextafter(x, y); }
float numba_nextafterf(float x, float y) { return nextafterf(x, y); }
double npy_exp2(double x) { return exp2(x); }
float npy_exp2f(float x) { return exp2f(x); }
double npy_log2(double x) { return log2(x); }
float npy_log2f(float x) { return log2f(x); }
double npy_nextafter(double x, double y) { return nextafter(x, y); }
float npy_nextafterf(float x, float y) { return nextafterf(x, y); }
double npy_spacing(double x) {
  if (__builtin_isinf(x)) return __builtin_nan("");
  return nextafter(x, __builtin_signbit(x) ? -__builtin_inf() : __builtin_inf()) - x;
}
float npy_spacingf(float x) {
  if (__builtin_isinf(x)) return __builtin_nanf("");
  return nextafterf(x, __builtin_signbitf(x) ? -__builtin_inff() : __builtin_inff()) - x;
}
double npy_logaddexp(double x, double y) {
  if (x == y) return x + 0.693147180559945309417232121458;
  const double d = x - y;
  return d > 0 ? x + log1p(exp(-d)) : d <= 0 ? y + log1p(exp(d)) : d;
}
float npy_logaddexpf(float x, float y) { return (float)npy_logaddexp(x, y); }
double npy_logaddexp2(double x, double y) {
  const double per_log = 1.442695040888963407359924681001892137;
  if (x == y) return x + 1;
  const double d = x - y;
  return d > 0 ? x + per_log * log1p(exp2(-d)) : d <= 0 ? y + per_log * log1p(exp2(d)) : d;
}
float npy_logaddexp2f(float x, float y) { return (float)npy_logaddexp2(x, y); }

// ---- printing ----------------------------------------------------------------------------------------------------

// The shortest digits that read back as `x`, in Python's form: 0.1, 1e+16, inf. `dot`: "1.0" rather than "1". `out` has
// 40 bytes.
void rbc_repr_double(char* out, double x, int dot) {
  if (x != x) {
    snprintf(out, 40, "nan");
    return;
  }
  if (__builtin_isinf(x)) {
    snprintf(out, 40, x < 0 ? "-inf" : "inf");
    return;
  }
  int digits = 1;
  for (; digits < 17; ++digits) {
    snprintf(out, 40, "%.*e", digits - 1, x);
    if (strtod(out, 0) == x) break;
  }
  if (digits == 17) snprintf(out, 40, "%.16e", x);
  int at = 0, exponent = 0, negative = 0;
  while (out[at] != 'e') ++at;
  negative = out[at + 1] == '-';
  for (int i = at + 2; out[i]; ++i) exponent = exponent * 10 + (out[i] - '0');
  if (negative) exponent = -exponent;
  if (exponent < -4 || exponent >= 16) return;
  const int decimals = digits - 1 - exponent;
  snprintf(out, 40, "%.*f", decimals > 0 ? decimals : dot ? 1 : 0, x);
}

// ---- text: numba's str from and to UTF-8
// -----------------------------------------------------------------------------

typedef struct {
  void* data;
  int64_t length;
  int kind;  // bytes of a character: 1, 2 or 4
  unsigned is_ascii;
  int64_t hash;
  MemInfo* memory;
  void* parent;
} Text;

// The code at `*at`, which moves on. Malformed bytes become U+FFFD, one each.
static unsigned DecodeOne(const unsigned char** at) {
  const unsigned char* p = *at;
  const unsigned first = *p;
  const int more = first < 0x80 ? 0 : first >= 0xf0 && first < 0xf8 ? 3 : first >= 0xe0 ? 2 : first >= 0xc2 ? 1 : -1;
  *at = p + 1;
  if (more == 0) return first;
  if (more < 0 || first >= 0xf8) return 0xfffd;
  unsigned code = first & (0x3f >> more);
  for (int i = 1; i <= more; ++i) {
    if ((p[i] & 0xc0) != 0x80) return 0xfffd;
    code = code << 6 | (p[i] & 0x3f);
  }
  *at = p + more + 1;
  return code;
}

// 0: `utf8` is null, or there is no memory. ASCII is not copied. What is made has one reference, in `memory`.
int rbc_text_from_utf8(const unsigned char* utf8, Text* out) {
  if (!utf8) return 0;
  int64_t bytes = 0, ascii = 1, codes = 0;
  for (; utf8[bytes]; ++bytes) ascii &= utf8[bytes] < 0x80;
  out->hash = -1;
  out->parent = 0;
  out->memory = 0;
  out->is_ascii = (unsigned)ascii;
  out->kind = 1;
  out->length = bytes;
  out->data = (void*)utf8;
  if (ascii) return 1;
  MemInfo* memory = Allocate((size_t)(bytes + 1) * 4, 16);
  if (!memory) return 0;
  unsigned* to = (unsigned*)memory->data;
  for (const unsigned char* at = utf8; *at;) to[codes++] = DecodeOne(&at);
  to[codes] = 0;
  out->memory = memory;
  out->data = to;
  out->kind = 4;
  out->length = codes;
  return 1;
}

// A copy that ends with a NUL; null: there is one inside, or no memory.
char* rbc_bytes_to_text(const void* data, int64_t length) {
  const char* from = (const char*)data;
  for (int64_t i = 0; i < length; ++i)
    if (!from[i]) return 0;
  char* out = (char*)malloc((size_t)length + 1);
  if (!out) return 0;
  for (int64_t i = 0; i < length; ++i) out[i] = from[i];
  out[length] = 0;
  return out;
}

// A copy that ends with a NUL; null: no memory.
char* rbc_text_to_utf8(const void* data, int64_t length, int kind) {
  unsigned char* out = (unsigned char*)malloc((size_t)length * 4 + 1);
  unsigned char* to = out;
  if (!out) return 0;
  for (int64_t i = 0; i < length; ++i) {
    const unsigned code = kind == 1   ? ((const unsigned char*)data)[i]
                          : kind == 2 ? ((const unsigned short*)data)[i]
                                      : ((const unsigned*)data)[i];
    if (code < 0x80) {
      *to++ = (unsigned char)code;
    } else if (code < 0x800) {
      *to++ = (unsigned char)(0xc0 | code >> 6);
      *to++ = (unsigned char)(0x80 | (code & 0x3f));
    } else if (code < 0x10000) {
      *to++ = (unsigned char)(0xe0 | code >> 12);
      *to++ = (unsigned char)(0x80 | (code >> 6 & 0x3f));
      *to++ = (unsigned char)(0x80 | (code & 0x3f));
    } else {
      *to++ = (unsigned char)(0xf0 | code >> 18);
      *to++ = (unsigned char)(0x80 | (code >> 12 & 0x3f));
      *to++ = (unsigned char)(0x80 | (code >> 6 & 0x3f));
      *to++ = (unsigned char)(0x80 | (code & 0x3f));
    }
  }
  *to = 0;
  return (char*)out;
}
