import type { Context, Hono } from "hono";
import { z } from "zod";
import { findUser, listUsers, setPreferredWorkspace } from "../../db/queries/users.ts";
import type { MyWorkspace, UserRecord } from "../../shared/wire/users.ts";
import type { AppDependencies, AppEnv } from "../app-types.ts";
import { readJson } from "../read-body.ts";
import { parseInput } from "../validation.ts";

const WorkspaceChoice = z.object({ workspace: z.string().nullish(), preferred_workspace: z.string().nullish() });

/** Users as far as a server without authentication knows them: whoever called, all of them administrators. */
export function addUserRoutes(app: Hono<AppEnv>, deps: AppDependencies): void {
  app.get("/users", async (c) => {
    const users = await listUsers(deps.db);
    return c.json(
      users.map((user): UserRecord => ({
        id: user.id,
        name: user.name,
        created_at: Math.floor(user.created_at / 1000),
        role: "admin",
        user_type: user.type,
      })),
    );
  });
  app.get("/users/role", (c) => c.json({ id: "", name: "", role: "admin" }));
  app.get("/users/service-account-tokens", (c) => c.json([]));
  app.get("/users/me/workspace", async (c) => c.json(await myWorkspace(deps)));
  app.post("/users/me/workspace", async (c) => {
    const body = parseInput(WorkspaceChoice, await readJson(c.req.raw, c.env?.incoming), { where: "body" });
    await deps.users.remember(deps.self);
    const workspace = body.workspace ?? body.preferred_workspace ?? null;
    await setPreferredWorkspace(deps.db, deps.self.userId, { workspace });
    return c.json(await myWorkspace(deps));
  });
  for (const path of ["/users/create", "/users/update", "/users/batch_update", "/users/delete", "/users/import"]) {
    app.post(path, (c) => notYet(c));
  }
  app.get("/users/export", (c) => notYet(c));
  for (const path of ["", "/delete", "/get-role", "/update-role", "/rotate"]) {
    app.post(`/users/service-account-tokens${path}`, (c) => notYet(c));
  }
}

async function myWorkspace(deps: AppDependencies): Promise<MyWorkspace> {
  const preferred = (await findUser(deps.db, deps.self.userId))?.preferred_workspace ?? null;
  return {
    workspace: preferred ?? "default",
    source: preferred === null ? "default-fallback" : "preferred",
    note: null,
    preferred,
    accessible: [...new Set(["default", ...(preferred === null ? [] : [preferred])])],
    read_only: [],
  };
}

function notYet(c: Context<AppEnv>): Response {
  return c.json(
    { detail: "User management is not available in this release.", hint: null, code: "NOT_AVAILABLE_YET" },
    501,
  );
}
