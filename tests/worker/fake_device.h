// The fixture of tests of a worker's device: a GPU of the fake driver, the worker's buffers on it, and a module.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <gtest/gtest.h>
#include <unistd.h>

#include <memory>
#include <utility>
#include <vector>

#include "targets/cuda/gpu_device.h"
#include "tests/fake_cuda/fake_cuda.h"
#include "worker/device_buffers.h"
#include "worker/module_instance.h"

namespace rbc::worker {

class OnFakeDevice : public ::testing::Test {
 protected:
  void SetUp() override {
    SurroundingsOfDevices().driver = RBC_FAKE_CUDA;
    const int output = dup(STDOUT_FILENO);  // the device takes it for what kernels print
    auto device = cuda::OpenGpu(0);
    dup2(output, STDOUT_FILENO);
    close(output);
    ASSERT_TRUE(device) << device.error().message;
    device_ = *std::move(device);
    buffers_ = std::make_unique<DeviceBuffers>(*device_);
    BuffersOnDevice() = buffers_.get();
  }
  void TearDown() override {
    module_.reset();
    BuffersOnDevice() = nullptr;
    buffers_.reset();
    device_.reset();
    EXPECT_EQ(cuda::FakeCuda::Left("memory"), 0);
    EXPECT_EQ(cuda::FakeCuda::Left("streams"), 0);
  }

  // A module of these entries, numbered from 1, whose kernels do nothing.
  void Load(std::vector<EntryPoint> entries) {
    LoadBlob blob;
    blob.artifact.format = CodeFormat::kPtx;
    for (const EntryPoint& entry : entries) {
      blob.artifact.code += ".visible .entry " + entry.symbol + "()\n";
      blob.names.push_back(entry.symbol);
      blob.function_ids.push_back(blob.names.size());
    }
    blob.artifact.entries = std::move(entries);
    auto module = ModuleInstance::Make(1, std::move(blob), *device_);
    ASSERT_TRUE(module) << module.error().message;
    module_ = *std::move(module);
  }
  // As the daemon asks for it.
  Status Change(const DeviceStep& step) {
    struct {
      DeviceHead head{kDeviceMagic, DeviceRequest::kChange, 1, 0};
      DeviceStep step;
    } request{.step = step};
    return buffers_->Run({reinterpret_cast<const char*>(&request), sizeof request});
  }
  void MakeBuffer(uint32_t slot, uint64_t bytes) {
    const Status made = Change({slot, 0, bytes});
    ASSERT_TRUE(made) << made.error().message;
  }

  std::unique_ptr<Device> device_;
  std::unique_ptr<DeviceBuffers> buffers_;
  std::unique_ptr<ModuleInstance> module_;
};

}  // namespace rbc::worker
