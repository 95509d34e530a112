import type { InstanceTypeInfo } from "@aws-sdk/client-ec2";
import { expect, it } from "vitest";
import { toInstanceType } from "./instance-types.ts";

function gpus(type: string, device: { Name: string; Count: number; MiB: number }): InstanceTypeInfo {
  const { Name, Count, MiB } = device;
  return {
    InstanceType: type,
    GpuInfo: { Gpus: [{ Name, Count, MemoryInfo: { SizeInMiB: MiB } }], TotalGpuMemoryInMiB: MiB * Count },
  } as InstanceTypeInfo;
}

it("says what EC2 says", () => {
  const info = {
    InstanceType: "c6id.2xlarge",
    VCpuInfo: { DefaultVCpus: 8 },
    MemoryInfo: { SizeInMiB: 16_384 },
    ProcessorInfo: { SupportedArchitectures: ["x86_64"] },
    InstanceStorageInfo: { Disks: [{ SizeInGB: 474, Count: 1, Type: "ssd" }], NvmeSupport: "required" },
    NetworkInfo: { EfaSupported: false },
  } as InstanceTypeInfo;
  expect(toInstanceType(info)).toEqual({
    name: "c6id.2xlarge",
    vcpus: 8,
    memoryGib: 16,
    accelerator: undefined,
    isGpu: false,
    arch: "x86_64",
    localDisk: { medium: "ssd", isNvme: true, sizeGb: 474, count: 1 },
    efaInterfaces: undefined,
  });
});

it.each([
  ["p3dn.24xlarge", { Name: "V100", Count: 8, MiB: 32_768 }, "V100-32GB", 8],
  ["p4de.24xlarge", { Name: "A100", Count: 8, MiB: 81_920 }, "A100-80GB", 8],
  ["p5en.48xlarge", { Name: "H100", Count: 0, MiB: 144_384 }, "H200", 8],
  ["p5.4xlarge", { Name: "H100", Count: 0, MiB: 81_920 }, "H100", 1],
  ["g6f.large", { Name: "L4", Count: 0, MiB: 2861 }, "L4", 0.125],
  ["gr6f.4xlarge", { Name: "L4", Count: 0, MiB: 11_444 }, "L4", 0.5],
  ["g7e.2xlarge", { Name: "RTX PRO 6000", Count: 1, MiB: 98_304 }, "RTXPRO6000", 1],
  ["g5.xlarge", { Name: "A10G", Count: 1, MiB: 22_888 }, "A10G", 1],
])("%s has the accelerator that users ask for", (type, device, name, count) => {
  expect(toInstanceType(gpus(type, device)).accelerator).toEqual({ name, count, memoryMib: device.MiB });
});

it("knows Neuron devices and FPGAs", () => {
  const neuron = {
    InstanceType: "trn1.2xlarge",
    NeuronInfo: { NeuronDevices: [{ Name: "Trainium", Count: 1, MemoryInfo: { SizeInMiB: 32_768 } }] },
  } as InstanceTypeInfo;
  expect(toInstanceType(neuron)).toMatchObject({
    isGpu: true,
    accelerator: { name: "Trainium", count: 1, memoryMib: 32_768 },
  });
  const fpga = { InstanceType: "f2.6xlarge", FpgaInfo: { Fpgas: [{ Name: "VU47P", Count: 1 }] } } as InstanceTypeInfo;
  expect(toInstanceType(fpga)).toMatchObject({ isGpu: false, accelerator: { name: "VU47P", count: 1 } });
});
