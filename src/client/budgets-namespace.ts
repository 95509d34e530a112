import type { BudgetRecord, BudgetSetBody } from "../shared/wire/budgets.ts";
import { submit, type WaitOptions } from "./operations.ts";
import type { Request } from "./request.ts";
import type { SkyClient } from "./sky-client.ts";

/** What is absent stays as it is; of a new budget it is: yourself, per month, warn. */
export interface BudgetOptions extends WaitOptions {
  /** Needed for a new budget. */
  readonly limitUsd?: number | undefined;
  /** Whose clusters count. `value`: a user's name or id, a workspace, `key=value`; absent for everything. */
  readonly scope?: { readonly kind: NonNullable<BudgetSetBody["scope"]>; readonly value?: string } | undefined;
  readonly per?: BudgetSetBody["period"];
  /** What the server does when it is reached. */
  readonly action?: BudgetSetBody["action"];
}

/** Limits on what clusters may cost; only our own server has them. */
export class BudgetsNamespace {
  readonly #client: SkyClient;

  constructor(client: SkyClient) {
    this.#client = client;
  }

  /** Makes a budget, or changes what is given of one. Users may limit themselves, admins everybody. */
  set(name: string, options: BudgetOptions = {}): Request<BudgetRecord> {
    const { limitUsd, scope, per, action, ...wait } = options;
    const body = this.#client.body({
      name,
      ...(scope === undefined ? {} : { scope: scope.kind, scope_value: scope.value ?? "" }),
      limit_usd: limitUsd ?? null,
      period: per ?? null,
      action: action ?? null,
    });
    return submit(this.#client.session, "/budget_set", body, { name: "sky.budget_set", ...wait });
  }

  ls(options: WaitOptions = {}): Request<readonly BudgetRecord[]> {
    return submit(this.#client.session, "/budget_list", this.#client.body({}), {
      name: "sky.budget_list",
      ...options,
    });
  }

  delete(name: string, options: WaitOptions = {}): Request<void> {
    return submit(this.#client.session, "/budget_delete", this.#client.body({ name }), {
      name: "sky.budget_delete",
      decode: () => undefined,
      ...options,
    });
  }
}
