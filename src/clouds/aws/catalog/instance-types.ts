import type { InstanceTypeInfo } from "@aws-sdk/client-ec2";
import type { AcceleratorOfType, InstanceType, LocalDiskOfType } from "../../../catalog/instance-type.ts";

/** What EC2 says of a type, in the catalog's words. */
export function toInstanceType(info: InstanceTypeInfo): InstanceType {
  const name = info.InstanceType ?? "";
  const memoryMib = info.MemoryInfo?.SizeInMiB;
  return {
    name,
    vcpus: info.VCpuInfo?.DefaultVCpus,
    memoryGib: memoryMib === undefined ? undefined : memoryMib / 1024,
    accelerator: corrected(name, acceleratorOf(info)),
    isGpu: info.GpuInfo !== undefined || info.NeuronInfo !== undefined,
    arch: info.ProcessorInfo?.SupportedArchitectures?.[0],
    localDisk: localDiskOf(info),
    efaInterfaces: info.NetworkInfo?.EfaSupported === true ? info.NetworkInfo.EfaInfo?.MaximumEfaInterfaces : undefined,
  };
}

/** What GPUs, Neuron devices and FPGAs have in common. */
interface Device {
  readonly Name?: string | undefined;
  readonly Count?: number | undefined;
  readonly MemoryInfo?: { readonly SizeInMiB?: number | undefined } | undefined;
}

function acceleratorOf({ GpuInfo, NeuronInfo, FpgaInfo }: InstanceTypeInfo): AcceleratorOfType | undefined {
  const devices: readonly Device[] = GpuInfo?.Gpus ?? NeuronInfo?.NeuronDevices ?? FpgaInfo?.Fpgas ?? [];
  const [device] = devices;
  if (device?.Name === undefined) return undefined;
  return { name: device.Name, count: device.Count ?? 0, memoryMib: device.MemoryInfo?.SizeInMiB };
}

/** Names that EC2 gives to two devices, and counts that it leaves out. */
const CORRECTIONS: Readonly<Record<string, { readonly name?: string; readonly count?: number }>> = {
  "p3dn.24xlarge": { name: "V100-32GB" },
  "p4de.24xlarge": { name: "A100-80GB", count: 8 },
  "p5e.48xlarge": { name: "H200", count: 8 },
  "p5en.48xlarge": { name: "H200", count: 8 },
  "p5.4xlarge": { count: 1 },
};

/** Memory of a whole L4; EC2 gives a part of one as a device with less memory. */
const L4_MIB = 22_888;

function corrected(type: string, found: AcceleratorOfType | undefined): AcceleratorOfType | undefined {
  if (found === undefined) return undefined;
  if (/^gr?6f\./.test(type) && found.memoryMib !== undefined)
    return { ...found, count: Math.round((found.memoryMib / L4_MIB) * 1000) / 1000 };
  if (type.startsWith("g7e.")) return { ...found, name: "RTXPRO6000" };
  return { ...found, ...CORRECTIONS[type] };
}

function localDiskOf({ InstanceStorageInfo: storage }: InstanceTypeInfo): LocalDiskOfType | undefined {
  const [disk] = storage?.Disks ?? [];
  if (disk?.Type === undefined) return undefined;
  const isNvme = storage?.NvmeSupport === "required" || storage?.NvmeSupport === "supported";
  return { medium: disk.Type, isNvme, sizeGb: disk.SizeInGB ?? 0, count: disk.Count ?? 1 };
}
