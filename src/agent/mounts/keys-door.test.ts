import { afterEach, beforeEach, expect, test } from "vitest";
import { KeysDoor } from "./keys-door.ts";

const ID = "0123456789ab";
let door: KeysDoor;

beforeEach(async () => {
  door = new KeysDoor();
  await door.open();
});
afterEach(() => door.close());

function ask(id: string, token: string): Promise<Response> {
  return fetch(`http://127.0.0.1:${door.port}/keys/${id}`, { headers: { authorization: token, connection: "close" } });
}

test("keys go to who has the token of that mount, and to nobody else", async () => {
  door.admit(ID, "token");
  door.admit("ffffffffffff", "other");
  expect((await ask(ID, "token")).status).toBe(503);
  door.lend(ID, {
    accessKeyId: "id",
    secretAccessKey: "secret",
    sessionToken: "session",
    expiresAtMs: 1_800_000_000_000,
  });
  expect(await (await ask(ID, "token")).json()).toEqual({
    AccessKeyId: "id",
    SecretAccessKey: "secret",
    Token: "session",
    Expiration: "2027-01-15T08:00:00.000Z",
  });
  for (const token of ["", "Token", "tokens", "other"]) expect((await ask(ID, token)).status).toBe(403);
  expect((await ask("ffffffffffff", "token")).status).toBe(403);
  expect((await ask("aaaaaaaaaaaa", "")).status).toBe(403);
});

test("a successor listens at the port of the one before, and another when that is taken", async () => {
  const { port } = door;
  const second = new KeysDoor();
  await second.open(port);
  expect(second.port).not.toBe(port);
  second.close();
  door.close();
  const third = new KeysDoor();
  await third.open(port);
  expect(third.port).toBe(port);
  third.close();
});

test("a program that comes after another gets its keys, with a token of its own", async () => {
  door.admit(ID, "old");
  door.lend(ID, { accessKeyId: "id", secretAccessKey: "s" });
  door.admit(ID, "new");
  expect((await ask(ID, "old")).status).toBe(403);
  expect(await (await ask(ID, "new")).json()).toEqual({ AccessKeyId: "id", SecretAccessKey: "s" });
});

test("keys that replace others are given from then on; a forgotten mount has none", async () => {
  door.admit(ID, "token");
  for (const name of ["first", "second"]) door.lend(ID, { accessKeyId: name, secretAccessKey: "s" });
  expect(await (await ask(ID, "token")).json()).toEqual({ AccessKeyId: "second", SecretAccessKey: "s" });
  door.forget(ID);
  expect((await ask(ID, "token")).status).toBe(403);
});
