import type { Colors } from "./colors.ts";
import { renderTable } from "./table.ts";
import { renderAgo, renderDuration } from "./time.ts";

/** A record as it came; only shown fields are read. */
export type Row = Readonly<Record<string, unknown>>;

interface RenderOptions {
  readonly colors: Colors;
  /** Epoch seconds. */
  readonly now: number;
}

function text(row: Row, field: string): string {
  const value = row[field];
  return typeof value === "string" || typeof value === "number" ? String(value) : "-";
}

function number(row: Row, field: string): number | undefined {
  const value = row[field];
  return typeof value === "number" ? value : undefined;
}

/** The short table of managed jobs in `sky status`. */
export function renderManagedJobs(jobs: readonly Row[], options: RenderOptions): string {
  const counts = new Map<string, number>();
  for (const job of jobs) counts.set(text(job, "status"), (counts.get(text(job, "status")) ?? 0) + 1);
  const summary = [...counts].map(([status, count]) => `${count} ${status}`).join(", ");
  const header = [
    "ID",
    "TASK",
    "NAME",
    "REQUESTED",
    "SUBMITTED",
    "TOT. DURATION",
    "JOB DURATION",
    "#RECOVERIES",
    "STATUS",
  ];
  const table = renderTable(
    header,
    jobs.map((job) => {
      const submitted = number(job, "submitted_at");
      const end = number(job, "end_at") ?? options.now;
      return [
        text(job, "job_id"),
        "-",
        text(job, "job_name"),
        text(job, "resources"),
        renderAgo(submitted, options.now),
        submitted === undefined ? "-" : renderDuration(end - submitted),
        renderDuration(number(job, "job_duration")),
        text(job, "recovery_count"),
        colorStatus(text(job, "status"), options.colors),
      ];
    }),
  );
  return `In progress tasks: ${summary}\n${table}`;
}

/** The short table of services or pools in `sky status`. */
export function renderServices(services: readonly Row[], options: RenderOptions & { readonly pool: boolean }): string {
  const header = ["NAME", "VERSION", "UPTIME", "STATUS", options.pool ? "WORKERS" : "REPLICAS"];
  return renderTable(
    options.pool ? header : [...header, "ENDPOINT"],
    services.map((service) => {
      const uptime = number(service, "uptime");
      const replicas = Array.isArray(service["replica_info"]) ? (service["replica_info"] as Row[]) : [];
      const ready = replicas.filter((replica) => replica["status"] === "READY").length;
      const row = [
        text(service, "name"),
        text(service, "active_versions"),
        uptime === undefined ? "-" : renderDuration(options.now - uptime),
        colorStatus(text(service, "status"), options.colors),
        `${ready}/${replicas.length}`,
      ];
      return options.pool ? row : [...row, text(service, "endpoint")];
    }),
  );
}

/** Green for what is well, blue for what is on its way, red for failures. */
export function colorStatus(status: string, colors: Colors): string {
  if (/^FAILED|^CONTROLLER_FAILED/.test(status)) return colors.red(status);
  if (["UP", "READY", "SUCCEEDED", "RUNNING"].includes(status)) return colors.green(status);
  if (["INIT", "PENDING", "STARTING", "PROVISIONING", "SETTING_UP", "SUBMITTED", "WAITING"].includes(status)) {
    return colors.blue(status);
  }
  return ["STOPPED", "CANCELLED", "CANCELLING", "RECOVERING"].includes(status) ? colors.yellow(status) : status;
}
