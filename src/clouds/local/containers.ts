import { join } from "node:path";
import { readContainerRecord, removeContainer } from "../../platform/container-record.ts";
import { OperationFailedError } from "../../shared/errors.ts";
import type { LocalNode } from "./allocations.ts";
import { nodeDir, type LocalPaths } from "./paths.ts";

/** Removes what agents that were killed have left behind; others remove their containers themselves. */
export async function removeContainers(
  nameOnCloud: string,
  nodes: readonly LocalNode[],
  tools: { readonly paths: LocalPaths; readonly engineEnv: Readonly<Record<string, string>> },
): Promise<void> {
  await Promise.all(
    nodes.map(async ({ index }) => {
      const record = readContainerRecord(join(nodeDir(tools.paths, nameOnCloud, index), "agent"));
      const reason = record === undefined ? undefined : await removeContainer(record, tools.engineEnv);
      if (record === undefined || reason === undefined) return;
      throw new OperationFailedError(`The container ${record.name} cannot be removed: ${reason}`, {
        hint: `Remove it and repeat the command: ${record.engine.join(" ")} rm --force ${record.name}`,
      });
    }),
  );
}
