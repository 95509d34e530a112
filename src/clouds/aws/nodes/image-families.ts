import type { Offer } from "../../../core/ports/cloud.ts";

/** Whose images nodes run when the user names none: who publishes them, and under which names. */

export type Architecture = "x86_64" | "arm64";
export type ImageFamily = "ubuntu-22.04" | "ubuntu-24.04" | "gpu" | "gpu-legacy" | "neuron" | "neuron-legacy";

export interface ImageSource {
  /** Account ids by partition, or AWS's own alias, which stands for its accounts in every region. */
  readonly owners: Readonly<Record<"aws" | "aws-cn" | "aws-us-gov", string>>;
  /** Patterns, the one to be preferred first; `*` stands for the date. */
  readonly names: readonly [string, ...string[]];
  /**
   * Set when nothing new is published under these names: images that were made before it (ISO 8601) are wanted. EC2 marks public
   * images as deprecated after two years at most, and hides those unless they are asked for.
   */
  readonly madeBefore?: string;
}

/** Ids by partition: https://documentation.ubuntu.com/aws/aws-how-to/instances/find-ubuntu-images/ ("Verify the owner"). */
const CANONICAL = { aws: "099720109477", "aws-cn": "837727238323", "aws-us-gov": "513442679011" } as const;
/** `--owners amazon`, as in https://docs.aws.amazon.com/dlami/latest/devguide/find-dlami-id.html (898082745236 in most regions). */
const AMAZON = { aws: "amazon", "aws-cn": "amazon", "aws-us-gov": "amazon" } as const;

/** `ubuntu/images/hvm-ssd/ubuntu-jammy-22.04-amd64-server-20251212`, `ubuntu/images/hvm-ssd-gp3/ubuntu-noble-24.04-…`; same page. */
const ubuntu = (release: string, arch: string): ImageSource => ({
  owners: CANONICAL,
  names: [`ubuntu/images/hvm-ssd*/ubuntu-${release}-${arch}-server-*`],
});
const amazon = (...names: ImageSource["names"]): ImageSource => ({ owners: AMAZON, names });

const SOURCES: Readonly<Record<ImageFamily, Partial<Readonly<Record<Architecture, ImageSource>>>>> = {
  "ubuntu-22.04": { x86_64: ubuntu("jammy-22.04", "amd64"), arm64: ubuntu("jammy-22.04", "arm64") },
  "ubuntu-24.04": { x86_64: ubuntu("noble-24.04", "amd64"), arm64: ubuntu("noble-24.04", "arm64") },
  // https://docs.aws.amazon.com/dlami/latest/devguide/appendix-ami-release-notes.html: published for both in 2026, for g4dn to p6 on
  // x86, g5g and p6e on Arm. AWS ends a release of Ubuntu with a new name, so the next one stands in.
  gpu: {
    x86_64: amazon(
      "Deep Learning Base OSS Nvidia Driver GPU AMI (Ubuntu 22.04) *",
      "Deep Learning Base OSS Nvidia Driver GPU AMI (Ubuntu 24.04) *",
    ),
    arm64: amazon(
      "Deep Learning ARM64 Base OSS Nvidia Driver GPU AMI (Ubuntu 22.04) *",
      "Deep Learning ARM64 Base OSS Nvidia Driver GPU AMI (Ubuntu 24.04) *",
    ),
  },
  // The open kernel driver knows no GPU older than Turing. The closed one was published on Ubuntu 20.04 to the end (2025).
  "gpu-legacy": {
    x86_64: {
      ...amazon(
        "Deep Learning Base Proprietary Nvidia Driver GPU AMI (Ubuntu 22.04) *",
        "Deep Learning Base Proprietary Nvidia Driver GPU AMI (Ubuntu 20.04) *",
      ),
      madeBefore: "9999",
    },
  },
  // On Ubuntu 22.04 none since 2.29.0 (April 2026), on 24.04 since 2.27.0:
  // https://awsdocs-neuron.readthedocs-hosted.com/en/latest/release-notes/components/dlamis.html
  neuron: {
    x86_64: amazon("Deep Learning AMI Neuron (Ubuntu 24.04) *", "Deep Learning AMI Neuron (Ubuntu 22.04) *"),
  },
  // Inf1 has no driver in images after SDK 2.26.0 (same page); 2.26.1 is of 29 October 2025.
  "neuron-legacy": {
    x86_64: { ...amazon("Deep Learning AMI Neuron (Ubuntu 22.04) *"), madeBefore: "2025-10-20" },
  },
};

const LEGACY_GPU = /^(?:V100|P100|P4|M60|K80)(?:$|[-:])/iu;
const NEURON = /^(?:Trainium|Inferentia)/iu;
/** The first generation, Inf1. */
const LEGACY_NEURON = /^Inferentia(?:$|[-:])/iu;

/** Where the images of a family are found; undefined when nobody publishes one for the architecture. */
export function sourceOf(family: ImageFamily, architecture: Architecture): ImageSource | undefined {
  return SOURCES[family][architecture];
}

/** The family for nodes with these accelerators. */
export function familyFor(accelerators: readonly string[]): ImageFamily {
  const [name] = accelerators;
  if (name === undefined) return "ubuntu-22.04";
  if (LEGACY_NEURON.test(name)) return "neuron-legacy";
  if (NEURON.test(name)) return "neuron";
  return LEGACY_GPU.test(name) ? "gpu-legacy" : "gpu";
}

/** What a tag of SkyPilot's own image list (`skypilot:gpu-ubuntu-2204`) stands for; undefined when it says nothing of the kind. */
export function familyOfTag(tag: string): ImageFamily | undefined {
  const name = tag.replace(/^skypilot:/u, "");
  if (!/ubuntu/u.test(name)) return undefined;
  if (name.includes("neuron")) return "neuron";
  if (name.includes("k80")) return "gpu-legacy";
  if (name.includes("gpu")) return /cuda13|gpu-ubuntu-2/u.test(name) ? "gpu" : "gpu-legacy";
  return /2404|24\.04/u.test(name) ? "ubuntu-24.04" : "ubuntu-22.04";
}

/** As the catalog has it; else by the name: types with Arm processors have a `g` after the number of their generation: `m7g`, `c6gn`, `g5g`, `x2gd`; and `a1`. */
export function architectureOf({ instanceType, arch }: Pick<Offer, "instanceType" | "arch">): Architecture {
  if (arch !== undefined) return arch === "arm64" ? "arm64" : "x86_64";
  const family = instanceType.split(".")[0] ?? "";
  return family === "a1" || /^[a-z]+\d+[a-z]*g[a-z]*(?:-.*)?$/u.test(family) || family.startsWith("p6e-gb")
    ? "arm64"
    : "x86_64";
}
