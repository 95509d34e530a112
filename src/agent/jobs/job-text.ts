/** Texts of run.log: the original's, character for character. */

const DIM = "\u001b[2m";
const RED = "\u001b[31m";
const CYAN = "\u001b[36m";
const RESET = "\u001b[0m";

export function waitingText(numNodes: number): string {
  const nodes = numNodes === 1 ? "1 node" : `${numNodes} nodes`;
  return `${DIM}├── ${RESET}${DIM}Waiting for task resources on ${nodes}.${RESET}\n`;
}

export const STARTED_TEXT = `${DIM}└── ${RESET}Job started. Streaming logs... ${DIM}(Ctrl-C to exit log streaming; job will not be killed)${RESET}\n`;

/** `codes`: one per rank. */
export function failedText(jobId: number, codes: readonly number[]): string {
  return `ERROR: ${RED}Job ${jobId} failed with return code list:${RESET} [${codes.join(", ")}] ${failureReason(codes)}\n`;
}

function failureReason(codes: readonly number[]): string {
  const first = codes.find((code) => code !== 0 && code !== 137);
  if (codes.includes(137) && first !== undefined) {
    return `(A Worker failed with return code ${first}, SkyPilot cleaned up the processes on other nodes with return code 137)`;
  }
  return codes.includes(139) ? "(likely due to Segmentation Fault)" : "";
}

export interface FailedSetup {
  readonly pid: number;
  readonly code: number;
}

export function setupFailedText(jobId: number, failed: readonly FailedSetup[]): string {
  const workers = failed.map(({ pid, code }) => `(pid=${pid}, returncode=${code})`).join(", ");
  return `ERROR: ${RED}Job ${jobId}'s setup failed. Failed workers: ${workers}. See error logs above for more details.${RESET}\n`;
}

/** Why a job ended that its own processes did not end. */
export function lostText(jobId: number, reason: string): string {
  return `ERROR: ${RED}Job ${jobId} failed: ${reason}${RESET}\n`;
}

interface NodeAddress {
  readonly index: number;
  readonly ip: string;
}

export function rebootedText(node: NodeAddress): string {
  return `node ${addressOf(node)} was rebooted.`;
}

/** For a process that went without an exit code and was not ended by the agent. */
export function goneText(pid: number, what: string, node: NodeAddress): string {
  return `process ${pid} of ${what} on ${addressOf(node)} is gone: it was killed, or the node ran out of memory.`;
}

function addressOf({ index, ip }: NodeAddress): string {
  return `${nodeName(index)} (${ip})`;
}

export interface PrefixOptions {
  /** Name of the task; null when it has none. */
  readonly taskName: string | null;
  /** Of the cluster, not of the job. */
  readonly numNodes: number;
  readonly node: NodeAddress;
  readonly pid: number;
}

export function rankPrefix(rank: number, options: PrefixOptions): string {
  const { taskName, numNodes, node, pid } = options;
  if (numNodes === 1) return `${CYAN}(${taskName ?? "task"}, pid=${pid})${RESET} `;
  if (node.index === 0) return `${CYAN}(head, rank=${rank}, pid=${pid})${RESET} `;
  return `${CYAN}(worker${node.index}, rank=${rank}, pid=${pid}, ip=${node.ip})${RESET} `;
}

export function setupPrefix({ node, pid }: PrefixOptions): string {
  return node.index === 0 ? `${CYAN}(setup pid=${pid})${RESET} ` : `${CYAN}(setup pid=${pid}, ip=${node.ip})${RESET} `;
}

/** Name of a node as users know it. */
export function nodeName(index: number): string {
  return index === 0 ? "head" : `worker${index}`;
}
