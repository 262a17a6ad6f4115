// Results of calls whose arrays stay on the farm, as Python has them.
// SPDX-License-Identifier: Apache-2.0
#include "client/python/src/kept_result.h"

#include <nanobind/stl/unique_ptr.h>

#include "client/python/src/buffer_object.h"
#include "client/python/src/convert.h"

namespace rbc::python {
namespace {

nb::object ToDeviceArray(const rbc::Buffer& buffer, const std::shared_ptr<client::Farm>& farm) {
  return nb::module_::import_("rbc.buffers")
      .attr("DeviceArray")
      .attr("_whole")(nb::cast(std::make_unique<BufferObject>(buffer, farm)));
}

}  // namespace

nb::object KeptToPython(const types::Value& value, const std::vector<rbc::Buffer>& arrays, const types::Type& type,
                        const std::shared_ptr<client::Farm>& farm) {
  auto next = arrays.begin();
  if (type.is(types::Kind::kArray)) return ToDeviceArray(*next, farm);
  const auto& members = value.As<types::StructValue>()->members;
  nb::list out;
  for (size_t i = 0; i < members.size(); ++i) {
    const types::Type& member = type.members()[i];
    out.append(member.is(types::Kind::kArray) ? ToDeviceArray(*next++, farm) : ToPython(members[i], member));
  }
  return nb::tuple(out);
}

}  // namespace rbc::python
