// Python objects as values of a call, and back.
// SPDX-License-Identifier: Apache-2.0
#include "client/python/src/convert.h"

#include <nanobind/ndarray.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <memory>
#include <optional>
#include <string>
#include <unordered_map>

#include "client/python/src/buffer_object.h"
#include "client/python/src/python_error.h"
#include "client/python/src/queue_object.h"
#include "types/array_extent.h"

namespace rbc::python {
namespace {

constexpr int kMostNesting = 32;

[[noreturn]] void Raised() { throw nb::python_error(); }

[[noreturn]] void RaiseType(const std::string& message) {
  PyErr_SetString(PyExc_TypeError, message.c_str());
  Raised();
}

types::Value IntegerValue(PyObject* object) {
  int overflow = 0;
  const long long small = PyLong_AsLongLongAndOverflow(object, &overflow);
  if (overflow == 0) {
    if (small == -1 && PyErr_Occurred() != nullptr) Raised();
    return types::Value(small);
  }
  const nb::object bits = nb::steal(PyLong_FromLong(64));
  const nb::object high = nb::steal(PyNumber_Rshift(object, bits.ptr()));
  if (!high.is_valid()) Raised();
  const unsigned long long low = PyLong_AsUnsignedLongLongMask(object);
  const long long top = PyLong_AsLongLongAndOverflow(high.ptr(), &overflow);
  if (overflow == 0) return types::Value(static_cast<types::Int128>((static_cast<types::Uint128>(top) << 64) | low));
  const unsigned long long unsigned_top = overflow > 0 ? PyLong_AsUnsignedLongLong(high.ptr()) : 0;
  if (overflow < 0 || PyErr_Occurred() != nullptr) {
    PyErr_Clear();
    PyErr_SetString(PyExc_OverflowError, "an integer argument has more than 128 bits, more than any type of a farm");
    Raised();
  }
  return types::Value((static_cast<types::Uint128>(unsigned_top) << 64) | low);
}

types::Value TextValue(PyObject* object) {
  Py_ssize_t size = 0;
  const char* utf8 = PyUnicode_AsUTF8AndSize(object, &size);
  if (utf8 == nullptr) Raised();
  return types::Value(std::string(utf8, static_cast<size_t>(size)));
}

// How objects of a class that is none of Python's plain ones become values; rbc/_convert.py decides.
struct ClassRule {
  enum class Kind {
    kNone,
    kItem,
    kValue,
    kFields,
    kArray,
    kCharacter,
    kResident,
    kQueued,
    kForeign
  } kind = Kind::kNone;
  bool has_type = false;
  types::Type type;
};

const ClassRule& RuleOf(PyTypeObject* type) {
  // Classes stay alive with their entry, so that no other class takes their address.
  static auto* const known = new std::unordered_map<PyTypeObject*, ClassRule>();
  if (const auto found = known->find(type); found != known->end()) return found->second;
  const nb::object answer =
      nb::module_::import_("rbc._convert").attr("rule_of")(nb::borrow(reinterpret_cast<PyObject*>(type)));
  const auto name = nb::cast<std::string>(answer[0]);
  const auto text = nb::cast<std::string>(answer[1]);
  ClassRule rule;
  if (name == "item") rule.kind = ClassRule::Kind::kItem;
  if (name == "value") rule.kind = ClassRule::Kind::kValue;
  if (name == "character") rule.kind = ClassRule::Kind::kCharacter;
  if (name == "fields") rule.kind = ClassRule::Kind::kFields;
  if (name == "array") rule.kind = ClassRule::Kind::kArray;
  if (name == "resident") rule.kind = ClassRule::Kind::kResident;
  if (name == "queued") rule.kind = ClassRule::Kind::kQueued;
  if (name == "foreign") rule.kind = ClassRule::Kind::kForeign;
  if (!text.empty()) {
    rule.type = OrThrow(types::Type::Parse(text));
    rule.has_type = true;
  }
  Py_INCREF(type);
  return known->emplace(type, std::move(rule)).first->second;
}

[[noreturn]] void RaiseElement(std::string_view format) {
  const bool foreign = format.starts_with('>') || format.starts_with('!');
  RaiseType("memory with elements of format '" + std::string(format) + "' cannot be an argument; " +
            (foreign ? "bring them to this machine's byte order: x.astype(x.dtype.newbyteorder('='))"
                     : "numbers and bool of up to 128 bits can"));
}

// The element of a buffer by its struct format; void: any.
types::Type ElementOf(const Py_buffer& view) {
  std::string_view format = view.format == nullptr ? "B" : view.format;
  if (!format.empty() && (format[0] == '@' || format[0] == '=' || format[0] == '<')) format.remove_prefix(1);
  const auto bits = static_cast<uint32_t>(view.itemsize * 8);
  if (format == "Zf" || format == "Zd") return types::Type::Complex(bits);
  if (format.size() != 1) RaiseElement(format);
  switch (format[0]) {
    case 'B':
    case 'b':
    case 'c':
      return types::Type::Void();
    case '?':
      return types::Type::Bool();
    case 'h':
    case 'i':
    case 'l':
    case 'q':
    case 'n':
      return types::Type::Int(bits);
    case 'H':
    case 'I':
    case 'L':
    case 'Q':
    case 'N':
      return types::Type::Uint(bits);
    case 'e':
    case 'f':
    case 'd':
    case 'g':
      return types::Type::Float(bits);
    default:
      RaiseElement(format);
  }
}

types::Buffer MemoryOf(const Py_buffer& view) {
  return {.data = view.buf,
          .bytes = static_cast<size_t>(view.len),
          .direction = view.readonly ? types::Direction::kIn : types::Direction::kInOut,
          .element = ElementOf(view),
          .owner = nullptr};
}

// Those of ctypes tell no strides, whatever they are asked for.
void TakeShape(const Py_buffer& view, types::Buffer* array) {
  array->shape.assign(view.shape, view.shape + view.ndim);
  if (view.strides != nullptr)
    array->strides.assign(view.strides, view.strides + view.ndim);
  else
    array->strides = types::DenseStrides(array->shape, static_cast<uint64_t>(view.itemsize));
}

nb::object IntegerToPython(types::Uint128 bits, bool negative) {
  // Two's complement in two halves: (high << 64) | low.
  const auto low = static_cast<unsigned long long>(bits);
  const auto high = static_cast<unsigned long long>(bits >> 64);
  const nb::object top =
      nb::steal(negative ? PyLong_FromLongLong(static_cast<long long>(high)) : PyLong_FromUnsignedLongLong(high));
  const nb::object shift = nb::steal(PyLong_FromLong(64));
  const nb::object shifted = nb::steal(PyNumber_Lshift(top.ptr(), shift.ptr()));
  const nb::object rest = nb::steal(PyLong_FromUnsignedLongLong(low));
  return nb::steal(PyNumber_Or(shifted.ptr(), rest.ptr()));
}

// The code of an element in DLPack, which NumPy's arrays are made by; nothing: it has none.
std::optional<nb::dlpack::dtype_code> DlpackCode(const types::Type& element) {
  switch (element.kind()) {
    case types::Kind::kBool:
      return nb::dlpack::dtype_code::Bool;
    case types::Kind::kInt:
      return nb::dlpack::dtype_code::Int;
    case types::Kind::kUint:
      return nb::dlpack::dtype_code::UInt;
    case types::Kind::kFloat:
      return nb::dlpack::dtype_code::Float;
    case types::Kind::kComplex:
      return nb::dlpack::dtype_code::Complex;
    default:
      return std::nullopt;
  }
}

// A NumPy array over the result's own memory.
nb::object ArrayToPython(const types::Buffer& array) {
  const auto code = DlpackCode(array.element);
  const uint64_t size = OrThrow(types::SizeOf(array.element));
  if (!code || (*code == nb::dlpack::dtype_code::Float && size > 8) || size > 16)
    RaiseType("an array of `" + array.element.ToString() + "` has no place in NumPy; return another type");
  std::vector<size_t> shape(array.shape.begin(), array.shape.end());
  std::vector<int64_t> strides;
  for (const int64_t stride : array.strides) strides.push_back(stride / static_cast<int64_t>(size));
  const nb::capsule owner(new std::shared_ptr<void>(array.owner),
                          [](void* kept) noexcept { delete static_cast<std::shared_ptr<void>*>(kept); });
  const nb::dlpack::dtype dtype{static_cast<uint8_t>(*code), static_cast<uint8_t>(size * 8), 1};
  return nb::cast(nb::ndarray<nb::numpy>(array.data, shape.size(), shape.data(), owner, strides.data(), dtype));
}

nb::object BufferToPython(const types::Buffer& buffer) {
  if (!buffer.shape.empty()) return ArrayToPython(buffer);
  return nb::steal(
      PyBytes_FromStringAndSize(static_cast<const char*>(buffer.data), static_cast<Py_ssize_t>(buffer.bytes)));
}

nb::object TextToPython(const std::string& text) {
  return nb::steal(PyUnicode_DecodeUTF8(text.data(), static_cast<Py_ssize_t>(text.size()), "surrogateescape"));
}

}  // namespace

bool IsArray(PyObject* object) {
  if (PyFloat_CheckExact(object) || PyLong_CheckExact(object)) return false;
  const auto kind = RuleOf(Py_TYPE(object)).kind;
  return kind == ClassRule::Kind::kArray || kind == ClassRule::Kind::kResident;
}

Arguments::~Arguments() {
  for (Py_buffer& view : buffers_) PyBuffer_Release(&view);
}

void Arguments::Add(PyObject* object) {
  const types::Type* type = nullptr;
  values_.push_back(ValueOf(object, &type, 0));
  types_.push_back(type);
  has_types_ |= type != nullptr;
}

types::Value Arguments::ValueOf(PyObject* object, const types::Type** type, int depth) {
  if (PyFloat_CheckExact(object)) return types::Value(PyFloat_AS_DOUBLE(object));
  if (PyBool_Check(object)) return types::Value(object == Py_True);
  if (PyLong_CheckExact(object)) return IntegerValue(object);
  if (PyComplex_CheckExact(object))
    return types::Value(std::complex<double>(PyComplex_RealAsDouble(object), PyComplex_ImagAsDouble(object)));
  if (PyUnicode_CheckExact(object)) return TextValue(object);
  if (PyBytes_CheckExact(object))
    return types::Value(
        types::ByteString{std::string(PyBytes_AS_STRING(object), static_cast<size_t>(PyBytes_GET_SIZE(object)))});
  if (object == Py_None) return types::Value(types::NullPointer{});
  if (depth >= kMostNesting) RaiseType("a struct argument is nested too deeply");
  return Other(object, type, depth);
}

types::Value Arguments::Other(PyObject* object, const types::Type** type, int depth) {
  const ClassRule& rule = RuleOf(Py_TYPE(object));
  if (rule.has_type) *type = &rule.type;
  const types::Type* ignored = nullptr;
  switch (rule.kind) {
    case ClassRule::Kind::kItem: {
      const nb::object item = nb::borrow(object).attr("item")();
      if (item.type().is(nb::borrow(object).type())) return types::Value(nb::cast<double>(nb::float_(item)));
      return ValueOf(item.ptr(), &ignored, depth + 1);
    }
    case ClassRule::Kind::kValue:
      return ValueOf(nb::object(nb::borrow(object).attr("value")).ptr(), &ignored, depth + 1);
    case ClassRule::Kind::kCharacter: {
      const nb::object code = nb::module_::import_("rbc._convert").attr("code_of")(nb::borrow(object));
      return types::Value(types::Character{nb::cast<uint32_t>(code), rule.type.bits()});
    }
    case ClassRule::Kind::kFields: {
      const nb::object fields = nb::module_::import_("rbc._convert").attr("fields_of")(nb::borrow(object));
      return StructOf(fields.ptr(), depth);
    }
    case ClassRule::Kind::kArray:
      if (elements_ && nb::cast<int>(nb::borrow(object).attr("ndim")) == 0)
        return ValueOf(nb::object(nb::borrow(object)[nb::tuple()]).ptr(), type, depth + 1);
      return ArrayOf(object);
    case ClassRule::Kind::kResident:
      return ResidentOf(object);
    case ClassRule::Kind::kQueued:
      return QueuedOf(object);
    case ClassRule::Kind::kForeign:
      return ArrayOf(nb::object(nb::module_::import_("rbc._convert").attr("array_of")(nb::borrow(object))).ptr());
    case ClassRule::Kind::kNone:
      break;
  }
  if (PyTuple_Check(object) || PyList_Check(object)) return StructOf(object, depth);
  if (PyLong_Check(object)) return IntegerValue(object);
  if (PyFloat_Check(object)) return types::Value(PyFloat_AS_DOUBLE(object));
  if (PyComplex_Check(object)) {
    const Py_complex number = PyComplex_AsCComplex(object);
    return types::Value(std::complex<double>(number.real, number.imag));
  }
  if (PyUnicode_Check(object)) return TextValue(object);
  if (PyMemoryView_Check(object)) {
    const Py_buffer& view = *PyMemoryView_GET_BUFFER(object);
    if (view.ndim > 1 || PyBuffer_IsContiguous(&view, 'C') == 0) return ArrayOf(object);
  }
  if (PyObject_CheckBuffer(object)) return BufferOf(object);
  RaiseType("an object of class '" + std::string(Py_TYPE(object)->tp_name) +
            "' cannot be an argument; pass numbers, text, bytes, tuples, dataclasses or buffers");
}

const Py_buffer& Arguments::Borrow(PyObject* object, int flags) {
  Py_buffer view;
  if (PyObject_GetBuffer(object, &view, flags | PyBUF_FORMAT | PyBUF_WRITABLE) != 0) {
    PyErr_Clear();
    if (PyObject_GetBuffer(object, &view, flags | PyBUF_FORMAT) != 0) Raised();
  }
  return buffers_.emplace_front(view);
}

types::Value Arguments::BufferOf(PyObject* object) {
  const Py_buffer& view = Borrow(object, PyBUF_C_CONTIGUOUS);
  types::Buffer array = MemoryOf(view);
  if (view.ndim > 1) TakeShape(view, &array);
  return types::Value(std::move(array));
}

types::Value Arguments::ArrayOf(PyObject* object) {
  const Py_buffer& view = Borrow(object, PyBUF_STRIDES);
  types::Buffer array = MemoryOf(view);
  if (view.ndim == 0) return types::Value(std::move(array));
  TakeShape(view, &array);
  if (array.element.is(types::Kind::kVoid)) {
    array.fits_any_pointer = true;
    array.element = view.format != nullptr && view.format[0] == 'b' ? types::Type::Int(8) : types::Type::Uint(8);
  }
  return types::Value(std::move(array));
}

types::Value Arguments::ResidentOf(PyObject* object) {
  const nb::object array = nb::borrow(object);
  const auto& buffer = nb::cast<const BufferObject&>(array.attr("_buffer"));
  return types::Value(detail::Inside::ArrayOf(buffer.buffer(), nb::cast<std::vector<int64_t>>(array.attr("shape")),
                                              nb::cast<std::vector<int64_t>>(array.attr("strides")),
                                              nb::cast<int64_t>(array.attr("offset"))));
}

types::Value Arguments::QueuedOf(PyObject* object) {
  const auto& step = nb::cast<const StepObject&>(nb::borrow(object).attr("_step"));
  if (!step.array()) RaiseType("the result of a queued call is no array; take its result() first");
  return types::Value(detail::Inside::ArrayOf(*step.array()));
}

types::Value Arguments::StructOf(PyObject* sequence, int depth) {
  std::vector<types::Value> members;
  const nb::object items = nb::steal(PySequence_Fast(sequence, "a struct argument is a sequence"));
  if (!items.is_valid()) Raised();
  for (Py_ssize_t i = 0; i < PySequence_Fast_GET_SIZE(items.ptr()); ++i) {
    const types::Type* ignored = nullptr;
    members.push_back(ValueOf(PySequence_Fast_GET_ITEM(items.ptr(), i), &ignored, depth + 1));
  }
  return types::Value::Struct(std::move(members));
}

nb::object ToPython(const types::Value& value, const types::Type& type) {
  return std::visit(
      [&](const auto& v) -> nb::object {
        using T = std::decay_t<decltype(v)>;
        if constexpr (std::is_same_v<T, types::None> || std::is_same_v<T, types::NullPointer>) {
          return nb::none();
        } else if constexpr (std::is_same_v<T, bool>) {
          return nb::bool_(v);
        } else if constexpr (std::is_same_v<T, int64_t>) {
          return nb::steal(PyLong_FromLongLong(v));
        } else if constexpr (std::is_same_v<T, uint64_t>) {
          return nb::steal(PyLong_FromUnsignedLongLong(v));
        } else if constexpr (std::is_same_v<T, types::Int128>) {
          return IntegerToPython(static_cast<types::Uint128>(v), v < 0);
        } else if constexpr (std::is_same_v<T, types::Uint128>) {
          return IntegerToPython(v, false);
        } else if constexpr (std::is_same_v<T, double> || std::is_same_v<T, long double>) {
          return nb::steal(PyFloat_FromDouble(static_cast<double>(v)));
        } else if constexpr (std::is_same_v<T, std::complex<double>> || std::is_same_v<T, std::complex<long double>>) {
          return nb::steal(PyComplex_FromDoubles(static_cast<double>(v.real()), static_cast<double>(v.imag())));
        } else if constexpr (std::is_same_v<T, types::Character>) {
          return nb::steal(PyUnicode_FromOrdinal(static_cast<int>(v.code)));
        } else if constexpr (std::is_same_v<T, std::string>) {
          return TextToPython(v);
        } else if constexpr (std::is_same_v<T, types::ByteString>) {
          return nb::steal(PyBytes_FromStringAndSize(v.bytes.data(), static_cast<Py_ssize_t>(v.bytes.size())));
        } else if constexpr (std::is_same_v<T, types::Buffer>) {
          return BufferToPython(v);
        } else {
          static_assert(std::is_same_v<T, types::StructValue>);
          const nb::object tuple = nb::steal(PyTuple_New(static_cast<Py_ssize_t>(v.members.size())));
          for (size_t i = 0; i < v.members.size(); ++i)
            PyTuple_SET_ITEM(tuple.ptr(), static_cast<Py_ssize_t>(i),
                             ToPython(v.members[i], type.members()[i]).release().ptr());
          return tuple;
        }
      },
      value.state());
}

}  // namespace rbc::python
