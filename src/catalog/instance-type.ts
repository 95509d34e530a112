/** What one instance type is made of. Amounts that a catalog does not know are undefined, never guessed. */
export interface InstanceType {
  /** The provider's name; empty for an accelerator that is attached to other types (GCP). */
  readonly name: string;
  readonly vcpus: number | undefined;
  readonly memoryGib: number | undefined;
  readonly accelerator: AcceleratorOfType | undefined;
  /** The catalog describes the devices, so that lists of GPUs show the type. */
  readonly isGpu: boolean;
  /** E.g. `x86_64`, `arm64`. */
  readonly arch: string | undefined;
  readonly localDisk: LocalDiskOfType | undefined;
  /** Elastic Fabric Adapters that fit; undefined: none, or unknown. */
  readonly efaInterfaces: number | undefined;
}

export interface AcceleratorOfType {
  readonly name: string;
  /** May be a fraction of a device. */
  readonly count: number;
  /** Memory of one device. */
  readonly memoryMib: number | undefined;
}

export interface LocalDiskOfType {
  readonly medium: "ssd" | "hdd";
  readonly isNvme: boolean;
  /** Of one disk, in GB. */
  readonly sizeGb: number;
  readonly count: number;
}

/** Where an instance type is sold and for how much. */
export interface Place {
  readonly region: string;
  /** The account's name for the zone where its mapping is known, else the provider's id; undefined: a cloud without zones. */
  readonly zone: string | undefined;
  /** USD per hour; undefined = unknown. */
  readonly onDemandUsd: number | undefined;
  readonly spotUsd: number | undefined;
}

/** Narrows a question to a region (ignoring case) and a zone. */
export interface Where {
  readonly region?: string | undefined;
  readonly zone?: string | undefined;
}
