import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { createFakeWorld, type FakeWorld } from "../../../test/fakes/fake-world.ts";
import { upsertUser } from "../../db/queries/users.ts";
import { budgetDeleteOperation, budgetListOperation, budgetSetOperation } from "./operations.ts";

const common = { env_vars: {}, entrypoint: "", entrypoint_command: "", using_remote_api_server: false } as const;

let world: FakeWorld;
beforeEach(async () => {
  world = await createFakeWorld();
  const { db } = world.server().database;
  await upsertUser(db, { id: "root0001", name: "root", type: "system", createdAt: 0 });
});
afterEach(() => world.close());

const admin = { user: "root0001", userName: "root" } as const;
const ann = { user: "ann00001", userName: "ann" } as const;
type Who = { readonly user: string; readonly userName: string };

const as = (who: Who, role = "user") => ({ ...who, config: { rbac: { default_role: role } } });

function set(who: Who, budget: object, role?: string): Promise<unknown> {
  const body = { ...common, override_skypilot_config: {}, name: "b", limit_usd: 10, ...budget };
  return world.run(budgetSetOperation, body as never, as(who, role));
}

function remove(who: Who): Promise<unknown> {
  return world.run(budgetDeleteOperation, { ...common, override_skypilot_config: {}, name: "b" } as never, as(who));
}

async function names(who: Who): Promise<readonly string[]> {
  return (await world.run(budgetListOperation, {}, as(who))).result.map(({ name }) => name);
}

describe("a user", () => {
  test("limits and frees themselves", async () => {
    await set(ann, {});
    await set(ann, { action: "stop", scope: "user", scope_value: "ann00001" });
    await remove(ann);
    expect(await names(ann)).toEqual([]);
  });

  test.each([
    [{ scope: "all", scope_value: "" }, "everything"],
    [{ scope: "user", scope_value: "bob" }, "user bob"],
    [{ scope: "workspace", scope_value: "default" }, "workspace default"],
    [{ scope: "label", scope_value: "team=red" }, "label team=red"],
  ])("does not limit others: %j", async (scope, text) => {
    const denied = { code: "PERMISSION_DENIED", message: `Only admins may set a budget of ${text}.` };
    await expect(set(ann, scope)).rejects.toMatchObject(denied);
    await set(ann, {});
    await expect(set(ann, scope)).rejects.toMatchObject(denied);
  });

  test("does not lift what an admin has set for them", async () => {
    await set(admin, { scope: "user", scope_value: "ann", action: "stop" });
    const denied = "Budget 'b' was set by root; only they and admins may change it.";
    await expect(set(ann, { limit_usd: 1000 })).rejects.toThrow(denied);
    await expect(remove(ann)).rejects.toThrow(denied);
    expect(await names(ann)).toEqual(["b"]);
  });

  test("sees their own and those of groups", async () => {
    await set(admin, { name: "bobs", scope: "user", scope_value: "bob" });
    await set(admin, { name: "team", scope: "label", scope_value: "team=red" });
    await set(ann, { name: "mine" });
    expect(await names(ann)).toEqual(["mine", "team"]);
    expect(await names(admin)).toEqual(["bobs", "mine", "team"]);
  });
});

test("a viewer changes nothing", async () => {
  await expect(set(ann, {}, "viewer")).rejects.toThrow("A viewer may not change budgets.");
});

test("everybody is an admin where nothing else is said", async () => {
  const body = { ...common, override_skypilot_config: {}, name: "b", limit_usd: 10, scope: "all", scope_value: "" };
  await world.run(budgetSetOperation, body as never, ann);
});
