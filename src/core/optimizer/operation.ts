import type { OptimizeBody } from "../clusters/bodies.ts";
import type { Operation } from "../operation.ts";
import { parseTaskYaml } from "../task/parse.ts";
import { considered, rankOffers } from "./optimize.ts";

/** `sky launch` without `-y` shows the table before it asks. */
export const optimizeOperation: Operation<OptimizeBody, null> = {
  name: "optimizer.optimize",
  wireName: "optimize",
  schedule: "short",
  isResumable: false,
  run: async (body, context) => {
    const dag = parseTaskYaml(body.dag, { side: "server", warn: (message) => context.log.line(message) });
    for (const task of dag.tasks) {
      context.log.line(considered(await rankOffers(task, context), task.numNodes).join("\n"));
    }
    return null;
  },
};
