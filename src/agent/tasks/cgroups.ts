import { mkdirSync, readFileSync, rmdirSync } from "node:fs";
import { join } from "node:path";

/**
 * A control group (version 2) per task, where the user may make them: what a task starts cannot leave it, whatever it does to its
 * session, parents and environment. Groups only hold processes together; they limit nothing.
 */
export class TaskCgroups {
  readonly #base: string;

  private constructor(base: string) {
    this.#base = base;
  }

  /** Undefined when there is no version 2 hierarchy or no right to use it. */
  static open(identity: string, readText: (path: string) => string = readFile): TaskCgroups | undefined {
    try {
      const mount = findMount(readText("/proc/self/mountinfo"));
      const own = /^0::(.*)$/m.exec(readText("/proc/self/cgroup"))?.[1];
      if (mount === undefined || own === undefined) return undefined;
      // The agent of a task must not make its groups inside of that task's.
      const base = join(mount, own.replace(/\/sky-[0-9a-f]+\/.*$/, ""), `sky-${identity}`);
      mkdirSync(base, { recursive: true });
      return new TaskCgroups(base);
    } catch {
      // Not allowed, or not that kind of machine: sessions and markers serve.
      return undefined;
    }
  }

  /** Makes a task's group; undefined when that is refused. */
  create(id: string): string | undefined {
    const path = join(this.#base, id);
    try {
      mkdirSync(path, { recursive: true });
      return path;
    } catch {
      return undefined;
    }
  }

  /** Processes in a task's group. */
  members(id: string): number[] {
    try {
      return readFile(join(this.#base, id, "cgroup.procs"))
        .split("\n")
        .flatMap((line) => (line === "" ? [] : [Number(line)]));
    } catch {
      return [];
    }
  }

  /** Removes a task's group; one with processes that the task left behind stays. */
  remove(id: string): void {
    try {
      rmdirSync(join(this.#base, id));
    } catch {
      // EBUSY, or never made.
    }
  }

  /** Removes the agent's own group when nothing is left in it. */
  close(): void {
    try {
      rmdirSync(this.#base);
    } catch {
      // Tasks go on.
    }
  }
}

/** Mount point of the version 2 hierarchy. */
export function findMount(mountinfo: string): string | undefined {
  for (const line of mountinfo.split("\n")) {
    const [front = "", back = ""] = line.split(" - ");
    if (back.startsWith("cgroup2 ")) return front.split(" ")[4];
  }
  return undefined;
}

function readFile(path: string): string {
  return readFileSync(path, "latin1");
}
