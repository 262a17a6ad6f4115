// Raw channels and sessions: whose arrays a channel may read and write.
// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include "server/farm.h"

namespace rbc::server {
namespace {

// Of one connection, which outlives it.
class FarmChannel final : public ChannelHost {
 public:
  FarmChannel(Farm& farm, Connection& connection) : farm_(farm), connection_(connection) {}

  Status Attach(uint64_t session, std::string_view secret, const std::string& token) override {
    if (connection_.over_limit) return NoThread(farm_.config().max_threads);
    RBC_ASSIGN_OR_RETURN(
        connection_.peer.domain,
        farm_.authenticator().DomainFor(connection_.peer, token.empty() ? nullptr : &token, WallClockMs()));
    RBC_ASSIGN_OR_RETURN(connection_.session, farm_.sessions().Attach(connection_.peer, session, secret));
    return {};
  }

  Expected<ChannelMemory> Memory(uint64_t id, uint64_t offset, uint64_t bytes) override {
    RBC_ASSIGN_OR_RETURN(const auto session, farm_.SessionOf(connection_));
    RBC_ASSIGN_OR_RETURN(auto buffer, session->data().Find(id));
    if (buffer->device() != nullptr)
      return Error(
          ErrorKind::kInvalidArgument,
          fmt::format("buffer {} lies on target \"{}\", where a channel does not reach; copy it by buffer_copy",
                      buffer->Title(), buffer->device()->target()));
    if (offset > buffer->bytes() || bytes > buffer->bytes() - offset)
      return Error(ErrorKind::kInvalidArgument, fmt::format("{} bytes at offset {} reach beyond buffer {} of {} bytes",
                                                            bytes, offset, id, buffer->bytes()));
    char* const data = buffer->data() + offset;
    return ChannelMemory{data, std::move(buffer)};
  }

  bool Packs() const override { return farm_.config().data_compression; }

  bool Ended() const override { return connection_.session->ended(); }

 private:
  Farm& farm_;
  Connection& connection_;
};

}  // namespace

std::unique_ptr<ChannelHost> Farm::OpenChannel(Connection& connection) {
  return std::make_unique<FarmChannel>(*this, connection);
}

}  // namespace rbc::server
