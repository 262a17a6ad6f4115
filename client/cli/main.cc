// The `rbc` command: a farm's targets and status, compiling and calling from a shell.
// SPDX-License-Identifier: Apache-2.0
#include "client/cli/cli.h"

int main(int argc, char** argv) { return rbc::cli::Main(argc, argv); }
