import type { Catalogs } from "../../../catalog/catalogs.ts";
import type { Cloud } from "../../../core/ports/cloud.ts";
import type { AwsAuth } from "../auth/auth-session.ts";
import { openClients } from "../clients.ts";
import type { DiskPrices } from "./disk-prices.ts";
import { refreshAwsCatalog } from "./refresh.ts";

/** The cloud's `refreshCatalog`: reads as the account of the request. */
export function awsCatalogRefresher(
  auth: AwsAuth,
  catalogs: Catalogs,
  diskPrices: DiskPrices,
): NonNullable<Cloud["refreshCatalog"]> {
  return async (wish, context) => {
    const opened = auth.open(context);
    const { account } = await opened.identity();
    const clients = openClients(opened.session);
    const { directory } = catalogs;
    const current = catalogs.findRaw("aws");
    try {
      await refreshAwsCatalog(wish, { clients, load: opened.load, account, directory, current, diskPrices });
    } finally {
      clients.close();
    }
  };
}
