import { AgentPeerError } from "../../shared/agent/peer-error.ts";
import type { SubmitParams } from "../../shared/agent/protocol.ts";
import { isVariableName } from "../tasks/prologue.ts";

/** Refuses a submission that the agent could not run, with BAD_PARAMS. */
export function assertSubmit(params: SubmitParams, clusterNodes: number): void {
  const { numNodes, demand } = params;
  check(typeof params.key === "string" && params.key !== "", "The submission has no idempotency key.");
  check(isText(params.setup) || isText(params.run), "Run commands not specified or empty.");
  check(Number.isInteger(numNodes) && numNodes >= 1, "The number of nodes must be a positive integer.");
  check(numNodes <= clusterNodes, `The job asks for ${numNodes} nodes, the cluster has ${clusterNodes}.`);
  const amounts = [demand.cpus ?? 0, demand.memoryGib ?? 0, ...Object.values(demand.accelerators)];
  check(
    amounts.every((amount) => Number.isFinite(amount) && amount >= 0),
    "The job's resources are not numbers.",
  );
  for (const [name, value] of Object.entries({ ...params.envs, ...params.secrets })) {
    check(isVariableName(name), `${JSON.stringify(name)} cannot be the name of a variable.`);
    // The value may be secret: it is not shown.
    check(typeof value === "string" && !value.includes("\0"), `The value of ${name} has a NUL byte.`);
  }
}

function check(condition: boolean, message: string): void {
  if (!condition) throw new AgentPeerError("BAD_PARAMS", message);
}

function isText(value: unknown): boolean {
  return typeof value === "string" && value.trim() !== "";
}

/** A blank script counts as none. */
export function withoutBlanks(params: SubmitParams): SubmitParams {
  const { setup, run, ...rest } = params;
  return {
    ...rest,
    ...(setup !== undefined && isText(setup) ? { setup } : {}),
    ...(run !== undefined && isText(run) ? { run } : {}),
  };
}
