import { NoCloudAccessError } from "../../shared/errors.ts";
import type { OperationContext } from "../operation.ts";
import type { Capability, CheckResult, Cloud, CloudContext } from "../ports/cloud.ts";

export interface CheckedCloud {
  readonly cloud: Cloud;
  readonly result: CheckResult;
}

/** Display names of clouds of the original, of which this release knows the name only. */
export const KNOWN_CLOUDS: Readonly<Record<string, string>> = {
  aws: "AWS",
  azure: "Azure",
  cudo: "Cudo",
  do: "DO",
  fluidstack: "Fluidstack",
  gcp: "GCP",
  hyperbolic: "Hyperbolic",
  ibm: "IBM",
  kubernetes: "Kubernetes",
  lambda: "Lambda",
  mithril: "Mithril",
  nebius: "Nebius",
  oci: "OCI",
  paperspace: "Paperspace",
  primeintellect: "PrimeIntellect",
  runpod: "RunPod",
  scp: "SCP",
  seeweb: "Seeweb",
  shadeform: "Shadeform",
  slurm: "Slurm",
  ssh: "SSH",
  vast: "Vast",
  verda: "Verda",
  vsphere: "vSphere",
  yotta: "Yotta",
};

/** How users call a cloud: `aws` → `AWS`. */
export function displayNameOf(key: string): string {
  return key === "local" ? "Local" : (KNOWN_CLOUDS[key] ?? key);
}

/** Checks clouds side by side; `names` absent: every one that the server's config allows. */
export async function checkClouds(
  context: OperationContext,
  options: { readonly names?: readonly string[]; readonly workspace?: string; readonly withNodes?: boolean } = {},
): Promise<readonly CheckedCloud[]> {
  const workspace = options.workspace ?? context.caller.workspace;
  const allowed = allowedClouds(context, workspace);
  const names = context.clouds.names().filter((name) => allowed(name) && (options.names?.includes(name) ?? true));
  const cloudContext: CloudContext = {
    workspace,
    config: context.config,
    env: context.clientEnv,
    isLocalClient: context.isLocalClient ?? false,
    signal: context.signal,
  };
  const loaded = await Promise.all(names.map((name) => context.clouds.load(name)));
  const clouds = loaded.filter((cloud) => options.withNodes !== true || cloud.hasNodes !== false);
  return Promise.all(clouds.map(async (cloud) => ({ cloud, result: await cloud.check(cloudContext) })));
}

/** The clouds that tasks may use. Throws NoCloudAccessError when there is none. */
export async function requireEnabledClouds(context: OperationContext): Promise<readonly Cloud[]> {
  const clouds = (await checkClouds(context, { withNodes: true })).filter(({ result }) =>
    result.enabled.includes("compute"),
  );
  if (clouds.length === 0) throw new NoCloudAccessError("Cloud access is not set up. Run: sky check");
  return clouds.map(({ cloud }) => cloud);
}

export function capabilitiesText(capabilities: readonly Capability[]): string {
  return `[${[...capabilities].sort().join(", ")}]`;
}

/** `allowed_clouds` and the workspace's `<cloud>.disabled`, as the config has them. This machine is always allowed. */
function allowedClouds(context: OperationContext, workspace: string): (name: string) => boolean {
  const list = context.config["allowed_clouds"];
  const names = Array.isArray(list) ? list.map((name) => String(name).toLowerCase()) : undefined;
  const workspaces = asRecord(context.config["workspaces"]);
  const own = asRecord(workspaces[workspace]);
  return (name) => {
    if (names !== undefined && !names.includes(name) && name !== "local") return false;
    return asRecord(own[name])["disabled"] !== true;
  };
}

function asRecord(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null ? (value as Readonly<Record<string, unknown>>) : {};
}
