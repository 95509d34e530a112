/** May a task that asks for some resources run where others were launched. */

import { nodeOf } from "../../shared/yaml-node.ts";
import { pyRepr } from "../../shared/yaml-repr.ts";
import { coversPorts } from "./ports.ts";
import type { DiskTier, Infra, Resources } from "./resources.ts";

export interface CompareOptions {
  /** Ports can often be opened later, so they count only when asked for; default false. */
  readonly checkPorts?: boolean;
  /** Whether the place counts; default true. */
  readonly checkCloud?: boolean;
}

/** cpus and memory do not count: the machine is there, and the task shares it. */
export function lessDemandingThan(wanted: Resources, launched: Resources, options: CompareOptions = {}): boolean {
  if (options.checkCloud !== false && !fitsPlace(wanted.infra, launched.infra)) return false;
  if (options.checkPorts === true && !coversPorts(launched.ports ?? [], wanted.ports ?? [])) return false;
  return (
    fitsMachine(wanted, launched) &&
    fitsImage(wanted, launched) &&
    fitsAccelerators(wanted, launched) &&
    fitsDiskTier(wanted.diskTier, launched.diskTier) &&
    fitsNetwork(wanted, launched) &&
    fitsLocalDisk(wanted.localDisk, launched.localDisk)
  );
}

function fitsMachine(wanted: Resources, launched: Resources): boolean {
  if (wanted.instanceType !== undefined && wanted.instanceType !== launched.instanceType) return false;
  return wanted.useSpot === undefined || wanted.useSpot === (launched.useSpot === true);
}

function fitsPlace(wanted: Infra, launched: Infra): boolean {
  return (
    (wanted.cloud === undefined || wanted.cloud === launched.cloud) &&
    (wanted.region === undefined || wanted.region === launched.region) &&
    (wanted.zone === undefined || wanted.zone === launched.zone)
  );
}

function fitsImage(wanted: Resources, launched: Resources): boolean {
  if (wanted.imageId === undefined) return true;
  if (launched.imageId === undefined) return false;
  const region = launched.infra.region ?? null;
  const image = (resources: Resources): string | undefined =>
    resources.imageId?.get(region) ?? resources.imageId?.get(null);
  const docker = (resources: Resources): string | undefined => resources.imageId?.get("docker");
  const same = image(wanted) === image(launched) && docker(wanted) === docker(launched);
  return same && (image(wanted) !== undefined || docker(wanted) !== undefined || sameMaps(wanted, launched));
}

function sameMaps(a: Resources, b: Resources): boolean {
  return pyRepr(nodeOf(a.imageId)) === pyRepr(nodeOf(b.imageId));
}

function fitsAccelerators(wanted: Resources, launched: Resources): boolean {
  if (wanted.accelerators === undefined) return true;
  const { accelerators: have } = launched;
  if (have === undefined || have.name.toLowerCase() !== wanted.accelerators.name.toLowerCase()) return false;
  if (wanted.accelerators.count > have.count) return false;
  const args = wanted.acceleratorArgs;
  return args === undefined || pyRepr(nodeOf(args)) === pyRepr(nodeOf(launched.acceleratorArgs));
}

const DISK_ORDER: readonly DiskTier[] = ["low", "medium", "high", "ultra"];

function fitsDiskTier(wanted: DiskTier | undefined, launched: DiskTier | undefined): boolean {
  if (wanted === undefined) return true;
  if (launched === undefined) return false;
  return wanted === "best" || launched === "best" || DISK_ORDER.indexOf(wanted) <= DISK_ORDER.indexOf(launched);
}

function fitsNetwork(wanted: Resources, launched: Resources): boolean {
  if (wanted.networkTier === undefined) return true;
  return launched.networkTier === "best" || wanted.networkTier === launched.networkTier;
}

function fitsLocalDisk(wanted: string | undefined, launched: string | undefined): boolean {
  if (wanted === undefined) return true;
  if (launched === undefined) return false;
  const [mode, size = ""] = wanted.split(":");
  const [haveMode, haveSize = ""] = launched.split(":");
  const isFast = mode === "ssd" || haveMode === "nvme";
  const need = Number.parseFloat(size);
  const have = Number.parseFloat(haveSize);
  return isFast && (size.endsWith("+") ? have >= need : haveSize.endsWith("+") ? have <= need : have === need);
}
