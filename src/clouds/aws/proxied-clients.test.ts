import { once } from "node:events";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { ListBucketsCommand } from "@aws-sdk/client-s3";
import { DescribeRegionsCommand } from "@aws-sdk/client-ec2";
import { afterEach, beforeEach, expect, test } from "vitest";
import { openAgents } from "./auth/network.ts";
import { openClients } from "./clients.ts";

let proxy: Server;
let asked: string[];

beforeEach(async () => {
  asked = [];
  // A proxy is asked for whole URLs.
  proxy = createServer((request, response) => {
    asked.push(`${request.method} ${request.url}`);
    response.writeHead(400).end();
  }).listen(0, "127.0.0.1");
  await once(proxy, "listening");
});
afterEach(() => {
  proxy.closeAllConnections();
  proxy.close();
});

test("every service is called through the caller's proxy, but for what NO_PROXY names", async () => {
  const env = {
    HTTP_PROXY: `http://127.0.0.1:${(proxy.address() as AddressInfo).port}`,
    NO_PROXY: "ec2.inside.invalid",
  };
  const clients = openClients({
    credentials: () => Promise.resolve({ accessKeyId: "a", secretAccessKey: "s" }),
    region: "us-east-1",
    endpoint: (service) => (service === "ec2" ? "http://ec2.inside.invalid" : `http://${service}.outside.invalid`),
    openAgents: () => openAgents({ home: "/nowhere", env }, { keepAlive: true }),
    maxAttempts: 1,
  });
  await expect((await clients.s3()).send(new ListBucketsCommand({}))).rejects.toThrow();
  await expect((await clients.ec2()).send(new DescribeRegionsCommand({}))).rejects.toThrow(/ENOTFOUND|EAI_AGAIN/u);
  clients.close();
  expect(asked).toEqual([expect.stringMatching(/^GET http:\/\/s3\.outside\.invalid\//u)]);
});
