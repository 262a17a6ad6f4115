// Thrift's binary protocol for bytes from people we do not know.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <thrift/protocol/TBinaryProtocol.h>
#include <thrift/protocol/TVirtualProtocol.h>
#include <thrift/transport/TBufferTransports.h>

#include <cstring>
#include <memory>
#include <string>
#include <string_view>

#include "server/config/config.h"

namespace rbc::server {

// The number in a generated enum that was read from the wire: any, while the enum's own type knows but its names.
template <typename Enum>
int32_t NumberOf(const Enum& value) {
  static_assert(sizeof value == sizeof(int32_t));
  int32_t number;
  std::memcpy(&number, &value, sizeof number);
  return number;
}

// Reads one message in place: strict, bounded by the message itself and the configuration. Thrift's own reader makes
// an enum of any type byte, which is undefined for those that name no type; here they throw.
class StrictReader final
    : public apache::thrift::protocol::TVirtualProtocol<StrictReader, apache::thrift::protocol::TBinaryProtocol> {
 public:
  using Base = apache::thrift::protocol::TBinaryProtocol;
  using TType = apache::thrift::protocol::TType;

  // `message` is without its length and outlives the reader.
  StrictReader(std::string_view message, const FarmConfig& config) : TVirtualProtocol(Transport(message, config)) {
    setStringSizeLimit(static_cast<int32_t>(message.size()));
    setContainerSizeLimit(static_cast<int32_t>(config.max_list));
    setStrict(true, true);
  }

  uint32_t readFieldBegin(std::string& name, TType& type, int16_t& id) {
    CheckType(0);
    return Base::readFieldBegin(name, type, id);
  }
  uint32_t readListBegin(TType& element, uint32_t& size) {
    CheckType(0);
    return Base::readListBegin(element, size);
  }
  uint32_t readSetBegin(TType& element, uint32_t& size) {
    CheckType(0);
    return Base::readSetBegin(element, size);
  }
  uint32_t readMapBegin(TType& key, TType& value, uint32_t& size) {
    CheckType(0);
    CheckType(1);
    return Base::readMapBegin(key, value, size);
  }

 private:
  static std::shared_ptr<apache::thrift::transport::TMemoryBuffer> Transport(std::string_view message,
                                                                             const FarmConfig& config) {
    using apache::thrift::transport::TMemoryBuffer;
    auto limits = std::make_shared<apache::thrift::TConfiguration>();
    limits->setMaxMessageSize(static_cast<int>(message.size()));
    limits->setRecursionLimit(static_cast<int>(config.max_depth));
    return std::make_shared<TMemoryBuffer>(reinterpret_cast<uint8_t*>(const_cast<char*>(message.data())),
                                           static_cast<uint32_t>(message.size()), TMemoryBuffer::OBSERVE, limits);
  }
  // Looks at the byte `ahead` of the next.
  void CheckType(uint32_t ahead) {
    uint32_t size = ahead + 1;
    const uint8_t* bytes = trans_->borrow(nullptr, &size);
    if (bytes == nullptr || bytes[ahead] > apache::thrift::protocol::T_LIST)
      throw apache::thrift::protocol::TProtocolException(apache::thrift::protocol::TProtocolException::INVALID_DATA);
  }
};

}  // namespace rbc::server
