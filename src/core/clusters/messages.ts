/** Lines that a launch writes, with the colours and in the words of SkyPilot 0.14.1. */
import type { LostWithNode } from "../../shared/agent/protocol.ts";
import type { Offer } from "../ports/cloud.ts";

const RESET = "\u001b[0m";
const BOLD = "\u001b[1m";
const DIM = "\u001b[2m";
const RED = "\u001b[31m";
const GREEN = "\u001b[32m";
const YELLOW = "\u001b[33m";

export function dim(text: string): string {
  return `${DIM}${text}${RESET}`;
}

export function yellow(text: string): string {
  return `${YELLOW}${text}${RESET}`;
}

/** What follows a line that has a log of its own. */
function viewProvisionLog(clusterName: string): string {
  return `${DIM}View logs: ${BOLD}sky logs --provision ${clusterName}${RESET}${RESET}`;
}

export function viewServerLog(path: string): string {
  return dim(`View logs: sky api logs -l ${path}`);
}

export function lostWithNode({ node, what, isKept = false }: LostWithNode): string {
  const fate = isKept
    ? `stays on the disk of node ${node}, and is sent when that starts again`
    : `is lost with node ${node}`;
  return `WARNING: ${what} It ${fate}.`;
}

/** Text of a spinner, in the markup that clients know. */
export function spinner(message: string, hint?: string): string {
  return `[bold cyan]${message}[/]${hint === undefined ? "" : `  ${hint}`}`;
}

export function launchSpinner(message: string, clusterName: string): string {
  return spinner(message, viewProvisionLog(clusterName));
}

export function blockedSpinner(clusterName: string): string {
  return spinner(
    "Launching - blocked by other requests",
    dim(`Check concurrent requests: sky api status -v | grep ${clusterName}`),
  );
}

export function launchingOn(displayName: string, offer: Offer): string {
  const region = offer.region === offer.cloud ? "" : ` ${offer.region}`;
  const zone = offer.zone === null ? "" : ` (${offer.zone})`;
  return `${RESET}⚙︎ Launching on ${displayName}${region}${RESET}${zone}.`;
}

/** `isLast`: no line about a container follows. */
export function instancesAreUp(count: number, isLast = true): string {
  return `${DIM}${isLast ? "└──" : "├──"} ${RESET}${DIM}${count === 1 ? "Instance is up." : "Instances are up."}${RESET}`;
}

/** One place that did not take the cluster, below the line of its region. */
export function refused(place: string, reason: string): string {
  const [first = ""] = reason.split("\n");
  // Where several subnets were tried, each refusal begins with its zone.
  const text = first.startsWith(`${place}: `) ? first.slice(place.length + 2) : first;
  return `${DIM}├── ${RESET}${YELLOW}${place}${RESET}${DIM}: ${text}${RESET}`;
}

export const CONTAINER_IS_UP = `${DIM}└── ${RESET}${DIM}Docker container is up.${RESET}`;

export function success(text: string, hint?: string): string {
  return `${RESET}${GREEN}✓ ${text}${RESET}${RESET}${hint === undefined ? "" : `  ${hint}`}`;
}

export function clusterLaunched(clusterName: string): string {
  return success(`Cluster launched: ${clusterName}.`, viewProvisionLog(clusterName));
}

export function failure(text: string, hint: string): string {
  return `${RESET}${RED}⨯${RESET} ${text}  ${hint}`;
}

export function provisionFailed(clusterName: string): string {
  return failure("Failed to provision resources.", viewProvisionLog(clusterName));
}

export function step(text: string): string {
  return `${RESET}⚙︎ ${text}`;
}

export function nodesText(count: number): string {
  return `${count} node${count === 1 ? "" : "s"}`;
}
