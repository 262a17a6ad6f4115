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
