// Maps and launches as calls: what a column may be, and what lies where.
// SPDX-License-Identifier: Apache-2.0
#include "server/pack_request.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>

#include "worker/launch_frame.h"

namespace rbc::server {
namespace {

using ::testing::HasSubstr;

constexpr uint64_t kMost = 1 << 20;

wire::Column ColumnOf(const std::vector<double>& values, int64_t stride = 8) {
  wire::Column column;
  column.dtype = "float64";
  column.data.assign(reinterpret_cast<const char*>(values.data()), values.size() * 8);
  column.stride = stride;
  return column;
}
FunctionDeclaration Add() { return {"add", "float64(float64, float64)", Abi::kDirect}; }
wire::MapRequest Request(int64_t rows, std::vector<wire::Column> columns) {
  wire::MapRequest request;
  request.rows = rows;
  request.columns = std::move(columns);
  return request;
}
std::string Why(const FunctionDeclaration& function, const wire::MapRequest& request) {
  const auto packed = PackMap(function, request, kMost);
  return packed ? "fine" : std::string(Name(packed.error().kind)) + ": " + packed.error().message;
}

template <typename T>
T At(const std::string& bytes, size_t offset) {
  T value;
  std::memcpy(&value, bytes.data() + offset, sizeof value);
  return value;
}

TEST(PackMap, LaysColumnsBehindTheirHead) {
  auto request = Request(3, {ColumnOf({1, 2, 3}), ColumnOf({9}, 0)});
  request.request_id = 12;
  request.__set_deadline_ms(50);
  const auto packed = PackMap(Add(), request, kMost);
  ASSERT_TRUE(packed) << packed.error().message;
  const auto& frame = packed->call.frame;
  const auto head = At<worker::MapHead>(frame, 0);
  EXPECT_EQ(head.rows, 3u);
  EXPECT_EQ(head.columns, 3u);
  EXPECT_EQ(head.magic, worker::kHeadMagic);
  const size_t memory = sizeof head + 3 * sizeof(worker::MapHeadColumn);
  const auto column = [&](size_t i) { return At<worker::MapHeadColumn>(frame, sizeof head + i * 16); };
  EXPECT_EQ(At<double>(frame, memory + column(0).offset + 2 * column(0).stride), 3.0);
  EXPECT_EQ(At<double>(frame, memory + column(1).offset), 9.0);
  EXPECT_EQ(column(1).stride, 0);
  EXPECT_EQ(column(2).stride, 8);
  EXPECT_EQ(column(2).offset, frame.size() - memory) << "the result lies in the zero bytes behind the frame";
  EXPECT_EQ(packed->call.return_from, static_cast<int32_t>(column(2).offset));
  EXPECT_EQ(packed->call.out_bytes, 24);
  EXPECT_EQ(packed->call.deadline_ms, 50);
  EXPECT_EQ(packed->call.request_id, 12);
  EXPECT_EQ(packed->result_type, "float64");
}

TEST(PackMap, RefusesWhatDoesNotFit) {
  EXPECT_EQ(Why(Add(), Request(0, {ColumnOf({}), ColumnOf({})})), "fine");
  EXPECT_THAT(Why(Add(), Request(1, {ColumnOf({1})})), HasSubstr("takes 2 columns and 1 are given"));
  EXPECT_THAT(Why(Add(), Request(-1, {ColumnOf({1}), ColumnOf({1})})), HasSubstr("-1 rows"));
  EXPECT_THAT(Why(Add(), Request(3, {ColumnOf({1, 2}), ColumnOf({1}, 0)})), HasSubstr("too few for 3 rows"));
  EXPECT_THAT(Why(Add(), Request(1, {ColumnOf({1}, -8), ColumnOf({1})})), HasSubstr("stride of -8"));
  EXPECT_THAT(Why(Add(), Request(int64_t{1} << 62, {ColumnOf({1}, 0), ColumnOf({1}, 0)})),
              HasSubstr("ResourceExhausted"));
  EXPECT_THAT(Why(Add(), Request(int64_t{1} << 62, {ColumnOf({1}, int64_t{1} << 62), ColumnOf({1}, 0)})),
              HasSubstr("too few"));
  auto other = ColumnOf({1});
  other.dtype = "int64";
  EXPECT_THAT(Why(Add(), Request(1, {other, ColumnOf({1})})), HasSubstr("holds `int64`, the parameter is `float64`"));
  other.dtype = "no type(";
  EXPECT_THAT(Why(Add(), Request(1, {other, ColumnOf({1})})), HasSubstr("InvalidArgument"));
  EXPECT_THAT(Why({"f", "float64(float64*)", Abi::kDirect}, Request(1, {ColumnOf({1})})), HasSubstr("Unsupported"));
  EXPECT_THAT(Why({"f", "void(float64)", Abi::kKernel}, Request(1, {ColumnOf({1})})), HasSubstr("launch it"));
}

TEST(PackLaunch, PutsTheGridBeforeTheFrame) {
  wire::LaunchRequest request;
  request.grid = {4, 2};
  request.block = {128};
  request.shared_bytes = 64;
  request.frame = "frame";
  const auto call = PackLaunch(request);
  ASSERT_TRUE(call);
  const auto head = At<worker::LaunchHead>(call->frame, 0);
  EXPECT_EQ(head.grid[0], 4u);
  EXPECT_EQ(head.grid[1], 2u);
  EXPECT_EQ(head.grid[2], 1u);
  EXPECT_EQ(head.block[0], 128u);
  EXPECT_EQ(head.shared_bytes, 64u);
  EXPECT_EQ(call->frame.substr(sizeof head), "frame");
  EXPECT_FALSE(call->__isset.return_from);
  for (const std::vector<int32_t>& bad : {std::vector<int32_t>{}, {0}, {1, -1}, {1, 1, 1, 1}}) {
    request.grid = bad;
    EXPECT_FALSE(PackLaunch(request));
    request.grid = {1};
    request.block = bad;
    EXPECT_FALSE(PackLaunch(request));
    request.block = {1};
  }
  request.shared_bytes = -1;
  EXPECT_FALSE(PackLaunch(request));
}

}  // namespace
}  // namespace rbc::server
