import { OperationFailedError, ResourcesUnavailableError } from "../../shared/errors.ts";
import type { RankedOffer } from "../optimizer/candidates.ts";
import type { Refusal } from "../provision/attempt.ts";
import { resourcesText } from "./record.ts";

/** A place that was asked, or ruled out, and why it did not take the cluster. */
export interface Failure extends Refusal {
  readonly place: RankedOffer;
}

interface Wish {
  readonly clusterName: string;
  readonly numNodes: number;
  /** The status before, of a cluster that was up once: its nodes cannot go elsewhere. */
  readonly boundStatus: string | undefined;
}

/** No place took the cluster: lists every one with its own reason, the zones of a region under one head. */
export function reportFailures(failures: readonly Failure[], wish: Wish): ResourcesUnavailableError {
  const { numNodes, clusterName, boundStatus } = wish;
  const texts = [...new Set(failures.map(({ place }) => resourcesText(place.offer, numNodes, true)))];
  const groups = groupByRegion(failures, numNodes);
  const head =
    boundStatus === undefined
      ? `Failed to provision all possible launchable resources. Relax the task's resource requirements: ${texts.join(", ")}`
      : `Failed to launch cluster '${clusterName}' (previous status: ${boundStatus}). To retry launching the cluster, run: sky start ${clusterName}`;
  const lines = [
    head,
    "To keep retrying until the cluster is up, use the `--retry-until-up` flag.",
    "Reasons for provision failures (for details, please check the log above):",
    `Provision failures (tried ${groups.length} infra):`,
    ...groups.flatMap((group) => ["", group.head, ...group.lines]),
  ];
  const hints = [...new Set(failures.flatMap((failure) => failure.hint ?? []))];
  const isHopeless = failures.every(({ scope }) => scope === "cloud" || scope === "request");
  return new ResourcesUnavailableError(lines.join("\n"), {
    noFailover: isHopeless,
    ...(hints.length === 0 ? {} : { hint: hints.join("\n") }),
  });
}

interface Group {
  readonly head: string;
  readonly lines: readonly string[];
}

function groupByRegion(failures: readonly Failure[], numNodes: number): readonly Group[] {
  const groups = new Map<string, Failure[]>();
  for (const failure of failures) {
    const { displayName, offer } = failure.place;
    const region = offer.region === offer.cloud ? displayName : `${displayName} (${offer.region})`;
    const head = `✗ ${region} — ${resourcesText(offer, numNodes, false)}`;
    groups.set(head, [...(groups.get(head) ?? []), failure]);
  }
  return [...groups].map(([head, own]) => ({ head, lines: own.map((failure) => `  ${reasonLine(failure)}`) }));
}

function reasonLine({ place, reason, scope }: Failure): string {
  const isOfZone = scope === "zone" && place.offer.zone !== null;
  // A reason of several lines stays below its place.
  const text = reason.split("\n").join("\n  ");
  return isOfZone && !reason.includes(place.offer.zone ?? "") ? `${place.offer.zone}: ${text}` : text;
}

/** What an attempt left behind cannot be removed: going on would leak it. */
export function stopFailover(clusterName: string, cause: unknown): OperationFailedError {
  const detail = cause instanceof Error ? cause.message : String(cause);
  return new OperationFailedError(
    `During provisioner's failover, terminating '${clusterName}' failed. This can cause resource leakage. Please check the failure and the cluster status on the cloud, and manually terminate the cluster. Details: ${detail}`,
    { cause, hint: `Remove what is left with: sky down ${clusterName}` },
  );
}
