import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";

/** AWS's price list service, which moto does not have: `GetProducts` with pages of one product. */
export class PriceServer {
  /** `region` of each first page that was asked for. */
  readonly asked: string[] = [];
  /** Whether callers may read prices. */
  isDenied = false;
  /** Called before an answer; a test may wait in it. */
  onAsk: (region: string) => Promise<void> = () => Promise.resolve();
  readonly #server: Server;

  private constructor(prices: Readonly<Record<string, string>>) {
    this.#server = createServer((request, response) => {
      const chunks: Buffer[] = [];
      request.on("data", (chunk: Buffer) => chunks.push(chunk));
      request.on("end", () => {
        const isSigned = /^AWS4-HMAC-SHA256 Credential=.*\/us-east-1\/pricing\/aws4_request, /.test(
          request.headers.authorization ?? "",
        );
        const isWanted = request.headers["x-amz-target"] === "AWSPriceListService.GetProducts";
        void this.#answer(JSON.parse(Buffer.concat(chunks).toString("utf8")) as Ask, prices).then((answer) => {
          const isGood = isSigned && isWanted && !this.isDenied;
          response.writeHead(isGood ? 200 : 400).end(JSON.stringify(isGood ? answer : DENIED));
        });
      });
    });
  }

  /** `prices`: USD per hour by type, the same in each region. */
  static async start(prices: Readonly<Record<string, string>>): Promise<PriceServer> {
    const server = new PriceServer(prices);
    await new Promise<void>((resolve) => server.#server.listen(0, "127.0.0.1", resolve));
    return server;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  async #answer(ask: Ask, prices: Readonly<Record<string, string>>): Promise<object> {
    const region = ask.Filters.find(({ Field }) => Field === "regionCode")?.Value ?? "";
    if (ask.Filters.some(({ Field }) => Field === "volumeApiName")) return DISKS;
    const at = Number(ask.NextToken ?? 0);
    if (at === 0) this.asked.push(region);
    await this.onAsk(region);
    const [type = "", usd = "0"] = Object.entries(prices)[at] ?? [];
    const next = at + 1 < Object.keys(prices).length ? { NextToken: String(at + 1) } : {};
    return { FormatVersion: "aws_v1", PriceList: [JSON.stringify(product(type, usd))], ...next };
  }
}

interface Ask {
  readonly Filters: readonly { readonly Field: string; readonly Value: string }[];
  readonly NextToken?: string;
}

/** As AWS sells gp3 volumes: their size, and what they do beyond what is in the price. */
const DISKS = {
  FormatVersion: "aws_v1",
  PriceList: [
    ["GB-Mo", "0.0880000000"],
    ["IOPS-Mo", "0.0055000000"],
    ["GiBps-mo", "45.0560000000"],
  ].map(([unit, USD]) =>
    JSON.stringify({
      product: { attributes: { volumeApiName: "gp3" } },
      terms: { OnDemand: { "SKU.TERM": { priceDimensions: { "SKU.TERM.DIM": { unit, pricePerUnit: { USD } } } } } },
    }),
  ),
};

const DENIED = { __type: "com.amazon.coral.service#AccessDeniedException", Message: "not authorized to GetProducts" };

function product(type: string, usd: string): object {
  const perHour = { unit: "Hrs", pricePerUnit: { USD: usd } };
  return {
    product: { attributes: { instanceType: type, operatingSystem: "Linux" } },
    terms: { OnDemand: { "SKU.TERM": { priceDimensions: { "SKU.TERM.DIM": perHour } } } },
  };
}
