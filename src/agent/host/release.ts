import { createHash } from "node:crypto";
import { existsSync, readdirSync, readFileSync, rmdirSync } from "node:fs";
import { userInfo } from "node:os";
import { join } from "node:path";
import { engineEnvironment, readContainerRecord, removeContainer } from "../../platform/container-record.ts";
import { removeOutsideLinks } from "../../platform/outside-links.ts";
import { removeTree } from "../../platform/remove-tree.ts";
import { systemClock } from "../../shared/clock.ts";
import { OperationFailedError } from "../../shared/errors.ts";
import { removeLeftMounts } from "../mounts/left-over.ts";
import { killTree } from "../tasks/kill-tree.ts";
import { removeKeys } from "./authorized-keys.ts";
import { readClaim, withClaimsLock } from "./claim-store.ts";
import { assertInside, nodeFolder, type HostPaths } from "./host-paths.ts";
import { agentTitle } from "./start.ts";

const GRACE_MS = 5000;
/** Within this time after a KILL a process is gone, unless the kernel keeps it. */
const KILLED_MS = 1000;
/** What a cluster has put into the login's own HOME. */
const HOME_FILES = [
  "sky_workdir",
  "sky_logs",
  ".sky/jobs.db",
  ".sky/jobs.db-wal",
  ".sky/jobs.db-shm",
  ".sky/hooks",
  ".sky/file_mounts",
  ".sky/outside-links",
] as const;

/** Ends every process of a node, and removes what it kept. What its tasks wrote elsewhere is the user's. */
export async function release(nameOnCloud: string, paths: HostPaths): Promise<void> {
  const folder = nodeFolder(paths, nameOnCloud);
  const made = readClaim(paths, nameOnCloud);
  const root = join(folder, "agent");
  await endProcesses(root);
  await removeItsContainer(root);
  if (made !== undefined) await removeLeftMounts(root, made.home);
  await withClaimsLock(paths, async () => {
    removeKeys(userInfo().homedir, nameOnCloud);
    if (made !== undefined) removeOutsideLinks(made.home);
    // A claim without `home` of its own: the login's.
    if (made !== undefined && !made.home.startsWith(`${folder}/`)) await cleanHome(made.home);
    await removeTree(assertInside(paths.nodes, folder));
  });
}

/** The agent first, so that it starts nothing any more, then what its tasks have started. */
async function endProcesses(root: string): Promise<void> {
  const identity = createHash("sha256").update(root).digest("hex").slice(0, 12);
  const marker = `SKYPILOT_AGENT_TASK=${identity}.`;
  const agents = (): readonly number[] => agentsOf(root);
  const agentEnds = killTree({
    marker: `SKYPILOT_AGENT_ROOT=${root}`,
    roots: agents,
    graceMs: GRACE_MS,
    clock: systemClock,
  });
  // One that waits in the kernel for a mount ends with the mount's program, which is among those below.
  await Promise.race([agentEnds, systemClock.sleep(GRACE_MS + KILLED_MS)]);
  const tasks = (): readonly number[] => processesWith(marker);
  await killTree({ marker: `${marker}none`, roots: tasks, graceMs: GRACE_MS, clock: systemClock });
  await agentEnds;
}

/** Processes whose command line says that they are the agent of this root. */
function agentsOf(root: string): readonly number[] {
  const title = agentTitle(root);
  return processesWhere("cmdline", (text) => text.includes(`\0daemon\0--root\0${root}\0`) || isTitle(text, title));
}

/** The kernel fills up with zeros what the words had been longer. */
function isTitle(text: string, title: string): boolean {
  return text.startsWith(title) && /^\0*$/.test(text.slice(title.length));
}

function processesWith(prefix: string): readonly number[] {
  return processesWhere("environ", (text) => `\0${text}`.includes(`\0${prefix}`));
}

function processesWhere(file: "cmdline" | "environ", matches: (text: string) => boolean): readonly number[] {
  return readdirSync("/proc")
    .map(Number)
    .filter((pid) => Number.isInteger(pid) && pid !== process.pid)
    .filter((pid) => {
      try {
        return matches(readFileSync(`/proc/${pid}/${file}`, "latin1"));
      } catch {
        // Gone, or another user's.
        return false;
      }
    });
}

async function removeItsContainer(root: string): Promise<void> {
  const record = readContainerRecord(root);
  if (record === undefined) return;
  const reason = await removeContainer(record, engineEnvironment(process.env));
  if (reason !== undefined) throw new OperationFailedError(`The container ${record.name} cannot be removed: ${reason}`);
}

async function cleanHome(home: string): Promise<void> {
  for (const name of HOME_FILES) await removeTree(assertInside(home, join(home, name)));
  const own = join(home, ".sky");
  if (existsSync(own) && readdirSync(own).length === 0) rmdirSync(own);
}
