import { InvalidValueError } from "../../shared/errors.ts";
import type { Operation, OperationContext } from "../operation.ts";
import type { EndpointsBody } from "./bodies.ts";
import { requireUpCluster } from "./cluster.ts";

export const endpointsOperation: Operation<EndpointsBody, Readonly<Record<string, string>>> = {
  name: "clusters.endpoints",
  wireName: "endpoints",
  schedule: "short",
  isResumable: false,
  run: runEndpoints,
};

/** Port → URL on the head node. */
async function runEndpoints(body: EndpointsBody, context: OperationContext): Promise<Readonly<Record<string, string>>> {
  const cluster = await requireUpCluster(context.db, body.cluster, "Getting endpoints");
  const head = cluster.instances[0];
  const address = head?.externalIp ?? head?.internalIp ?? "";
  const open = cluster.ports.flatMap(expandRange);
  const wanted = body.port === null || body.port === undefined ? open : [Number(body.port)];
  const closed = wanted.filter((port) => !open.includes(port));
  if (closed.length > 0) {
    throw new InvalidValueError(`Port ${closed.join(", ")} is not exposed on cluster '${body.cluster}'.`, {
      hint: "Add it to `resources.ports` of the task and launch it on the cluster again.",
    });
  }
  return Object.fromEntries(wanted.map((port) => [String(port), `http://${address}:${port}`]));
}

function expandRange(range: string): readonly number[] {
  const [first = Number.NaN, last = first] = range.split("-").map(Number);
  return Array.from({ length: last - first + 1 }, (_, index) => first + index);
}
