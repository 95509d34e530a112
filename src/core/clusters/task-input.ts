import { createHash } from "node:crypto";
import { InvalidValueError, NotAvailableYetError } from "../../shared/errors.ts";
import type { Resources } from "../resources/resources.ts";
import { dumpDag } from "../task/dump.ts";
import { catalogFacts } from "../optimizer/catalog-facts.ts";
import { remoteMounts } from "../storage/mounts.ts";
import { parseTaskYaml } from "../task/parse.ts";
import type { Dag, Task } from "../task/task.ts";
import type { OperationContext } from "../operation.ts";

export interface TaskInput {
  readonly task: Task;
  /** The user's text for display; without the values of secrets. */
  readonly displayYaml: string;
}

/** Reads the one task of a launch or exec body. Throws InvalidConfigError and the like, and refuses pipelines. */
export function readTask(text: string, context: OperationContext): TaskInput {
  const dag = parseTaskYaml(text, {
    side: "server",
    facts: catalogFacts(context.catalogs),
    warn: (message) => context.log.line(message),
  });
  const [task] = dag.tasks;
  if (task === undefined || dag.tasks.length !== 1) {
    throw new InvalidValueError(
      `Only single-task DAGs can be launched, got ${dag.tasks.length} tasks. Use \`sky jobs launch\` for pipelines.`,
    );
  }
  refuseUnavailable(task);
  return { task, displayYaml: displayOf(dag, task) };
}

function displayOf(dag: Dag, task: Task): string {
  const hasSecrets = Object.keys(task.secrets).length > 0;
  if (!hasSecrets && task.userSpecifiedYaml !== undefined) return task.userSpecifiedYaml;
  return dumpDag(dag, { redactSecrets: true });
}

function refuseUnavailable(task: Task): void {
  remoteMounts(task);
  if (Object.keys(task.volumes).length > 0)
    throw new NotAvailableYetError("Volumes are not available in this version.");
  if (task.managedSecretNames.length > 0 || task.managedSecrets.length > 0) {
    throw new NotAvailableYetError("Secrets of a secret provider are not available in this version.");
  }
}

/** What decides whether a launch may skip setup: the setup itself and the resources. */
export function configHash(task: Task, resources: Resources): string {
  const parts = [
    task.setup ?? "",
    task.numNodes,
    resources.cpus,
    resources.memory,
    resources.accelerators,
    resources.ports,
  ];
  return createHash("sha256").update(JSON.stringify(parts)).digest("hex");
}

/** The task's environment: envs with the secrets over them. */
export function revealSecrets(task: Task): Record<string, string> {
  return Object.fromEntries(Object.entries(task.secrets).map(([name, secret]) => [name, secret.reveal()]));
}
