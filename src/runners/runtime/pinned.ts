/** Platforms on which the agent runs. */
export type NodeArch = "x64" | "arm64";

/** The Node runtime that is shipped to nodes of one platform. */
export interface PinnedRuntime {
  readonly arch: NodeArch;
  /** As `node --version` prints it. */
  readonly version: string;
  /** npm package that has it as `bin/node`. */
  readonly packageName: string;
  /** Path below the registry. */
  readonly tarballPath: string;
  /** Hex digits of the tarball's SHA-512, the package's integrity. */
  readonly tarballSha512: string;
  /** Hex digits of the program's SHA-256. */
  readonly sha256: string;
  /** Bytes of the program. */
  readonly size: number;
}

const VERSION = "24.21.0";

/** A test compares it with package-lock.json, so that an update of the one is an update of both. */
export const pinnedRuntimes = {
  x64: pin("x64", {
    tarballSha512:
      "de750bb336795f47dc898a46d2de93add029273027f3e16520d3fa3a2317ed5f07aefa404cf37ddfa5352e545e389ae22d16b87bcc84a900580a72f23cd02ced",
    sha256: "7fde7b8afa198da66257f42ee2001d874c7355631e6d1579a5fb5ef1f246df4c",
    size: 126_595_440,
  }),
  arm64: pin("arm64", {
    tarballSha512:
      "1692513c4cf63afbd32df8c83a5346158f492cf30a825e66f9de2819804b836e242759a6bcdd5997f1cf2601781c3689e752127afd65d5c459fc333e91e5d6e6",
    sha256: "0f8949d1028f6d61506b2d5bc57e7e6fe893d7b1997509b7847294fc9c616584",
    size: 122_893_672,
  }),
} as const satisfies Record<NodeArch, PinnedRuntime>;

function pin(arch: NodeArch, rest: Pick<PinnedRuntime, "tarballSha512" | "sha256" | "size">): PinnedRuntime {
  const packageName = `node-linux-${arch}`;
  const tarballPath = `${packageName}/-/${packageName}-${VERSION}.tgz`;
  return { arch, version: `v${VERSION}`, packageName, tarballPath, ...rest };
}

/** Name of its folder on nodes. */
export function runtimeFolder(runtime: PinnedRuntime): string {
  return `runtime-${runtime.sha256.slice(0, 16)}`;
}
