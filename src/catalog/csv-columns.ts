/** Columns of a `vms.csv` in the layout of SkyPilot 0.14.1, in three parts in the order in which they are written. */

/** Which type it is, and how large. */
export const SIZE_COLUMNS = [
  "InstanceType",
  "AcceleratorName",
  "AcceleratorCount",
  "vCPUs",
  "MemoryGiB",
  "GpuInfo",
] as const;

/** Where it is sold and for how much. */
export const PLACE_COLUMNS = ["Price", "SpotPrice", "Region", "AvailabilityZone"] as const;

/** What else is known of the type. */
export const DETAIL_COLUMNS = [
  "Arch",
  "LocalDiskType",
  "NVMeSupported",
  "LocalDiskSize",
  "LocalDiskCount",
  "MaximumEfaInterfaces",
] as const;
