import { OperationFailedError } from "../../../shared/errors.ts";
import { isObject, objectField, parseObject, textField } from "../auth/json.ts";
import type { LoadContext } from "../auth/load-context.ts";
import { send } from "../auth/network.ts";
import type { AwsSession } from "../clients.ts";
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
  let token: string | undefined;
  do {
    const page = await getProducts(region, token, access);
    const list = page["PriceList"];
    for (const item of Array.isArray(list) ? list : []) {
      const priced = readProduct(typeof item === "string" ? JSON.parse(item) : item);
      if (priced !== undefined) prices.set(priced.type, priced.usdPerHour);
    }
    token = textField(page, "NextToken");
  } while (token !== undefined && token !== "");
  return prices;
}

async function getProducts(
  region: string,
  token: string | undefined,
  { session, load }: PriceListAccess,
): Promise<Readonly<Record<string, unknown>>> {
  const filters = Object.entries({ ...WISHES, regionCode: region });
  const body = JSON.stringify({
    ServiceCode: "AmazonEC2",
    FormatVersion: "aws_v1",
    MaxResults: PAGE,
    Filters: filters.map(([field, value]) => ({ Type: "TERM_MATCH", Field: field, Value: value })),
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
function readProduct(value: unknown): { readonly type: string; readonly usdPerHour: number } | undefined {
  const item = isObject(value) ? value : undefined;
  const type = textField(objectField(objectField(item, "product"), "attributes"), "instanceType");
  const terms = objectField(objectField(item, "terms"), "OnDemand") ?? {};
  if (type === undefined) return undefined;
  const dimensions = Object.values(terms)
    .filter(isObject)
    .flatMap((term) => Object.values(objectField(term, "priceDimensions") ?? {}).filter(isObject));
  const prices = dimensions
    .filter((dimension) => dimension["unit"] === "Hrs")
    .map((dimension) => Number(textField(objectField(dimension, "pricePerUnit"), "USD")));
  const usdPerHour = prices.find((price) => price > 0);
  return usdPerHour === undefined ? undefined : { type, usdPerHour };
}
