import type { Context, Hono } from "hono";
import { deletePool, listKeys, poolReadiness, saveKey, showPools, updatePools } from "../../clouds/ssh/pool-file.ts";
import { InvalidValueError } from "../../shared/errors.ts";
import { SshPoolsBody, SshPoolsUpdate } from "../../shared/wire/ssh-node-pools.ts";
import type { AppDependencies, AppEnv } from "../app-types.ts";
import { readJson } from "../read-body.ts";
import { parseInput } from "../validation.ts";
import { makeSubmission } from "./operations.ts";

/** More than any private key has. */
const MAX_KEY_BYTES = 64 * 1024;

/** The pools of the server's user: list, change, upload keys, set up, clear. */
export function addSshNodePoolRoutes(app: Hono<AppEnv>, deps: AppDependencies): void {
  const { home } = deps.paths;
  app.get("/ssh_node_pools", (c) => c.json(showPools(home)));
  app.get("/ssh_node_pools/keys", (c) => c.json(listKeys(home)));
  app.post("/ssh_node_pools", async (c) => {
    const pools = parseInput(SshPoolsUpdate, await readJson(c.req.raw, c.env?.incoming), { where: "body" });
    updatePools(home, pools);
    return c.json({ status: "success" });
  });
  app.post("/ssh_node_pools/keys", async (c) => c.json(await takeKey(c, home)));
  for (const [path, operation, word] of [
    ["deploy", "ssh_up", "deployment"],
    ["down", "ssh_down", "teardown"],
  ] as const) {
    app.post(`/ssh_node_pools/${path}`, (c) => submit(c, { operation, word, pool: undefined }, deps));
    app.post(`/ssh_node_pools/:pool/${path}`, (c) => submit(c, { operation, word, pool: c.req.param("pool") }, deps));
  }
  app.get("/ssh_node_pools/:pool/status", (c) => {
    const pool = c.req.param("pool");
    const { isReady, reason } = poolReadiness(home, pool);
    const status = isReady ? "Ready" : "Not Ready";
    return c.json({ pool_name: pool, context_name: `ssh-${pool}`, status, reason });
  });
  app.delete("/ssh_node_pools/:pool", (c) => {
    const pool = c.req.param("pool");
    if (deletePool(home, pool)) return c.json({ status: "success" });
    return c.json({ detail: `SSH Node Pool \`${pool}\` not found` }, 404);
  });
}

async function takeKey(
  c: Context<AppEnv>,
  home: string,
): Promise<{ readonly status: string; readonly key_path: string }> {
  // The form is read as a whole: one that does not say how long it is might have no end.
  const length = c.req.header("content-length");
  if (length === undefined) throw new InvalidValueError("The form must say its Content-Length.");
  if (!(Number(length) <= 2 * MAX_KEY_BYTES)) throw new InvalidValueError("The key is too large.");
  const form = await c.req.formData();
  const [name, file] = [form.get("key_name"), form.get("key_file")];
  if (typeof name !== "string" || file === null) throw new InvalidValueError("Missing key_name or key_file");
  const content = typeof file === "string" ? file : await file.text();
  if (content.length > MAX_KEY_BYTES) throw new InvalidValueError("The key is too large.");
  return { status: "success", key_path: saveKey(home, name, content) };
}

async function submit(
  c: Context<AppEnv>,
  what: { readonly operation: string; readonly word: string; readonly pool: string | undefined },
  deps: AppDependencies,
): Promise<Response> {
  const { operation, word, pool } = what;
  const given = (await readJson(c.req.raw, c.env?.incoming)) as object;
  const input = pool === undefined ? given : { ...given, infra: pool };
  const route = { method: "POST", path: c.req.path, operation, body: SshPoolsBody, summary: "" } as const;
  const submission = await makeSubmission(c, { route, input, deps });
  await deps.queue.submit(submission);
  c.set("requestId", submission.requestId);
  const name = (submission.body["infra"] as string | undefined) ?? "default";
  const message = `SSH Node Pool \`${name}\` ${word} started`;
  return c.json({ status: "success", request_id: submission.requestId, message });
}
