// The part of C's library that device code gets from us: memory, strings, and the complex arithmetic that compilers
// call. Compiled to LLVM IR when the farm is built and linked into modules that refer to it.
// SPDX-License-Identifier: Apache-2.0
typedef unsigned long size_t;

double fabs(double), copysign(double, double), fmax(double, double), logb(double), scalbn(double, int);
float fabsf(float), copysignf(float, float), fmaxf(float, float), logbf(float), scalbnf(float, int);
void *malloc(size_t);

int memcmp(const void *a, const void *b, size_t n) {
  const unsigned char *p = a, *q = b;
  for (; n != 0; --n, ++p, ++q) {
    if (*p != *q) return *p < *q ? -1 : 1;
  }
  return 0;
}
int bcmp(const void *a, const void *b, size_t n) { return memcmp(a, b, n); }

void *memchr(const void *s, int c, size_t n) {
  const unsigned char *p = s;
  for (; n != 0; --n, ++p) {
    if (*p == (unsigned char)c) return (void *)p;
  }
  return 0;
}

size_t strlen(const char *s) {
  size_t n = 0;
  while (s[n] != 0) ++n;
  return n;
}

size_t strnlen(const char *s, size_t most) {
  size_t n = 0;
  while (n < most && s[n] != 0) ++n;
  return n;
}

int strncmp(const char *a, const char *b, size_t n) {
  for (; n != 0; --n, ++a, ++b) {
    if (*a != *b) return (unsigned char)*a < (unsigned char)*b ? -1 : 1;
    if (*a == 0) break;
  }
  return 0;
}
int strcmp(const char *a, const char *b) { return strncmp(a, b, ~(size_t)0); }

char *strcpy(char *to, const char *from) {
  char *p = to;
  while ((*p++ = *from++) != 0) {
  }
  return to;
}

char *strncpy(char *to, const char *from, size_t n) {
  size_t i = 0;
  for (; i < n && from[i] != 0; ++i) to[i] = from[i];
  for (; i < n; ++i) to[i] = 0;
  return to;
}

char *strchr(const char *s, int c) {
  for (;; ++s) {
    if (*s == (char)c) return (char *)s;
    if (*s == 0) return 0;
  }
}

int isdigit(int c) { return c >= '0' && c <= '9'; }
int isspace(int c) { return c == ' ' || (c >= '\t' && c <= '\r'); }
int isupper(int c) { return c >= 'A' && c <= 'Z'; }
int islower(int c) { return c >= 'a' && c <= 'z'; }
int isalpha(int c) { return isupper(c) || islower(c); }
int isalnum(int c) { return isalpha(c) || isdigit(c); }
int toupper(int c) { return islower(c) ? c - 'a' + 'A' : c; }
int tolower(int c) { return isupper(c) ? c - 'A' + 'a' : c; }

void *calloc(size_t count, size_t size) {
  size_t bytes;
  if (__builtin_mul_overflow(count, size, &bytes)) return 0;
  unsigned char *memory = malloc(bytes);
  if (memory != 0) {
    for (size_t i = 0; i < bytes; ++i) memory[i] = 0;
  }
  return memory;
}

// Annex G of C: products and quotients that come out as NaN are infinite where one factor is.
#define COMPLEX(T, S, SUFFIX, MUL, DIV)                                                                           \
  T _Complex MUL(T a, T b, T c, T d) {                                                                            \
    T ac = a * c, bd = b * d, ad = a * d, bc = b * c;                                                             \
    T x = ac - bd, y = ad + bc;                                                                                   \
    if (x != x && y != y) {                                                                                       \
      int again = 0;                                                                                              \
      if (__builtin_isinf(a) || __builtin_isinf(b)) {                                                             \
        a = copysign##SUFFIX(__builtin_isinf(a) ? (T)1 : (T)0, a);                                                \
        b = copysign##SUFFIX(__builtin_isinf(b) ? (T)1 : (T)0, b);                                                \
        if (c != c) c = copysign##SUFFIX((T)0, c);                                                                \
        if (d != d) d = copysign##SUFFIX((T)0, d);                                                                \
        again = 1;                                                                                                \
      }                                                                                                           \
      if (__builtin_isinf(c) || __builtin_isinf(d)) {                                                             \
        c = copysign##SUFFIX(__builtin_isinf(c) ? (T)1 : (T)0, c);                                                \
        d = copysign##SUFFIX(__builtin_isinf(d) ? (T)1 : (T)0, d);                                                \
        if (a != a) a = copysign##SUFFIX((T)0, a);                                                                \
        if (b != b) b = copysign##SUFFIX((T)0, b);                                                                \
        again = 1;                                                                                                \
      }                                                                                                           \
      if (!again && (__builtin_isinf(ac) || __builtin_isinf(bd) || __builtin_isinf(ad) || __builtin_isinf(bc))) { \
        if (a != a) a = copysign##SUFFIX((T)0, a);                                                                \
        if (b != b) b = copysign##SUFFIX((T)0, b);                                                                \
        if (c != c) c = copysign##SUFFIX((T)0, c);                                                                \
        if (d != d) d = copysign##SUFFIX((T)0, d);                                                                \
        again = 1;                                                                                                \
      }                                                                                                           \
      if (again) {                                                                                                \
        x = (T)__builtin_inf() * (a * c - b * d);                                                                 \
        y = (T)__builtin_inf() * (a * d + b * c);                                                                 \
      }                                                                                                           \
    }                                                                                                             \
    T _Complex z;                                                                                                 \
    __real__ z = x;                                                                                               \
    __imag__ z = y;                                                                                               \
    return z;                                                                                                     \
  }                                                                                                               \
  T _Complex DIV(T a, T b, T c, T d) {                                                                            \
    int scale = 0;                                                                                                \
    T size = logb##SUFFIX(fmax##SUFFIX(fabs##SUFFIX(c), fabs##SUFFIX(d)));                                        \
    if (__builtin_isfinite(size)) {                                                                               \
      scale = (int)size;                                                                                          \
      c = scalbn##SUFFIX(c, -scale);                                                                              \
      d = scalbn##SUFFIX(d, -scale);                                                                              \
    }                                                                                                             \
    T norm = c * c + d * d;                                                                                       \
    T x = scalbn##SUFFIX((a * c + b * d) / norm, -scale);                                                         \
    T y = scalbn##SUFFIX((b * c - a * d) / norm, -scale);                                                         \
    if (x != x && y != y) {                                                                                       \
      if (norm == 0 && (a == a || b == b)) {                                                                      \
        x = copysign##SUFFIX((T)__builtin_inf(), c) * a;                                                          \
        y = copysign##SUFFIX((T)__builtin_inf(), c) * b;                                                          \
      } else if ((__builtin_isinf(a) || __builtin_isinf(b)) && __builtin_isfinite(c) && __builtin_isfinite(d)) {  \
        a = copysign##SUFFIX(__builtin_isinf(a) ? (T)1 : (T)0, a);                                                \
        b = copysign##SUFFIX(__builtin_isinf(b) ? (T)1 : (T)0, b);                                                \
        x = (T)__builtin_inf() * (a * c + b * d);                                                                 \
        y = (T)__builtin_inf() * (b * c - a * d);                                                                 \
      } else if (__builtin_isinf(size) && size > 0 && __builtin_isfinite(a) && __builtin_isfinite(b)) {           \
        c = copysign##SUFFIX(__builtin_isinf(c) ? (T)1 : (T)0, c);                                                \
        d = copysign##SUFFIX(__builtin_isinf(d) ? (T)1 : (T)0, d);                                                \
        x = (T)0 * (a * c + b * d);                                                                               \
        y = (T)0 * (b * c - a * d);                                                                               \
      }                                                                                                           \
    }                                                                                                             \
    T _Complex z;                                                                                                 \
    __real__ z = x;                                                                                               \
    __imag__ z = y;                                                                                               \
    return z;                                                                                                     \
  }

COMPLEX(double, , , __muldc3, __divdc3)
COMPLEX(float, , f, __mulsc3, __divsc3)

// <complex.h>'s most wanted. LARGEST: above it exp overflows although its product with a sine may not.
#define COMPLEX_MATHS(T, SUFFIX, LARGEST)                                                                             \
  T hypot##SUFFIX(T, T), atan2##SUFFIX(T, T), exp##SUFFIX(T), log##SUFFIX(T), log1p##SUFFIX(T);                       \
  T sqrt##SUFFIX(T), sin##SUFFIX(T), cos##SUFFIX(T);                                                                  \
  static T _Complex Pair##SUFFIX(T x, T y) {                                                                          \
    T _Complex z;                                                                                                     \
    __real__ z = x;                                                                                                   \
    __imag__ z = y;                                                                                                   \
    return z;                                                                                                         \
  }                                                                                                                   \
  T cabs##SUFFIX(T _Complex z) { return hypot##SUFFIX(__real__ z, __imag__ z); }                                      \
  T carg##SUFFIX(T _Complex z) { return atan2##SUFFIX(__imag__ z, __real__ z); }                                      \
  T _Complex cexp##SUFFIX(T _Complex z) {                                                                             \
    T x = __real__ z, y = __imag__ z;                                                                                 \
    if (y == 0) return Pair##SUFFIX(exp##SUFFIX(x), y);                                                               \
    if (!__builtin_isfinite(y) && __builtin_isinf(x)) return x < 0 ? Pair##SUFFIX(0, 0) : Pair##SUFFIX(x, y - y);     \
    T c = cos##SUFFIX(y), s = sin##SUFFIX(y);                                                                         \
    if (x <= LARGEST || __builtin_isinf(x)) {                                                                         \
      T size = exp##SUFFIX(x);                                                                                        \
      return Pair##SUFFIX(size * c, size * s);                                                                        \
    }                                                                                                                 \
    T half = exp##SUFFIX(x / 2);                                                                                      \
    return Pair##SUFFIX(half * c * half, half * s * half);                                                            \
  }                                                                                                                   \
  T _Complex clog##SUFFIX(T _Complex z) {                                                                             \
    T x = fabs##SUFFIX(__real__ z), y = fabs##SUFFIX(__imag__ z), size = hypot##SUFFIX(x, y);                         \
    T large = x > y ? x : y, small = x > y ? y : x;                                                                   \
    T real =                                                                                                          \
        size > (T)0.5 && size < 2 ? log1p##SUFFIX((large - 1) * (large + 1) + small * small) / 2 : log##SUFFIX(size); \
    return Pair##SUFFIX(real, atan2##SUFFIX(__imag__ z, __real__ z));                                                 \
  }                                                                                                                   \
  T _Complex csqrt##SUFFIX(T _Complex z) {                                                                            \
    T x = __real__ z, y = __imag__ z;                                                                                 \
    if (__builtin_isinf(y)) return Pair##SUFFIX((T)__builtin_inf(), y);                                               \
    if (__builtin_isinf(x))                                                                                           \
      return x > 0 ? Pair##SUFFIX(x, y != y ? y : copysign##SUFFIX((T)0, y))                                          \
                   : Pair##SUFFIX(y != y ? y : (T)0, copysign##SUFFIX(x, y));                                         \
    if (x == 0 && y == 0) return Pair##SUFFIX(0, y);                                                                  \
    if (x != x || y != y) return Pair##SUFFIX(x + y, x + y);                                                          \
    /* Neither too large to be added nor too small to be halved: by powers of four. */                                \
    int scale = 2 * ((int)logb##SUFFIX(fmax##SUFFIX(fabs##SUFFIX(x), fabs##SUFFIX(y))) / 2);                          \
    x = scalbn##SUFFIX(x, -scale);                                                                                    \
    y = scalbn##SUFFIX(y, -scale);                                                                                    \
    T t = sqrt##SUFFIX((fabs##SUFFIX(x) + hypot##SUFFIX(x, y)) / 2);                                                  \
    T other = fabs##SUFFIX(y) / (2 * t);                                                                              \
    T real = x >= 0 ? t : other, imaginary = x >= 0 ? other : t;                                                      \
    return Pair##SUFFIX(scalbn##SUFFIX(real, scale / 2), copysign##SUFFIX(scalbn##SUFFIX(imaginary, scale / 2), y));  \
  }

COMPLEX_MATHS(double, , 700)
COMPLEX_MATHS(float, f, 80)
