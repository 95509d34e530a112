import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { Catalogs } from "../../src/catalog/catalogs.ts";

/** Catalogs of a user whose home that is, on top of the bundled ones. */
export function openCatalogs(home: string): Catalogs {
  return new Catalogs({
    directory: join(home, ".sky", "catalogs", "v8"),
    snapshots: fileURLToPath(new URL("../../src/catalog/snapshots", import.meta.url)),
  });
}
