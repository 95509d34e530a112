import { DatabaseSync, type SQLInputValue } from "node:sqlite";
import { join } from "node:path";

/**
 * Copies the row of one real cluster until there are `count`. The copies share the real one's nodes, so that no refresh finds
 * them gone. The server must be down.
 */
export function seedClusters(home: string, source: string, count: number): void {
  const database = new DatabaseSync(join(home, ".sky/ts/state.sqlite"));
  try {
    const row = database.prepare("select * from clusters where name = ?").get(source);
    if (row === undefined) throw new Error(`There is no cluster ${source} to copy.`);
    const columns = Object.keys(row);
    const places = columns.map(() => "?").join(", ");
    const insert = database.prepare(`insert into clusters (${columns.join(", ")}) values (${places})`);
    database.exec("begin");
    for (let index = 1; index < count; index += 1) {
      const name = `bench-${String(index).padStart(4, "0")}`;
      const copy: Record<string, SQLInputValue> = { ...row, name, cluster_hash: `${name}-hash` };
      insert.run(...columns.map((column) => copy[column] ?? null));
    }
    database.exec("commit");
  } finally {
    database.close();
  }
}
