import type { Hono } from "hono";
import { toWireError } from "../../shared/wire/error.ts";
import { SkyError } from "../../shared/errors.ts";
import { ValidateBody } from "../../shared/wire/validate.ts";
import type { AppDependencies, AppEnv } from "../app-types.ts";
import { readJson } from "../read-body.ts";
import { parseInput } from "../validation.ts";

/** `POST /validate`: `null`, or 400 with the error as plain data. */
export function addValidate(app: Hono<AppEnv>, deps: AppDependencies): void {
  app.post("/validate", async (c) => {
    const body = parseInput(ValidateBody, await readJson(c.req.raw, c.env?.incoming), { where: "body" });
    const [{ catalogFacts }, { parseTaskYaml }, { validateDag }] = await Promise.all([
      import("../../core/optimizer/catalog-facts.ts"),
      import("../../core/task/parse.ts"),
      import("../../core/task/validate.ts"),
    ]);
    try {
      validateDag(parseTaskYaml(body.dag, { side: "server", facts: catalogFacts(deps.catalogs) }));
    } catch (error) {
      if (!(error instanceof SkyError)) deps.onInternalError(error, c.get("requestId"));
      return c.json({ detail: toWireError(error, { requestId: c.get("requestId") }) }, 400);
    }
    return c.body("null", 200, { "content-type": "application/json" });
  });
}
