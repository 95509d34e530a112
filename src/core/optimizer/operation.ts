import type { OptimizeBody } from "../clusters/bodies.ts";
import type { Operation } from "../operation.ts";
import { parseTaskYaml } from "../task/parse.ts";
import { catalogFacts } from "./catalog-facts.ts";
import type { Dag } from "../task/task.ts";
import { placeDag, type TaskGraph } from "./placement.ts";
import { planLines } from "./plan-lines.ts";

/** `sky launch` without `-y` shows the plan before it asks. */
export const optimizeOperation: Operation<OptimizeBody, null> = {
  name: "optimizer.optimize",
  wireName: "optimize",
  schedule: "short",
  isResumable: false,
  run: async (body, context) => {
    const dag = parseTaskYaml(body.dag, {
      side: "server",
      facts: catalogFacts(context.catalogs),
      warn: (message) => context.log.line(message),
    });
    const minimize = body.minimize === 1 ? "time" : "cost";
    const placement = await placeDag(graphOf(dag), context, { minimize });
    context.log.line(planLines(placement).join("\n"));
    return null;
  },
};

/** The tasks of a pipeline run one after the other, those of a job group side by side. */
function graphOf(dag: Dag): TaskGraph {
  const isSerial = dag.execution === "serial";
  const edges = dag.tasks.flatMap((_, at): [number, number][] => (at === 0 || !isSerial ? [] : [[at - 1, at]]));
  return { tasks: dag.tasks, edges };
}
