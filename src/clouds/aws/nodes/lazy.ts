import type { AwsNodes, AwsNodesOptions } from "./nodes.ts";
import { usesReservations } from "./settings.ts";

/** The nodes of AWS, whose code loads at the first call: that of EC2 takes half a second and 80 MB, which only its users should pay. */
export function lazyNodes(options: AwsNodesOptions): AwsNodes {
  let loading: Promise<AwsNodes> | undefined;
  const nodes = (): Promise<AwsNodes> => {
    loading ??= import("./nodes.ts").then((module) => module.createAwsNodes(options));
    return loading;
  };
  return {
    withPrepaid: async (offers, context) =>
      usesReservations(context) ? (await nodes()).withPrepaid(offers, context) : offers,
    limits: async (...args) => (await nodes()).limits(...args),
    savedDisks: {
      save: async (...args) => (await nodes()).savedDisks.save(...args),
      drop: async (...args) => (await nodes()).savedDisks.drop(...args),
    },
    run: async (...args) => (await nodes()).run(...args),
    query: async (...args) => (await nodes()).query(...args),
    queryMany: async (...args) => (await nodes()).queryMany(...args),
    stop: async (...args) => (await nodes()).stop(...args),
    terminate: async (...args) => (await nodes()).terminate(...args),
    setPowerOff: async (...args) => (await nodes()).setPowerOff(...args),
    findClusters: async (...args) => (await nodes()).findClusters(...args),
    explainLoss: async (...args) => (await nodes()).explainLoss(...args),
    openPorts: async (...args) => (await nodes()).openPorts(...args),
    ssmDoor: { run: async (...args) => (await nodes()).ssmDoor.run(...args) },
    runner: async (...args) => (await nodes()).runner(...args),
  };
}
