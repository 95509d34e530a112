import { OperationFailedError } from "../../../shared/errors.ts";
import { isObject, objectField, parseObject, textField, type JsonObject } from "../auth/json.ts";
import type { LoadContext } from "../auth/load-context.ts";
import { send } from "../auth/network.ts";
import type { AwsSession } from "../clients.ts";
import type { DiskPrice } from "./disk-prices.ts";
import { signedHeaders } from "./sign.ts";

/** The price list is served in a few regions and covers all. */
const REGION = "us-east-1";
const SERVICE = "pricing";
const URL_OF_AWS = "https://api.pricing.us-east-1.amazonaws.com/";
const TIMEOUT_MS = 30_000;
const PAGE = 100;

/** What is asked for: Linux without extra software, on shared hardware, not reserved. */
const WISHES: Readonly<Record<string, string>> = {
  operatingSystem: "Linux",
  preInstalledSw: "NA",
  tenancy: "Shared",
  capacitystatus: "Used",
};

export interface PriceListAccess {
  readonly session: AwsSession;
  readonly load: Pick<LoadContext, "agents" | "time" | "signal">;
}

/** On-demand prices in USD per hour by instance type, from `pricing:GetProducts`. @throws OperationFailedError when AWS refuses */
export async function fetchOnDemandPrices(
  region: string,
  access: PriceListAccess,
): Promise<ReadonlyMap<string, number>> {
  const prices = new Map<string, number>();
  await eachProduct({ ...WISHES, regionCode: region }, access, (product) => {
    const priced = readProduct(product);
    if (priced !== undefined) prices.set(priced.type, priced.usdPerHour);
  });
  return prices;
}

const MIBPS_PER_GIBPS = 1024;

/** What general-purpose (gp3) volumes cost, from the same list. @throws OperationFailedError when AWS refuses, or lists none */
export async function fetchDiskPrice(region: string, access: PriceListAccess): Promise<DiskPrice> {
  const found = new Map<string, number>();
  await eachProduct({ volumeApiName: "gp3", regionCode: region }, access, (product) => {
    for (const { unit, usd } of dimensionsOf(product)) found.set(unit.toLowerCase(), usd);
  });
  const perGb = found.get("gb-mo");
  if (perGb === undefined) throw new OperationFailedError(`The price list names no gp3 volumes in ${region}.`);
  const perGibps = found.get("gibps-mo") ?? 0;
  return {
    perGb,
    perIops: found.get("iops-mo") ?? 0,
    perMibps: found.get("mibps-mo") ?? perGibps / MIBPS_PER_GIBPS,
  };
}

async function eachProduct(
  filters: Readonly<Record<string, string>>,
  access: PriceListAccess,
  use: (product: JsonObject | undefined) => void,
): Promise<void> {
  let token: string | undefined;
  do {
    const page = await getProducts(filters, token, access);
    const list = page["PriceList"];
    for (const item of Array.isArray(list) ? list : []) {
      const product: unknown = typeof item === "string" ? JSON.parse(item) : item;
      use(isObject(product) ? product : undefined);
    }
    token = textField(page, "NextToken");
  } while (token !== undefined && token !== "");
}

async function getProducts(
  wishes: Readonly<Record<string, string>>,
  token: string | undefined,
  { session, load }: PriceListAccess,
): Promise<Readonly<Record<string, unknown>>> {
  const body = JSON.stringify({
    ServiceCode: "AmazonEC2",
    FormatVersion: "aws_v1",
    MaxResults: PAGE,
    Filters: Object.entries(wishes).map(([field, value]) => ({ Type: "TERM_MATCH", Field: field, Value: value })),
    ...(token === undefined ? {} : { NextToken: token }),
  });
  const url = new URL(session.endpoint(SERVICE) ?? URL_OF_AWS).toString();
  const headers = { "content-type": "application/x-amz-json-1.1", "x-amz-target": "AWSPriceListService.GetProducts" };
  const call = { url, method: "POST", headers, body } as const;
  const scope = { region: REGION, service: SERVICE, nowMs: load.time.now() };
  const signed = signedHeaders(call, await session.credentials(), scope);
  const answer = await send({ ...call, headers: signed, timeoutMs: TIMEOUT_MS }, load);
  const parsed = parseObject(answer.text);
  if (answer.status === 200 && parsed !== undefined) return parsed;
  const kind = textField(parsed, "__type")?.split("#").at(-1) ?? `HTTP ${answer.status}`;
  const message = textField(parsed, "message") ?? textField(parsed, "Message") ?? "";
  throw new OperationFailedError(`pricing:GetProducts was refused: ${kind}${message === "" ? "" : ` (${message})`}`);
}

/** Undefined for what has no price per hour, such as reservations that are paid at once. */
function readProduct(
  product: JsonObject | undefined,
): { readonly type: string; readonly usdPerHour: number } | undefined {
  const type = textField(objectField(objectField(product, "product"), "attributes"), "instanceType");
  const hourly = dimensionsOf(product).find(({ unit, usd }) => unit === "Hrs" && usd > 0);
  return type === undefined || hourly === undefined ? undefined : { type, usdPerHour: hourly.usd };
}

/** What a product costs on demand, by the units in which it is sold. */
function dimensionsOf(product: JsonObject | undefined): readonly { readonly unit: string; readonly usd: number }[] {
  const terms = objectField(objectField(product, "terms"), "OnDemand") ?? {};
  return Object.values(terms)
    .filter(isObject)
    .flatMap((term) => Object.values(objectField(term, "priceDimensions") ?? {}).filter(isObject))
    .map((dimension) => ({
      unit: textField(dimension, "unit") ?? "",
      usd: Number(textField(objectField(dimension, "pricePerUnit"), "USD")),
    }));
}
