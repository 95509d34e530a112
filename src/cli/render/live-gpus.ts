import type { LiveNode, LivePool } from "../../client/gpus-namespace.ts";
import type { Colors } from "./colors.ts";
import { renderTable } from "./table.ts";

export interface NamedPool {
  readonly name: string;
  readonly pool: LivePool;
}

export interface LiveFilter {
  /** Part of the accelerator's name. */
  readonly name?: string | undefined;
  readonly count?: number | undefined;
}

/** What the pools have of accelerators and, unless one is asked for, each of their hosts. Undefined when there is nothing to show. */
export function renderLive(pools: readonly NamedPool[], filter: LiveFilter, colors: Colors): string | undefined {
  const counted = pools
    .map(({ name, pool }) => ({ name, rows: countKinds(Object.values(pool.node_info_dict), filter) }))
    .filter(({ rows }) => rows.length > 0);
  if (counted.length === 0) return undefined;
  const quantity = filter.count === undefined ? "REQUESTABLE_QTY_PER_NODE" : "QTY_FILTER";
  const tables = counted.flatMap(({ name, rows }) => [
    colors.cyan(`SSH Node Pool: ${name}`),
    renderTable(
      ["GPU", quantity, "UTILIZATION"],
      rows.map((row) => [row.kind, row.counts.join(", "), utilization(row)]),
    ),
  ]);
  const all = counted.flatMap(({ rows }) => rows);
  const total =
    counted.length === 1
      ? []
      : [
          renderTable(
            ["GPU", "UTILIZATION"],
            [...Map.groupBy(all, ({ kind }) => kind)].map(([kind, rows]) => [kind, utilization(addUp(rows))]),
          ),
        ];
  const hosts = filter.name === undefined ? renderHosts(pools, colors) : [];
  return [colors.green(colors.bold("SSH Node Pool GPUs")), ...total, ...tables, ...hosts].join("\n");
}

interface Use {
  readonly total: number;
  readonly free: number;
  /** On hosts that cannot be used now. */
  readonly notReady: number;
}

interface Kind extends Use {
  readonly kind: string;
  readonly counts: readonly number[];
}

function utilization({ total, free, notReady }: Use): string {
  const away = notReady === 0 ? "" : ` (${notReady} not ready)`;
  return `${free} of ${total} free${away}`;
}

function addUp(uses: readonly Use[]): Use {
  const sum = (read: (use: Use) => number): number => uses.reduce((total, use) => total + read(use), 0);
  return { total: sum((use) => use.total), free: sum((use) => use.free), notReady: sum((use) => use.notReady) };
}

function countKinds(nodes: readonly LiveNode[], { name = "", count }: LiveFilter): readonly Kind[] {
  const groups = Map.groupBy(nodes, (node) => node.accelerator_type ?? "");
  const kinds = [...groups].filter(([kind]) => kind !== "" && kind.toLowerCase().includes(name.toLowerCase()));
  return kinds
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .flatMap(([kind, members]) => {
      const most = Math.max(...members.map((node) => node.total.accelerator_count));
      if (most < (count ?? 1)) return [];
      const uses = members.map((node): Use => {
        const { accelerator_count: total } = node.total;
        const { accelerators_available: free } = node.free;
        if (node.is_ready === false) return { total: 0, free: 0, notReady: total };
        return { total, free: free >= (count ?? 1) ? free : 0, notReady: 0 };
      });
      return [{ kind, counts: count === undefined ? countsUpTo(most) : [count], ...addUp(uses) }];
    });
}

/** Powers of two, and all of them. */
function countsUpTo(most: number): readonly number[] {
  const powers = Array.from({ length: Math.floor(Math.log2(most)) + 1 }, (_, power) => 2 ** power);
  return powers.includes(most) ? powers : [...powers, most];
}

function renderHosts(pools: readonly NamedPool[], colors: Colors): readonly string[] {
  const header = ["NODE_POOL", "NODE", "vCPU", "Memory (GB)", "GPU", "GPU UTILIZATION", "NODE STATUS"];
  const rows = pools.flatMap(({ name, pool }) =>
    Object.entries(pool.node_info_dict).map(([host, node]) => [
      name,
      host,
      share(node.cpu_count, node.cpu_free),
      share(node.memory_gb, node.memory_free_gb),
      node.accelerator_type ?? "-",
      `${node.free.accelerators_available} of ${node.total.accelerator_count} free`,
      node.is_ready === false ? "NotReady" : "Healthy",
    ]),
  );
  const hints = pools.flatMap(({ name, pool }) => (pool.hint === "" ? [] : [`${name}: ${pool.hint}`]));
  const title = "SSH Node Pool per-node GPU availability";
  const note = hints.length === 0 ? "" : ` (${hints.join("; ")})`;
  return [colors.cyan(colors.bold(`${title}${note}`)), renderTable(header, rows)];
}

function share(total: number | null, free: number | null | undefined): string {
  if (total === null) return "-";
  return free === null || free === undefined ? whole(total) : `${whole(free)} of ${whole(total)} free`;
}

function whole(amount: number): string {
  return String(Math.round(amount));
}
