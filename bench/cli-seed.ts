import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { DatabaseSync, type SQLInputValue } from "node:sqlite";
import type { IdleAgent } from "./idle-agents.ts";

type Row = Record<string, SQLInputValue>;

/**
 * Copies the row of one real cluster of this machine, and what its cloud knows of it, until there are `count`. Answers which agents the
 * copies' nodes would have. The server must be down.
 */
export function seedClusters(home: string, source: string, count: number): IdleAgent[] {
  const database = new DatabaseSync(join(home, ".sky/ts/state.sqlite"));
  try {
    const row = database.prepare("select * from clusters where name = ?").get(source);
    if (row === undefined) throw new Error(`There is no cluster ${source} to copy.`);
    const columns = Object.keys(row);
    const places = columns.map(() => "?").join(", ");
    const insert = database.prepare(`insert into clusters (${columns.join(", ")}) values (${places})`);
    database.exec("begin");
    const agents = Array.from({ length: count - 1 }, (_, index) => {
      const name = `bench-${String(index + 1).padStart(4, "0")}`;
      const copy = copyRow(row, name);
      insert.run(...columns.map((column) => copy[column] ?? null));
      return copyCluster(home, row, copy);
    });
    database.exec("commit");
    return agents;
  } finally {
    database.close();
  }
}

/** Another name everywhere, e.g. in the paths of the nodes. */
function copyRow(row: Row, name: string): Row {
  const before = textOf(row, "name_on_cloud");
  const after = `${name}-copy`;
  const copy = Object.entries(row).map(([column, value]): [string, SQLInputValue] => [
    column,
    typeof value === "string" ? value.replaceAll(before, after) : value,
  ]);
  return { ...Object.fromEntries(copy), name, name_on_cloud: after, cluster_hash: `${name}-hash` };
}

function copyCluster(home: string, row: Row, copy: Row): IdleAgent {
  const before = textOf(row, "name_on_cloud");
  const after = textOf(copy, "name_on_cloud");
  const clusterName = textOf(copy, "name");
  const file = (nameOnCloud: string): string => join(home, ".sky/local", nameOnCloud, "cluster.json");
  const text = readFileSync(file(before), "utf8").replaceAll(before, after);
  mkdirSync(dirname(file(after)), { recursive: true });
  writeFileSync(file(after), text.replaceAll(JSON.stringify(textOf(row, "name")), JSON.stringify(clusterName)));
  const root = join(dirname(file(after)), "node0", "agent");
  mkdirSync(root, { recursive: true, mode: 0o700 });
  return { clusterName, root };
}

function textOf(row: Row, column: string): string {
  const value = row[column];
  if (typeof value !== "string") throw new Error(`${column} is not a text.`);
  return value;
}
