// The peer that Thrift itself is measured by: 16 bytes there, 8 back.
// SPDX-License-Identifier: Apache-2.0
namespace cpp rbc.bench.wire

service Echo {
  double add(1: double a, 2: double b)
}
