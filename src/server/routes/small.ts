import type { Hono } from "hono";
import { listClusterNames } from "../../db/queries/clusters.ts";
import { listRequests } from "../../db/queries/requests.ts";
import { listStorage } from "../../db/queries/storage.ts";
import type { AppDependencies, AppEnv } from "../app-types.ts";

const MAX_COMPLETIONS = 200;

/** Small synchronous endpoints: shell completion, and what the dashboard asks when it starts. */
export function addSmallRoutes(app: Hono<AppEnv>, deps: AppDependencies): void {
  app.get("/api/completion/cluster_name", async (c) => {
    const names = await listClusterNames(deps.db);
    return c.json(startingWith(names, c.req.query("incomplete")));
  });
  app.get("/api/completion/storage_name", async (c) => {
    const rows = await listStorage(deps.db);
    return c.json(
      startingWith(
        rows.map((row) => row.name),
        c.req.query("incomplete"),
      ),
    );
  });
  app.get("/api/completion/volume_name", (c) => c.json([]));
  app.get("/api/completion/api_request", async (c) => {
    const rows = await listRequests(deps.db, { limit: 1000 });
    return c.json(
      startingWith(
        rows.map((row) => row.request_id),
        c.req.query("incomplete"),
      ),
    );
  });
  app.get("/api/plugins", (c) => c.json({ plugins: [] }));
  app.get("/dashboard_config", (c) => c.json({ external_links: [], local_contexts: [] }));
  app.get("/dashboard/*", (c) => c.text("The dashboard is not available in this release.\n", 404));
  app.get("/openapi.json", async (c) => {
    const { openApiDocument } = await import("../openapi.ts");
    return c.json(openApiDocument());
  });
}

function startingWith(names: readonly string[], prefix = ""): string[] {
  return names.filter((name) => name.startsWith(prefix)).slice(0, MAX_COMPLETIONS);
}
