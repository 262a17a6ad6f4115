// The extension module rbc._core: librbc for Python.
// SPDX-License-Identifier: Apache-2.0
#include <nanobind/nanobind.h>

#include "client/python/src/farm_object.h"
#include "client/python/src/python_error.h"
#include "client/python/src/queue_object.h"

NB_MODULE(_core, module) {
  module.attr("version") = RBC_VERSION;
  // Callers are often kept by modules to the very end of the interpreter.
  nanobind::set_leak_warnings(false);
  rbc::python::DefineTypes(module);
  rbc::python::DefineCancelToken(module);
  rbc::python::DefineBuffer(module);
  rbc::python::DefineFarm(module);
  rbc::python::DefineCaller(module);
  rbc::python::DefineQueue(module);
}
